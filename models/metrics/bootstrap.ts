// Confidence intervals of means over users, by the bootstrap.

import { createRandom } from '../../common/random.js';

export interface BootstrapInput {
  /** Sums of each column over the users of a group: [groups, columns], row-major. */
  sums: Float64Array;
  /** Users in each group, >= 1: [groups]. A group of one is a user. */
  sizes: Int32Array;
  columns: number;
  /** How often the users are drawn anew. @default 1000 */
  resamples?: number;
  seed: number;
}

/** Fewer make the ends of a 95 % interval jump from seed to seed; more change its third digit only. */
const RESAMPLES = 1000;

/** 95 %: what is left out at each end. */
const TAIL = 0.025;

/**
 * 95 % percentile intervals of the means of each column over all users: [columns, 2], low and high.
 *
 * Draws as many groups as there are, with replacement, `resamples` times, and takes the 2.5 % and 97.5 % quantiles
 * of the means (linear between neighbours). All columns see the same draws, so that intervals of several scorers over
 * the same users go together. The same seed gives the same bits. Cost: resamples × groups × columns additions.
 *
 * Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 1979.
 */
export function bootstrapIntervals(input: BootstrapInput): Float64Array {
  const { columns, sizes, seed } = input;
  const resamples = input.resamples ?? RESAMPLES;
  const groups = sizes.length;
  const random = createRandom(seed);
  const means = Array.from({ length: columns }, () => new Float64Array(resamples));
  const drawn = new Float64Array(columns);
  for (let resample = 0; resample < resamples; resample++) {
    drawn.fill(0);
    let users = 0;
    for (let draw = 0; draw < groups; draw++) {
      const group = random.int(groups);
      users += sizes[group]!;
      addRow(drawn, input.sums, group * columns);
    }
    for (let column = 0; column < columns; column++) means[column]![resample] = drawn[column]! / users;
  }
  const intervals = new Float64Array(2 * columns);
  for (let column = 0; column < columns; column++) {
    const sorted = means[column]!.sort();
    intervals[2 * column] = quantile(sorted, TAIL);
    intervals[2 * column + 1] = quantile(sorted, 1 - TAIL);
  }
  return intervals;
}

function addRow(sum: Float64Array, rows: Float64Array, from: number): void {
  for (let column = 0; column < sum.length; column++) sum[column]! += rows[from + column]!;
}

function quantile(ascending: Float64Array, fraction: number): number {
  const position = fraction * (ascending.length - 1);
  const below = Math.floor(position);
  const above = Math.ceil(position);
  return ascending[below]! + (position - below) * (ascending[above]! - ascending[below]!);
}
