// Sums over learners for every item, in f64, learners in their order.

import type { Csr } from '../../models/csr.js';
import { packedGramLength } from '../../models/gram.js';

/** b_i = Σ_u w_ui x_u: f64 [items, K]. */
export function addTargets(rows: Csr, x: Float32Array, factors: number): Float64Array {
  const sums = new Float64Array(rows.cols * factors);
  for (let user = 0; user < rows.rows; user++) {
    const from = user * factors;
    for (let e = rows.ptr[user]!; e < rows.ptr[user + 1]!; e++) {
      const weight = rows.values![e]!;
      const at = rows.idx[e]! * factors;
      for (let k = 0; k < factors; k++) sums[at + k]! += weight * x[from + k]!;
    }
  }
  return sums;
}

/** A_i = Σ_u w_ui x_u x_uᵀ: packed lower triangles, f64 [items, K(K+1)/2]. */
export function addWeightedGrams(rows: Csr, x: Float32Array, factors: number): Float64Array {
  const length = packedGramLength(factors);
  const sums = new Float64Array(rows.cols * length);
  const outer = new Float64Array(length);
  for (let user = 0; user < rows.rows; user++) {
    fillOuter(outer, x, user * factors, factors);
    for (let e = rows.ptr[user]!; e < rows.ptr[user + 1]!; e++) {
      const weight = rows.values![e]!;
      const at = rows.idx[e]! * length;
      for (let p = 0; p < length; p++) sums[at + p]! += weight * outer[p]!;
    }
  }
  return sums;
}

function fillOuter(outer: Float64Array, x: Float32Array, from: number, factors: number): void {
  for (let r = 0, at = 0; r < factors; r++) {
    for (let c = 0; c <= r; c++) outer[at++] = x[from + r]! * x[from + c]!;
  }
}
