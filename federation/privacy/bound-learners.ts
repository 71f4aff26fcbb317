// Makes learners keep their bounds before anything is summed. Nothing here depends on another learner's data, but for
// item counts that were noised and released.

import { NumericError, PrivacyError, ShapeError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import { type LearnerBounds, requireBounds } from './learner-bounds.js';

/**
 * How a learner's weights come to keep √(Σ w²) <= W√k.
 * - `scale`: all rows of a learner are shrunk alike where they weigh too much together.
 * - `adaptive`: weights in proportion to n̂^−exponent, n̂ an item's noised count, scaled so that each learner spends the
 *   whole of W√k: a learner says more about rare items, at the cost of popular ones, which have learners enough.
 */
export type WeightRule =
  | { readonly kind: 'scale' }
  | {
      readonly kind: 'adaptive';
      /** n̂: noised and released, [items]; counts below 1 count as 1. */
      readonly counts: Float64Array;
      /** >= 0. @default 0.25, which minimises the error when learners take items at random by their popularity */
      readonly exponent?: number;
    };

/** The exponent of Krichene et al., "Multi-Task Differential Privacy Under Distribution Skew", ICML 2023. */
const EXPONENT = 0.25;

/**
 * Weights that keep √(Σ_i w²) <= W√k for each learner, whatever the values of `rows` were.
 *
 * @param rows CSR of an institution's learners; its values are the weights w, absent ones 1. Of the objective `ials` c = w.
 *             Of `hu2008` they differ: call again with the values c and `weightMax` = WR.
 * @returns a CSR of the same pattern (shared arrays) with f32 weights. f32 rounds down, never above the bound.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: a weight is negative or no finite number.
 */
export function boundWeights(rows: Csr, bounds: LearnerBounds, rule: WeightRule = { kind: 'scale' }): Csr {
  requireBounds(bounds);
  const limit = bounds.weightMax * Math.sqrt(bounds.rowsMax);
  const values = new Float32Array(rows.ptr[rows.rows]!);
  const shares = rule.kind === 'adaptive' ? itemShares(rule, rows.cols) : undefined;
  for (let user = 0; user < rows.rows; user++) {
    const from = rows.ptr[user]!;
    const to = rows.ptr[user + 1]!;
    let square = 0;
    for (let e = from; e < to; e++) {
      const weight = rows.values === undefined ? 1 : rows.values[e]!;
      if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) throw badWeight(user, weight);
      // As f32 has it: rounding upwards may count against the bound.
      const own = Math.fround(Math.min(weight, bounds.weightMax) * (shares?.[rows.idx[e]!] ?? 1));
      square += own * own;
      values[e] = own;
    }
    const norm = Math.sqrt(square);
    const scale = rule.kind === 'adaptive' ? (norm > 0 ? limit / norm : 0) : Math.min(1, limit / norm);
    if (scale !== 1) scaleDown(values, from, to, scale);
  }
  return { ...rows, values };
}

/** n̂^−exponent of every item. */
function itemShares(
  { counts, exponent = EXPONENT }: WeightRule & { kind: 'adaptive' },
  items: number,
): Float64Array {
  if (counts.length !== items) {
    throw new ShapeError('STOA_SHAPE', `there are ${counts.length} item counts for ${items} items`);
  }
  return counts.map((count) => Math.max(count, 1) ** -exponent);
}

/** Scales entries; the result's f32 lies at or below the exact product, so that sums of squares stay within bounds. */
function scaleDown(values: Float32Array, from: number, to: number, scale: number): void {
  // Rounding to f32 raises a product by at most 2^−24 of itself.
  const lowered = scale * (1 - 2 ** -22);
  for (let e = from; e < to; e++) values[e] = values[e]! * lowered;
}

/**
 * Shrinks rows that are longer than G, in place.
 *
 * @param factors changed, f32 [n, K] row-major.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: names the row.
 */
export function clipRows(factors: Float32Array, k: number, rowNormMax: number): void {
  for (let at = 0; at < factors.length; at += k) {
    let square = 0;
    for (let d = at; d < at + k; d++) square += factors[d]! * factors[d]!;
    if (square <= rowNormMax * rowNormMax) continue;
    if (!(square < Number.POSITIVE_INFINITY)) {
      const row = at / k;
      throw new NumericError('STOA_NUMERIC_NOT_FINITE', `row ${row} of the users' factors is not finite`, {
        fields: { row },
      });
    }
    scaleDown(factors, at, at + k, rowNormMax / Math.sqrt(square));
  }
}

/**
 * Refuses directions of conjugate gradients that are longer than was agreed: their products would say more about a learner
 * than is paid for.
 *
 * @param directions what the server asks the products with, [items, K].
 * @throws {PrivacyError} `STOA_BUDGET`: names the item.
 */
export function requireDirections(directions: Float64Array, k: number, directionNormMax: number): void {
  // The server normalises in f64 and may send f32.
  const squareMax = (directionNormMax * (1 + 2 ** -20)) ** 2;
  for (let at = 0; at < directions.length; at += k) {
    let square = 0;
    for (let d = at; d < at + k; d++) square += directions[d]! * directions[d]!;
    if (square <= squareMax) continue;
    const row = at / k;
    throw new PrivacyError(
      'STOA_BUDGET',
      `the direction of item ${row} has norm ${Math.sqrt(square)}, ${directionNormMax} was agreed; nothing was sent`,
      { fields: { row } },
    );
  }
}

/** a_u = min(1, √(k/|S_u|)): what each of a learner's rows adds to the items' counts. [rows] */
export function countShares(rows: Csr, rowsMax: number): Float64Array {
  return Float64Array.from({ length: rows.rows }, (_, user) => {
    const entries = rows.ptr[user + 1]! - rows.ptr[user]!;
    return entries > rowsMax ? Math.sqrt(rowsMax / entries) : 1;
  });
}

function badWeight(user: number, weight: number): NumericError {
  return new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `a weight of row ${user} is ${weight}: a finite number of at least 0 was expected`,
    { fields: { row: user } },
  );
}
