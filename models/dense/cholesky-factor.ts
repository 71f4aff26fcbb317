// A = UᵀU of a symmetric positive definite matrix. The upper factor is stored by rows, so that the innermost loops of
// the factorisation read four neighbours at once, as those of `addGram` do.

/** Rounding can leave a pivot of a singular matrix this far above zero, times the diagonal entry and the order. */
const PIVOT_EPSILON = 2 ** -53;

/**
 * Factorises a symmetric positive definite matrix in place: A = UᵀU.
 *
 * @param a       changed, f64 [stride, stride] row-major: the upper triangle of A, then U. Below the diagonal, what is
 *                left is without meaning. Padding rows have 1 on the diagonal and zeros elsewhere.
 * @param inverse written, [stride]: 1 / U_kk.
 * @param stride  order of A, a multiple of 4.
 * @returns -1, or the first row whose pivot is not positive (beyond rounding) or not a number.
 *
 * Cost: stride³/3 flops.
 */
export function choleskyFactor(a: Float64Array, inverse: Float64Array, stride: number): number {
  for (let j = 0; j < stride; j += 4) {
    const failed = factorDiagonalTile(a, inverse, stride, j);
    if (failed >= 0) return failed;
    solveTileRow(a, inverse, stride, j, a, stride, j + 4, stride);
  }
  return -1;
}

/** The tile on the diagonal at row j: subtracts what earlier rows explain and factorises what is left. */
function factorDiagonalTile(a: Float64Array, inverse: Float64Array, stride: number, j: number): number {
  // The entries of A are gone once sums are subtracted: `inverse` keeps the diagonal until its own turn.
  for (let r = j; r < j + 4; r++) inverse[r] = a[r * stride + r]!;
  subtractEarlierRows(a, stride, j, j);
  subtractEarlierRows(a, stride, j, j + 2);
  for (let r = j; r < j + 4; r++) {
    const tolerance = inverse[r]! * stride * PIVOT_EPSILON;
    for (let c = r; c < j + 4; c++) {
      let sum = a[r * stride + c]!;
      for (let k = j; k < r; k++) sum -= a[k * stride + r]! * a[k * stride + c]!;
      if (c > r) {
        a[r * stride + c] = sum * inverse[r]!;
        continue;
      }
      if (!(sum > tolerance) || sum === Number.POSITIVE_INFINITY) return r;
      const root = Math.sqrt(sum);
      a[r * stride + r] = root;
      inverse[r] = 1 / root;
    }
  }
  return -1;
}

/** Subtracts Σ_{k<j} U_krU_kc from rows r = j to j+3, columns c and c+1. */
function subtractEarlierRows(a: Float64Array, stride: number, j: number, c: number): void {
  const o0 = j * stride + c;
  const o1 = o0 + stride;
  const o2 = o1 + stride;
  const o3 = o2 + stride;
  let s00 = a[o0]!;
  let s01 = a[o0 + 1]!;
  let s10 = a[o1]!;
  let s11 = a[o1 + 1]!;
  let s20 = a[o2]!;
  let s21 = a[o2 + 1]!;
  let s30 = a[o3]!;
  let s31 = a[o3 + 1]!;
  const end = j * stride + j;
  for (let p = j, q = c; p < end; p += stride, q += stride) {
    const x0 = a[p]!;
    const x1 = a[p + 1]!;
    const x2 = a[p + 2]!;
    const x3 = a[p + 3]!;
    const y0 = a[q]!;
    const y1 = a[q + 1]!;
    s00 -= x0 * y0;
    s10 -= x1 * y0;
    s20 -= x2 * y0;
    s30 -= x3 * y0;
    s01 -= x0 * y1;
    s11 -= x1 * y1;
    s21 -= x2 * y1;
    s31 -= x3 * y1;
  }
  a[o0] = s00;
  a[o0 + 1] = s01;
  a[o1] = s10;
  a[o1 + 1] = s11;
  a[o2] = s20;
  a[o2 + 1] = s21;
  a[o3] = s30;
  a[o3 + 1] = s31;
}

/**
 * Solves Uᵀ X = B in place for many right-hand sides.
 *
 * @param u       factor of `choleskyFactor`, [stride, stride].
 * @param inverse its inverse diagonal.
 * @param x       changed, f64 [stride, width] row-major: one right-hand side a column; B, then X.
 * @param width   row length of `x`, even.
 *
 * Cost: stride² · width flops.
 */
export function forwardSolveMany(
  u: Float64Array,
  inverse: Float64Array,
  stride: number,
  x: Float64Array,
  width: number,
): void {
  for (let j = 0; j < stride; j += 4) solveTileRow(u, inverse, stride, j, x, width, 0, width);
}

/** Rows j to j+3 of X, columns `from` to `to`, given the rows above them: X_j = U_jj⁻ᵀ (B_j − Σ_{k<j} U_kjᵀ X_k). */
function solveTileRow(
  u: Float64Array,
  inverse: Float64Array,
  stride: number,
  j: number,
  x: Float64Array,
  width: number,
  from: number,
  to: number,
): void {
  const d0 = inverse[j]!;
  const d1 = inverse[j + 1]!;
  const d2 = inverse[j + 2]!;
  const d3 = inverse[j + 3]!;
  const diagonal = j * stride + j;
  const u01 = u[diagonal + 1]!;
  const u02 = u[diagonal + 2]!;
  const u03 = u[diagonal + 3]!;
  const u12 = u[diagonal + stride + 2]!;
  const u13 = u[diagonal + stride + 3]!;
  const u23 = u[diagonal + 2 * stride + 3]!;
  const end = j * stride + j;
  for (let c = from; c < to; c += 2) {
    const o0 = j * width + c;
    const o1 = o0 + width;
    const o2 = o1 + width;
    const o3 = o2 + width;
    let s00 = x[o0]!;
    let s01 = x[o0 + 1]!;
    let s10 = x[o1]!;
    let s11 = x[o1 + 1]!;
    let s20 = x[o2]!;
    let s21 = x[o2 + 1]!;
    let s30 = x[o3]!;
    let s31 = x[o3 + 1]!;
    for (let p = j, q = c; p < end; p += stride, q += width) {
      const x0 = u[p]!;
      const x1 = u[p + 1]!;
      const x2 = u[p + 2]!;
      const x3 = u[p + 3]!;
      const y0 = x[q]!;
      const y1 = x[q + 1]!;
      s00 -= x0 * y0;
      s10 -= x1 * y0;
      s20 -= x2 * y0;
      s30 -= x3 * y0;
      s01 -= x0 * y1;
      s11 -= x1 * y1;
      s21 -= x2 * y1;
      s31 -= x3 * y1;
    }
    s00 *= d0;
    s01 *= d0;
    s10 = (s10 - u01 * s00) * d1;
    s11 = (s11 - u01 * s01) * d1;
    s20 = (s20 - u02 * s00 - u12 * s10) * d2;
    s21 = (s21 - u02 * s01 - u12 * s11) * d2;
    x[o0] = s00;
    x[o0 + 1] = s01;
    x[o1] = s10;
    x[o1 + 1] = s11;
    x[o2] = s20;
    x[o2 + 1] = s21;
    x[o3] = (s30 - u03 * s00 - u13 * s10 - u23 * s20) * d3;
    x[o3 + 1] = (s31 - u03 * s01 - u13 * s11 - u23 * s21) * d3;
  }
}
