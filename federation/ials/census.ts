import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';

/** How many interactions every item has and how many users there are, over the participants of a cohort. */
export interface Census {
  /** [items], |S_i|. Whoever adds noise keeps it above 0: an item of exactly 0 has the factors 0. */
  readonly itemCounts: Float64Array;
  /** |U|. */
  readonly users: number;
}

/**
 * Whether the penalty λ (|S_i| + α₀|U|)^ν of an item depends on the census. Where it doesn't, a federation need not
 * take one, and one sum fewer leaves.
 */
export function needsCensus(objective: IalsObjective): boolean {
  return objective.objective === 'ials' && objective.nu !== 0 && objective.regularization !== 0;
}

/** What one participant adds to the census, [items + 1]: interactions of each item, then its users. */
export function censusSums(byItem: Csr): Float64Array {
  const sums = new Float64Array(byItem.rows + 1);
  for (let item = 0; item < byItem.rows; item++) sums[item] = byItem.ptr[item + 1]! - byItem.ptr[item]!;
  sums[byItem.rows] = byItem.cols;
  return sums;
}

/** The census of a cohort from the sum of what its participants added. */
export function censusOf(sums: Float64Array): Census {
  return { itemCounts: sums.slice(0, -1), users: sums.at(-1)! };
}
