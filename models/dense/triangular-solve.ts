// Solves with the factor of `choleskyFactor` for one right-hand side, four rows at a time: four independent sums
// hide the latency of the additions.

/**
 * Solves Uᵀ x = b in place.
 *
 * @param x changed, [stride]: b, then x. Cost: stride² flops.
 */
export function forwardSolve(u: Float64Array, inverse: Float64Array, stride: number, x: Float64Array): void {
  for (let j = 0; j < stride; j += 4) {
    let s0 = x[j]!;
    let s1 = x[j + 1]!;
    let s2 = x[j + 2]!;
    let s3 = x[j + 3]!;
    let p = j;
    for (let k = 0; k < j; k++, p += stride) {
      const xk = x[k]!;
      s0 -= u[p]! * xk;
      s1 -= u[p + 1]! * xk;
      s2 -= u[p + 2]! * xk;
      s3 -= u[p + 3]! * xk;
    }
    s0 *= inverse[j]!;
    s1 = (s1 - u[p + 1]! * s0) * inverse[j + 1]!;
    s2 = (s2 - u[p + 2]! * s0 - u[p + stride + 2]! * s1) * inverse[j + 2]!;
    s3 -= u[p + 3]! * s0 + u[p + stride + 3]! * s1 + u[p + 2 * stride + 3]! * s2;
    x[j] = s0;
    x[j + 1] = s1;
    x[j + 2] = s2;
    x[j + 3] = s3 * inverse[j + 3]!;
  }
}

/**
 * Solves U x = b in place.
 *
 * @param x changed, [stride]: b, then x. Cost: stride² flops.
 */
export function backwardSolve(u: Float64Array, inverse: Float64Array, stride: number, x: Float64Array): void {
  for (let j = stride - 4; j >= 0; j -= 4) {
    const o0 = j * stride;
    const o1 = o0 + stride;
    const o2 = o1 + stride;
    const o3 = o2 + stride;
    let s0 = x[j]!;
    let s1 = x[j + 1]!;
    let s2 = x[j + 2]!;
    let s3 = x[j + 3]!;
    for (let k = j + 4; k < stride; k++) {
      const xk = x[k]!;
      s0 -= u[o0 + k]! * xk;
      s1 -= u[o1 + k]! * xk;
      s2 -= u[o2 + k]! * xk;
      s3 -= u[o3 + k]! * xk;
    }
    s3 *= inverse[j + 3]!;
    s2 = (s2 - u[o2 + j + 3]! * s3) * inverse[j + 2]!;
    s1 = (s1 - u[o1 + j + 2]! * s2 - u[o1 + j + 3]! * s3) * inverse[j + 1]!;
    s0 -= u[o0 + j + 1]! * s1 + u[o0 + j + 2]! * s2 + u[o0 + j + 3]! * s3;
    x[j] = s0 * inverse[j]!;
    x[j + 1] = s1;
    x[j + 2] = s2;
    x[j + 3] = s3;
  }
}

/**
 * y = U x.
 *
 * @param y written, [stride]. Cost: stride² flops.
 */
export function upperTimes(u: Float64Array, stride: number, x: Float64Array, y: Float64Array): void {
  for (let r = 0; r < stride; r += 4) {
    const o0 = r * stride;
    const o1 = o0 + stride;
    const o2 = o1 + stride;
    const o3 = o2 + stride;
    const x1 = x[r + 1]!;
    const x2 = x[r + 2]!;
    const x3 = x[r + 3]!;
    let s0 = u[o0 + r]! * x[r]! + u[o0 + r + 1]! * x1 + u[o0 + r + 2]! * x2 + u[o0 + r + 3]! * x3;
    let s1 = u[o1 + r + 1]! * x1 + u[o1 + r + 2]! * x2 + u[o1 + r + 3]! * x3;
    let s2 = u[o2 + r + 2]! * x2 + u[o2 + r + 3]! * x3;
    let s3 = u[o3 + r + 3]! * x3;
    for (let c = r + 4; c < stride; c++) {
      const xc = x[c]!;
      s0 += u[o0 + c]! * xc;
      s1 += u[o1 + c]! * xc;
      s2 += u[o2 + c]! * xc;
      s3 += u[o3 + c]! * xc;
    }
    y[r] = s0;
    y[r + 1] = s1;
    y[r + 2] = s2;
    y[r + 3] = s3;
  }
}
