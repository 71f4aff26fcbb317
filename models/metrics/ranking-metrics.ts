// How good one user's ranking is, against the items that were held out.

/** The metrics of a ranking at a cutoff, in the order in which `addRankingMetrics` writes them. */
export const RANKING_METRICS = ['recall', 'ndcg', 'hr', 'map', 'novelty'] as const;

/** Names of the numbers that `addRankingMetrics` writes: `recall@10`, `ndcg@10`, …, `recall@20`, … */
export function rankingMetricNames(cutoffs: readonly number[]): string[] {
  return cutoffs.flatMap((cutoff) => RANKING_METRICS.map((metric) => `${metric}@${cutoff}`));
}

export interface UserRanking {
  /** Item rows, best first, none twice; ends at the first −1. */
  ranking: Int32Array;
  /** The held-out item rows R, strictly ascending, at least one. */
  relevant: Int32Array;
  /** k, ascending, >= 1. */
  cutoffs: readonly number[];
  /** Bits of surprise of each item (`itemNovelty`), one for each row of the catalogue. */
  novelty: Float64Array;
}

/**
 * Adds one user's metrics to `out[at …]`, five for each cutoff. With rel(i) = 1 where the item at rank i (from 1) is
 * in R, else 0, and h(k) = Σ_{i≤k} rel(i):
 *
 *   recall@k  = h(k) / min(k, |R|)
 *   ndcg@k    = Σ_{i≤k} rel(i) / log2(i+1)  /  Σ_{i≤min(k,|R|)} 1 / log2(i+1)
 *   hr@k      = 1 if h(k) > 0, else 0
 *   map@k     = Σ_{i≤k} rel(i) h(i)/i  /  min(k, |R|)
 *   novelty@k = mean bits of surprise of the items at ranks 1 … k
 *
 * Each is 1 for a perfect ranking, however many items were held out (novelty apart). Recall divides by min(k, |R|),
 * not by |R|: the Recall@R of Liang et al. ("Variational Autoencoders for Collaborative Filtering", WWW 2018), which
 * the iALS benchmark of Rendle et al. (RecSys 2022; google-research `ials/vae_benchmarks/recommender.h`) uses as well.
 */
export function addRankingMetrics(user: UserRanking, out: Float64Array, at: number): void {
  const { ranking, relevant, cutoffs, novelty } = user;
  let hits = 0;
  let gain = 0;
  let precisions = 0;
  let surprise = 0;
  let ideal = 0;
  let rank = 0;
  for (let c = 0; c < cutoffs.length; c++) {
    const cutoff = cutoffs[c]!;
    const listed = Math.min(cutoff, ranking.length);
    for (; rank < listed && ranking[rank]! >= 0; rank++) {
      const item = ranking[rank]!;
      surprise += novelty[item]!;
      if (!contains(relevant, item)) continue;
      hits += 1;
      gain += 1 / Math.log2(rank + 2);
      precisions += hits / (rank + 1);
    }
    const attainable = Math.min(cutoff, relevant.length);
    for (let i = c === 0 ? 0 : Math.min(cutoffs[c - 1]!, relevant.length); i < attainable; i++) {
      ideal += 1 / Math.log2(i + 2);
    }
    const base = at + c * RANKING_METRICS.length;
    out[base]! += hits / attainable;
    out[base + 1]! += gain / ideal;
    out[base + 2]! += hits > 0 ? 1 : 0;
    out[base + 3]! += precisions / attainable;
    out[base + 4]! += rank === 0 ? 0 : surprise / rank;
  }
}

/** True where an ascending list holds a value. */
function contains(ascending: Int32Array, value: number): boolean {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low < ascending.length && ascending[low] === value;
}
