/**
 * Adds the Gram of a panel to a symmetric matrix: A += PᵀP.
 *
 * @param a      changed, f64 [stride, stride] row-major; only the upper triangle (and the rest of the 4 × 4 tiles on
 *               the diagonal) is read and written.
 * @param panel  P, f64 [rows, stride] row-major; columns past the matrix's own width hold zeros.
 * @param rows   rows of P that count.
 * @param stride row length of both, a multiple of 4 (`paddedLength`).
 *
 * Every entry of A takes the panel's rows one after the other: cutting a panel in two changes no bit.
 * Cost: rows · stride · (stride + 4) flops. Tiles of 4 × 2 sums stay in registers (16 hold them with their operands;
 * tiles of 4 × 4 spill and gain nothing).
 */
export function addGram(a: Float64Array, panel: Float64Array, rows: number, stride: number): void {
  const end = rows * stride;
  for (let r = 0; r < stride; r += 4) {
    for (let c = r; c < stride; c += 2) {
      const o0 = r * stride + c;
      const o1 = o0 + stride;
      const o2 = o1 + stride;
      const o3 = o2 + stride;
      let a00 = a[o0]!;
      let a01 = a[o0 + 1]!;
      let a10 = a[o1]!;
      let a11 = a[o1 + 1]!;
      let a20 = a[o2]!;
      let a21 = a[o2 + 1]!;
      let a30 = a[o3]!;
      let a31 = a[o3 + 1]!;
      for (let p = 0; p < end; p += stride) {
        const x0 = panel[p + r]!;
        const x1 = panel[p + r + 1]!;
        const x2 = panel[p + r + 2]!;
        const x3 = panel[p + r + 3]!;
        const y0 = panel[p + c]!;
        const y1 = panel[p + c + 1]!;
        a00 += x0 * y0;
        a10 += x1 * y0;
        a20 += x2 * y0;
        a30 += x3 * y0;
        a01 += x0 * y1;
        a11 += x1 * y1;
        a21 += x2 * y1;
        a31 += x3 * y1;
      }
      a[o0] = a00;
      a[o0 + 1] = a01;
      a[o1] = a10;
      a[o1 + 1] = a11;
      a[o2] = a20;
      a[o2 + 1] = a21;
      a[o3] = a30;
      a[o3 + 1] = a31;
    }
  }
}
