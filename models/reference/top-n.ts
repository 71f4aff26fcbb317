import type { Csr } from '../csr.js';

export interface ReferenceRanking {
  /** Item rows, best first. */
  readonly ids: number[];
  /** Their scores, in f64. */
  readonly scores: number[];
}

/**
 * Ranks all items for each query by sorting: scores in f64, equal scores by lower item row. Lists are shorter than n
 * where items run out.
 */
export function referenceTopN(o: {
  queries: ArrayLike<number>;
  count: number;
  items: ArrayLike<number>;
  itemCount: number;
  factors: number;
  n: number;
  exclude?: Csr;
}): ReferenceRanking[] {
  return Array.from({ length: o.count }, (_, q) => {
    const excluded = new Set(o.exclude?.idx.subarray(o.exclude.ptr[q]!, o.exclude.ptr[q + 1]!));
    const ranked = Array.from({ length: o.itemCount }, (_, item) => {
      let score = 0;
      for (let k = 0; k < o.factors; k++)
        score += o.queries[q * o.factors + k]! * o.items[item * o.factors + k]!;
      return { item, score };
    })
      .filter(({ item }) => !excluded.has(item))
      .sort((a, b) => b.score - a.score || a.item - b.item)
      .slice(0, o.n);
    return { ids: ranked.map((entry) => entry.item), scores: ranked.map((entry) => entry.score) };
  });
}
