// Baseline `itemknn`: items are alike when the same users have them; a user gets what is like what they have.

import type { Csr } from '../csr.js';
import { countCooccurrences } from './cooccurrence.js';
import { selectTop } from './select-top.js';

/**
 * Writes one item's cosine with every other item,
 *
 *   s_ij = |U_i ∩ U_j| / √(|U_i| |U_j|)        and s_ii = 0, so that an item does not recommend itself,
 *
 * where U_i are the users of item i. Interactions count as 1, whatever their value.
 *
 * @param users X by users. @param items X by items. @param counts |U_j| of each item.
 * @param out written whole, one number for each item.
 */
export function cosineRow(users: Csr, items: Csr, counts: Int32Array, item: number, out: Float64Array): void {
  countCooccurrences(users, items, item, out);
  const own = counts[item]!;
  for (let other = 0; other < out.length; other++) {
    if (out[other]! > 0) out[other] = out[other]! / Math.sqrt(own * counts[other]!);
  }
  out[item] = 0;
}

/**
 * Keeps the nearest neighbours of an item: the greatest of `row`, as many as `neighbours` holds.
 *
 * @param neighbours written: item rows, nearest first, −1 where there are no more with a cosine above zero.
 * @param cosines written beside it, 0 where there is none.
 */
export function nearestNeighbours(row: Float64Array, neighbours: Int32Array, cosines: Float32Array): void {
  selectTop(row, neighbours);
  for (let n = 0; n < neighbours.length; n++) {
    const other = neighbours[n]!;
    const cosine = other < 0 ? 0 : row[other]!;
    cosines[n] = cosine;
    if (cosine === 0) neighbours[n] = -1;
  }
}

/**
 * Scores all items by the neighbours of a user's items: score_i = Σ_{j in history} s_ji over the kept neighbours of j.
 *
 * @param history the user's item rows.
 * @param neighbours [items, width], as `nearestNeighbours` writes them; `cosines` beside it.
 * @param scores written whole, one number for each item.
 */
export function scoreByNeighbours(
  history: Int32Array,
  neighbours: Int32Array,
  cosines: Float32Array,
  width: number,
  scores: Float64Array,
): void {
  scores.fill(0);
  for (let h = 0; h < history.length; h++) {
    const from = history[h]! * width;
    for (let n = from; n < from + width && neighbours[n]! >= 0; n++) {
      scores[neighbours[n]!]! += cosines[n]!;
    }
  }
}
