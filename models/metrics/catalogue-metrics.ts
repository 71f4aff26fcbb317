// What a recommender does with the catalogue: how much of it is shown, how well known the shown items are.

/** A rank that no ranking reaches: the item was never shown. */
export const NEVER_SHOWN = 0x7fffffff;

/** Lowers `bestRanks[item]` (0 = first place) to the place the item has in `ranking`, which ends at the first −1. */
export function noteRanks(ranking: Int32Array, bestRanks: Int32Array): void {
  for (let rank = 0; rank < ranking.length; rank++) {
    const item = ranking[rank]!;
    if (item < 0) return;
    if (rank < bestRanks[item]!) bestRanks[item] = rank;
  }
}

/** coverage@k: the fraction of the catalogue that stands among the first k of at least one user. */
export function coverageAt(bestRanks: Int32Array, cutoff: number): number {
  let shown = 0;
  for (let item = 0; item < bestRanks.length; item++) if (bestRanks[item]! < cutoff) shown += 1;
  return bestRanks.length === 0 ? 0 : shown / bestRanks.length;
}

/**
 * Bits of surprise of each item: −log2 of the fraction of users who have it. An item that nobody has counts as if one
 * user had it.
 *
 * @param counts users of each item in training.
 * @param users users with at least one item in training.
 * Source: Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010.
 */
export function itemNovelty(counts: Int32Array, users: number): Float64Array {
  return Float64Array.from(counts, (count) => Math.log2(Math.max(users, 1) / Math.max(count, 1)));
}
