// What one source hands in for every item: the statistics from which the item's factors are solved.

import { ShapeError } from '../../common/errors.js';

/**
 * A source is a participant whose sums are not masked, or a group of participants that are masked among themselves.
 *
 * For an item i, over the learners u of the source who took it, with weight w and target t of the interaction:
 *
 *   counts[i] = Σ 1        sums[i] = A_i = Σ w x xᵀ, the lower triangle by rows, then b_i = Σ t x
 */
export interface ItemContribution {
  readonly source: string;
  /** [items]. */
  readonly counts: Float64Array;
  /** [items × itemWidth(K)]. */
  readonly sums: Float64Array;
}

/** Numbers of one item: K(K+1)/2 of A, K of b. */
export function itemWidth(factors: number): number {
  return (factors * (factors + 1)) / 2 + factors;
}

/** @throws {ShapeError} a length is not what items and K ask for. */
export function requireShape(
  { source, counts, sums }: ItemContribution,
  { items, factors }: { items: number; factors: number },
): void {
  const expected = items * itemWidth(factors);
  if (counts.length === items && sums.length === expected) return;
  throw new ShapeError(
    'STOA_SHAPE',
    `${source} sent ${counts.length} counts and ${sums.length} sums where ${items} and ${expected} were expected`,
    { fields: { source, expected, found: sums.length } },
  );
}
