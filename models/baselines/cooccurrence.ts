import type { Csr } from '../csr.js';

/**
 * Counts how many users have both `item` and each other item: row `item` of XᵀX for the binary matrix X.
 *
 * @param users X by users. @param items X by items (`transposeCsr`).
 * @param out written whole, one number for each item; `out[item]` is the item's own number of users.
 * Cost: the sum of the lengths of its users' rows.
 */
export function countCooccurrences(users: Csr, items: Csr, item: number, out: Float64Array): void {
  out.fill(0);
  for (let e = items.ptr[item]!; e < items.ptr[item + 1]!; e++) {
    const user = items.idx[e]!;
    const rowEnd = users.ptr[user + 1]!;
    for (let f = users.ptr[user]!; f < rowEnd; f++) out[users.idx[f]!]! += 1;
  }
}
