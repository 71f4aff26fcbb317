// Sums over sources of which some may lie, item by item: what an honest majority of those who have the item says.

import { geometricMedian } from './geometric-median.js';
import type { ItemContribution } from './item-contribution.js';
import { itemWidth, requireShape } from './item-contribution.js';

/**
 * `sum`: everything counts, exactly. `trimmed`: of the sources that have an item, the fifth that would move its mean
 * the furthest is left out. `median`: the geometric median of the sources' means.
 */
export type RobustRule = 'sum' | 'trimmed' | 'median';

export interface RobustOptions {
  items: number;
  /** K. */
  factors: number;
  rule: RobustRule;
  /** Of the sources that have an item, those that `trimmed` leaves out: at least one of three. @default 0.2 */
  trimShare?: number;
}

export interface RobustSums {
  /** [items × itemWidth(K)], as of one contribution. Positive semi-definite where the contributions are. */
  sums: Float64Array;
  /** [items]. */
  counts: Float64Array;
  /** Who was left out of which item; empty with `sum` and `median`. */
  leftOut: { item: number; source: string }[];
  /** Items that fewer than three sources have: nobody can say who of them is right, and their sums were added up. */
  unguarded: number;
}

const TRIM_SHARE = 0.2;
/** Of two sources none is a majority. */
const SOURCES_MIN = 3;

/**
 * Puts contributions together, item by item.
 *
 * Sources are compared by what they say of a learner on average (sum / count), since they differ in size; the result is
 * a weighted mean of such averages, times the count. A source that is left out, and one with more learners than any
 * other, counts for no more learners than the largest of the rest: nobody gains by inventing learners.
 *
 * @throws {ShapeError} a length disagrees.
 *
 * The order of the contributions changes nothing but the rounding. Cost: O(sources · items · K²), `median` some tens of
 * times that.
 * Sources: Yin, Chen, Ramchandran, Bartlett, "Byzantine-Robust Distributed Learning: Towards Optimal Statistical
 * Rates", ICML 2018 (trimmed means); Pillutla, Kakade, Harchaoui, "Robust Aggregation for Federated Learning", IEEE
 * Transactions on Signal Processing 70, 2022 (geometric medians).
 */
export function robustSums(contributions: readonly ItemContribution[], options: RobustOptions): RobustSums {
  const { items, factors, rule } = options;
  for (const contribution of contributions) requireShape(contribution, { items, factors });
  const width = itemWidth(factors);
  const result: RobustSums = {
    sums: new Float64Array(items * width),
    counts: new Float64Array(items),
    leftOut: [],
    unguarded: 0,
  };
  for (let item = 0; item < items; item++) {
    const sources = contributions
      .filter(({ counts }) => counts[item]! > 0)
      .map(({ source, counts, sums }) => ({
        source,
        count: counts[item]!,
        sum: sums.subarray(item * width, (item + 1) * width),
      }));
    if (sources.length > 0 && sources.length < SOURCES_MIN) result.unguarded++;
    const out = result.sums.subarray(item * width, (item + 1) * width);
    if (rule === 'sum' || sources.length < SOURCES_MIN) {
      result.counts[item] = addUp(sources, out);
    } else if (rule === 'median') {
      result.counts[item] = addMedian(sources, out);
    } else {
      const { kept, left } = trim(sources, factors, options.trimShare ?? TRIM_SHARE);
      result.counts[item] = addTrimmed(kept, left, out);
      for (const { source } of left) result.leftOut.push({ item, source });
    }
  }
  return result;
}

interface Source {
  source: string;
  count: number;
  /** [width]: a view. */
  sum: Float64Array;
}

/** @returns the count. */
function addUp(sources: readonly Source[], out: Float64Array): number {
  let total = 0;
  for (const { count, sum } of sources) {
    total += count;
    for (let k = 0; k < out.length; k++) out[k] = out[k]! + sum[k]!;
  }
  return total;
}

/** The mean of those that are kept, for all learners that are believed. */
function addTrimmed(kept: readonly Source[], left: readonly Source[], out: Float64Array): number {
  const keptCount = addUp(kept, out);
  const most = Math.max(...kept.map(({ count }) => count));
  const total = keptCount + left.reduce((sum, { count }) => sum + Math.min(count, most), 0);
  const scale = total / keptCount;
  for (let k = 0; k < out.length; k++) out[k] = out[k]! * scale;
  return total;
}

function addMedian(sources: readonly Source[], out: Float64Array): number {
  const counts = cappedCounts(sources);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const means = sources.map(({ count, sum }) => sum.map((value) => value / count));
  const median = geometricMedian(means, counts);
  for (let k = 0; k < out.length; k++) out[k] = total * median[k]!;
  return total;
}

/** Nobody counts for more than the second largest: one source alone never has half of the weight. */
function cappedCounts(sources: readonly Source[]): number[] {
  const counts = sources.map(({ count }) => count);
  const second = [...counts].sort((a, b) => b - a)[1]!;
  return counts.map((count) => Math.min(count, second));
}

/** Who would move the mean of the item the furthest: count × distance from the median of what the sources say. */
function trim(
  sources: readonly Source[],
  factors: number,
  share: number,
): { kept: Source[]; left: Source[] } {
  const centre = medians(sources);
  const influence = new Map(
    sources.map((source) => [source, source.count * distance(source, centre, factors)]),
  );
  const ranked = [...sources].sort(
    (a, b) => influence.get(b)! - influence.get(a)! || (a.source < b.source ? -1 : 1),
  );
  const number = Math.max(1, Math.floor(sources.length * share));
  return { left: ranked.slice(0, number), kept: ranked.slice(number) };
}

/** Number by number, the median of the sources' means. */
function medians(sources: readonly Source[]): Float64Array {
  const width = sources[0]!.sum.length;
  const centre = new Float64Array(width);
  const values = new Float64Array(sources.length);
  for (let k = 0; k < width; k++) {
    for (let s = 0; s < sources.length; s++) values[s] = sources[s]!.sum[k]! / sources[s]!.count;
    values.sort();
    const half = sources.length >> 1;
    centre[k] = sources.length % 2 === 1 ? values[half]! : (values[half - 1]! + values[half]!) / 2;
  }
  return centre;
}

/** Frobenius norm of what a source's mean (A, b) is off by: numbers off the diagonal of A count twice. */
function distance({ count, sum }: Source, centre: Float64Array, factors: number): number {
  let total = 0;
  let at = 0;
  for (let r = 0; r < factors; r++) {
    for (let c = 0; c <= r; c++, at++) total += (r === c ? 1 : 2) * (sum[at]! / count - centre[at]!) ** 2;
  }
  for (; at < sum.length; at++) total += (sum[at]! / count - centre[at]!) ** 2;
  return Math.sqrt(total);
}
