// What statistics of learners can be, and so what is refused: the bounds follow from counts, clipping and weights.

import { NumericError } from '../../common/errors.js';
import { type ItemContribution, itemWidth, requireShape } from './item-contribution.js';
import { isPositiveSemidefinite } from './positive-semidefinite.js';

export interface ContributionBounds {
  /** Learners that the source may have; no item has more of them. */
  learnersMax: number;
  /** Greatest norm of a learner's factors, ‖x‖ <= rowNormMax. */
  rowNormMax: number;
  /** Greatest weight w of an interaction. */
  weightMax: number;
  /** Greatest |t|. For `ials`, t = w. */
  targetMax: number;
  /** Greatest t²/w. For `ials`, the greatest w. */
  ratioMax: number;
  /** What each number may be off by, for sums that were in fixed point. @default 0 */
  slack?: number;
}

export interface Violation {
  item: number;
  code: 'STOA_NUMERIC_NOT_FINITE' | 'STOA_NUMERIC_BOUNDS' | 'STOA_NUMERIC_NOT_POSITIVE';
  /** What is wrong, without the item. */
  problem: string;
}

/**
 * What is wrong with a contribution, item by item; empty when it may be sums of learners within the bounds.
 *
 * The sharpest test is the last: with M = Σ w (x, t/w)(x, t/w)ᵀ, a sum of squares,
 *
 *   [ A   b        ]
 *   [ bᵀ  Σ t²/w   ]  is positive semi-definite,  and  Σ t²/w <= n ratioMax.
 *
 * So b cannot be scaled without A, nor A without n: the count bounds both. None of this can be asked of masked sums.
 *
 * @throws {ShapeError} a length disagrees.
 */
export function violationsOf(
  contribution: ItemContribution,
  { items, factors }: { items: number; factors: number },
  bounds: ContributionBounds,
): Violation[] {
  requireShape(contribution, { items, factors });
  const width = itemWidth(factors);
  const violations: Violation[] = [];
  for (let item = 0; item < items; item++) {
    const sums = contribution.sums.subarray(item * width, (item + 1) * width);
    const found = violationOf(contribution.counts[item]!, sums, factors, bounds);
    if (found !== undefined) violations.push({ item, ...found });
  }
  return violations;
}

/** @throws {NumericError} the first violation, naming source, item and how many there are. */
export function requireSound(
  contribution: ItemContribution,
  shape: { items: number; factors: number },
  bounds: ContributionBounds,
): void {
  const violations = violationsOf(contribution, shape, bounds);
  const [first] = violations;
  if (first === undefined) return;
  const others = violations.length === 1 ? '' : `, and ${violations.length - 1} items more`;
  throw new NumericError(
    first.code,
    `${contribution.source}, item ${first.item}: ${first.problem}${others}; the contribution is refused`,
    { fields: { source: contribution.source, item: first.item, items: violations.length } },
  );
}

function violationOf(
  count: number,
  sums: Float64Array,
  factors: number,
  bounds: ContributionBounds,
): Omit<Violation, 'item'> | undefined {
  const { learnersMax, rowNormMax, weightMax, targetMax, ratioMax, slack = 0 } = bounds;
  if (!Number.isFinite(count) || !sums.every(Number.isFinite)) {
    return { code: 'STOA_NUMERIC_NOT_FINITE', problem: 'a number is not finite' };
  }
  if (count < -slack || count > learnersMax + slack) {
    return out(`${count} learners took it, of ${learnersMax} at most`);
  }
  // Sums of rounded numbers are off by a little more than the bound itself; a part in a million hides no attack.
  const room = 1 + 1e-6;
  const [trace, norm] = [traceOf(sums, factors), normOf(sums.subarray(sums.length - factors))];
  const n = Math.max(0, count);
  const traceMax = n * weightMax * rowNormMax ** 2 * room + factors * slack;
  if (trace > traceMax) return out(`the trace is ${trace}, where ${n} learners can have ${traceMax}`);
  const normMax = n * targetMax * rowNormMax * room + factors * slack;
  if (norm > normMax) return out(`the norm of b is ${norm}, where ${n} learners can have ${normMax}`);
  const augmented = Float64Array.of(...sums, n * ratioMax * room + slack);
  if (isPositiveSemidefinite(augmented, factors + 1, slack)) return undefined;
  return {
    code: 'STOA_NUMERIC_NOT_POSITIVE',
    problem: 'the statistics are no sum over learners: not positive semi-definite',
  };
}

function out(problem: string): Omit<Violation, 'item'> {
  return { code: 'STOA_NUMERIC_BOUNDS', problem };
}

function traceOf(packed: Float64Array, factors: number): number {
  let trace = 0;
  for (let r = 0, at = 0; r < factors; at += r + 2, r++) trace += packed[at]!;
  return trace;
}

function normOf(vector: Float64Array): number {
  let sum = 0;
  for (const value of vector) sum += value * value;
  return Math.sqrt(sum);
}
