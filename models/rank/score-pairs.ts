// Scores of given pairs: what a ranking of a few candidates, or a metric over sampled ones, needs of the catalogue.

import { NumericError, ShapeError } from '../../common/errors.js';
import type { Csr } from '../csr.js';

/** Pairs between two looks at `isAborted`: about 2 ms at K = 128. */
const PAIRS_PER_CHECK = 16_384;

export interface ScorePairsInput {
  /** f32 [count, factors], row-major. */
  queries: Float32Array;
  count: number;
  /** f32 [itemCount, factors], row-major. */
  items: Float32Array;
  itemCount: number;
  factors: number;
  /** Item rows of each query: [count, itemCount]; values are not read. */
  pairs: Csr;
  /** Row number of the first query in messages. @default 0 */
  queryStart?: number;
  /** True makes the call throw `ScoringAborted`. */
  isAborted?: () => boolean;
  /** Written, one score for each entry of `pairs`. @default a new array */
  out?: Float32Array;
}

/** The caller's `isAborted` answered true. */
export class ScoringAborted extends Error {}

/**
 * Inner products of queries with their items, in the order of `pairs.idx`.
 *
 * A product is summed in f64 in the order of the factors and rounded once to f32: the same bits as the scores of `topN`.
 *
 * @throws {ShapeError} a length disagrees, or a column is no row of `items`.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: names the query or item with a factor that is not finite, or whose
 *   score does not fit f32.
 * @throws {ScoringAborted}
 *
 * Cost: 2K flops a pair.
 */
export function scorePairs(o: ScorePairsInput): Float32Array {
  checkInput(o);
  const { pairs, factors, itemCount } = o;
  const out = o.out ?? new Float32Array(pairs.idx.length);
  let untilCheck = 0;
  for (let query = 0; query < o.count; query++) {
    for (let e = pairs.ptr[query]!; e < pairs.ptr[query + 1]!; e++) {
      if (untilCheck-- === 0) {
        if (o.isAborted?.() === true) throw new ScoringAborted('the scoring was aborted');
        untilCheck = PAIRS_PER_CHECK;
      }
      const item = pairs.idx[e]!;
      if (item < 0 || item >= itemCount) throw noSuchItem(o, query, item);
      const score = Math.fround(product(o.queries, query * factors, o.items, item * factors, factors));
      if (score - score !== 0) throw explainScore(o, query, item);
      out[e] = score;
    }
  }
  return out;
}

function product(a: Float32Array, aAt: number, b: Float32Array, bAt: number, length: number): number {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[aAt + k]! * b[bAt + k]!;
  return sum;
}

function noSuchItem(o: ScorePairsInput, query: number, item: number): ShapeError {
  const row = query + (o.queryStart ?? 0);
  return new ShapeError(
    'STOA_SHAPE',
    `query row ${row} asks for item row ${item} where 0 to ${o.itemCount - 1} was expected`,
    { fields: { row, item } },
  );
}

function explainScore(o: ScorePairsInput, query: number, item: number): NumericError {
  const row = query + (o.queryStart ?? 0);
  const isBad = (rows: Float32Array, at: number): boolean =>
    rows.subarray(at * o.factors, (at + 1) * o.factors).some((value) => !Number.isFinite(value));
  if (isBad(o.queries, query)) return notFinite(`query row ${row} has a factor that is not finite`, row);
  if (isBad(o.items, item)) return notFinite(`item row ${item} has a factor that is not finite`, item);
  return notFinite(`the score of query row ${row} and item row ${item} is too large for f32`, row);
}

function notFinite(message: string, row: number): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `${message}; the model cannot score`, {
    fields: { row },
  });
}

function checkInput(o: ScorePairsInput): void {
  const { pairs } = o;
  expectLength('the queries', o.queries.length, o.count * o.factors);
  expectLength('the items', o.items.length, o.itemCount * o.factors);
  expectLength('the rows of pairs', pairs.rows, o.count);
  expectLength('pairs.ptr', pairs.ptr.length, pairs.rows + 1);
  expectLength('pairs.idx', pairs.idx.length, pairs.ptr[pairs.rows]!);
  expectLength('cols of pairs', pairs.cols, o.itemCount);
  if (o.out !== undefined) expectLength('the output', o.out.length, pairs.idx.length);
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what}: length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
