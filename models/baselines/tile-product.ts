/** Length of the rows that are multiplied: a tile of 96 × 96 doubles (72 KiB) and its operands fit a core's L2 cache. */
export const PANEL = 96;

/**
 * Adds `sign` × X Yᵀ to a 4 × 4 tile of `out`, for four rows of X and four rows of Y, each PANEL long.
 * Sixteen sums in registers: each number that is loaded is used four times.
 *
 * @param at where the tile's first number lies in `out`; its rows are `stride` apart.
 * @param x [·, PANEL] row-major, from row `xRow`. @param y likewise, from row `yRow`.
 */
export function addTileProduct(
  out: Float64Array,
  at: number,
  stride: number,
  sign: number,
  x: Float64Array,
  xRow: number,
  y: Float64Array,
  yRow: number,
): void {
  const x0 = xRow * PANEL;
  const y0 = yRow * PANEL;
  // biome-ignore format: a table of sums
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0;
  // biome-ignore format: a table of sums
  let s20 = 0, s21 = 0, s22 = 0, s23 = 0, s30 = 0, s31 = 0, s32 = 0, s33 = 0;
  for (let p = 0; p < PANEL; p++) {
    const u0 = y[y0 + p]!;
    const u1 = y[y0 + PANEL + p]!;
    const u2 = y[y0 + 2 * PANEL + p]!;
    const u3 = y[y0 + 3 * PANEL + p]!;
    const v0 = x[x0 + p]!;
    s00 += v0 * u0;
    s01 += v0 * u1;
    s02 += v0 * u2;
    s03 += v0 * u3;
    const v1 = x[x0 + PANEL + p]!;
    s10 += v1 * u0;
    s11 += v1 * u1;
    s12 += v1 * u2;
    s13 += v1 * u3;
    const v2 = x[x0 + 2 * PANEL + p]!;
    s20 += v2 * u0;
    s21 += v2 * u1;
    s22 += v2 * u2;
    s23 += v2 * u3;
    const v3 = x[x0 + 3 * PANEL + p]!;
    s30 += v3 * u0;
    s31 += v3 * u1;
    s32 += v3 * u2;
    s33 += v3 * u3;
  }
  addFour(out, at, sign, s00, s01, s02, s03);
  addFour(out, at + stride, sign, s10, s11, s12, s13);
  addFour(out, at + 2 * stride, sign, s20, s21, s22, s23);
  addFour(out, at + 3 * stride, sign, s30, s31, s32, s33);
}

function addFour(
  out: Float64Array,
  at: number,
  sign: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  out[at]! += sign * a;
  out[at + 1]! += sign * b;
  out[at + 2]! += sign * c;
  out[at + 3]! += sign * d;
}
