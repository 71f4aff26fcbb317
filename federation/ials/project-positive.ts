import { symmetricEigen } from '../../models/dense/symmetric-eigen.js';

/** Eigenvalues above −1e-13 of the greatest are zeros that were rounded: f64 has no more digits of a sum of squares. */
const ROUNDING = 1e-13;

/**
 * Replaces a symmetric matrix by the positive semi-definite one that is nearest in the Frobenius norm: its negative
 * eigenvalues become 0. A sum that noise was added to may have some, and the system with it would have no minimum.
 *
 * @param packed changed, [n(n+1)/2]: the lower triangle by rows; finite. One that is semi-definite, to rounding, keeps its bits.
 * @returns the sum of what was cut off, >= 0; 0 when nothing was.
 *
 * Cost: about 60 n³ flops.
 * Source: Higham, "Computing a nearest symmetric positive semidefinite matrix", Linear Algebra and its Applications
 * 103, 1988, theorem 2.1, for a symmetric matrix.
 */
export function projectPositive(packed: Float64Array, n: number): number {
  const full = new Float64Array(n * n);
  for (let r = 0, at = 0; r < n; r++) {
    for (let c = 0; c <= r; c++, at++) {
      full[r * n + c] = packed[at]!;
      full[c * n + r] = packed[at]!;
    }
  }
  const { values, vectors } = symmetricEigen(full, n);
  const zero = -ROUNDING * values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let cut = 0;
  for (let k = 0; k < n; k++) {
    const value = values[k]!;
    if (value >= zero) continue;
    cut -= value;
    // Taking −λ v vᵀ out, rather than putting the others together, leaves a matrix with none of them untouched.
    for (let r = 0, at = 0; r < n; r++) {
      const scaled = value * vectors[r * n + k]!;
      for (let c = 0; c <= r; c++, at++) packed[at] = packed[at]! - scaled * vectors[c * n + k]!;
    }
  }
  return cut;
}
