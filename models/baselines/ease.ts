// Baseline `ease`: a linear model between items whose best weights have a closed form.
//
//   minimise ‖X − XB‖² + λ‖B‖²  with diag(B) = 0        B_ji = −P_ji / P_ii,  P = (XᵀX + λI)⁻¹
//
// Source: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019.

import type { Csr } from '../csr.js';
import { countCooccurrences } from './cooccurrence.js';
import { type SweepState, sweepBytes } from './invert-spd.js';

/** λ. The weight that fits learners' course lists of some thousand items; larger data sets want more. */
export const EASE_REGULARIZATION = 50;

/**
 * Largest catalogue. The time grows with the cube of the items (about a minute on two cores here), the memory with
 * the square (0.8 GB here).
 */
export const EASE_ITEMS_MAX = 8192;

/** Bytes that fitting takes: the matrix in f64 and the weights in f32. */
export function easeBytes(items: number): number {
  return sweepBytes(items) + 4 * items * items;
}

/**
 * Writes row `item` of XᵀX + λI, up to the diagonal, into the matrix to invert.
 *
 * @param users X by users. @param items X by items. Interactions count as 1, whatever their value.
 * @param scratch one number for each item; overwritten.
 */
export function writeGramRow(
  state: SweepState,
  users: Csr,
  items: Csr,
  item: number,
  regularization: number,
  scratch: Float64Array,
): void {
  countCooccurrences(users, items, item, scratch);
  const from = item * state.n;
  for (let other = 0; other <= item; other++) state.matrix[from + other] = scratch[other]!;
  state.matrix[from + item]! += regularization;
}

/**
 * Writes row `item` of B from the inverted matrix, which holds −P in its lower triangle.
 *
 * @param weights B: f32, [items, items], row-major; see `scoreByWeights`.
 */
export function writeWeightsRow(state: SweepState, item: number, items: number, weights: Float32Array): void {
  const { n, matrix } = state;
  for (let other = 0; other < items; other++) {
    const negative = other <= item ? matrix[item * n + other]! : matrix[other * n + item]!;
    // Both signs cancel: −P_ji / P_ii = −(−P_ji) / (−P_ii).
    weights[item * items + other] = other === item ? 0 : -negative / matrix[other * n + other]!;
  }
}
