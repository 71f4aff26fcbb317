// Exact top-N by inner product: scores of a tile of queries and items at a time, and a heap for each query whose root
// is the score to beat.

import { NumericError, ShapeError } from '../../common/errors.js';
import type { Csr } from '../csr.js';
import type { TopNResult } from '../device.js';
import { offerItems, sortHeap } from './candidate-heap.js';
import { fillColumns, scoreFew, scoreTiles } from './score-tiles.js';

/** Queries scored together: their f64 panel of K = 128 takes 32 KiB. */
const QUERY_TILE = 32;
/** Items scored together: with K = 128 their f64 panel takes 64 KiB, so that both stay in the second cache. */
const ITEM_TILE = 64;
/** Below this many queries, filling panels costs more than it saves. */
const QUERIES_FEW = 4;

export interface TopNInput {
  /** f32 [count, factors], row-major. */
  queries: Float32Array;
  count: number;
  /** f32 [itemCount, factors], row-major. */
  items: Float32Array;
  itemCount: number;
  factors: number;
  /** How many items for each query, >= 1. */
  n: number;
  /** Items that must not be answered: [count, itemCount], ascending within a row. */
  exclude?: Csr;
  /** Row number of the first query in messages. @default 0 */
  queryStart?: number;
  /** Polled once a tile; true makes the call throw `RankAborted`. */
  isAborted?: () => boolean;
  /** Where to write, [count, n] each. @default new arrays */
  out?: { ids: Int32Array; scores: Float32Array };
}

/** The caller's `isAborted` answered true. */
export class RankAborted extends Error {}

/**
 * The n best items of each query by inner product, best first; equal scores (as f32) by lower item row.
 *
 * Products are summed in f64 in the order of the factors and rounded once to f32: a query's answer depends on nothing
 * but itself. Rows with fewer items than n are filled with -1 and -Infinity.
 *
 * @throws {ShapeError} a length disagrees.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: names the query or item with a factor that is not finite, or whose
 *   score does not fit f32.
 * @throws {RankAborted}
 *
 * Cost: 2 · count · itemCount · K flops.
 */
export function topN(o: TopNInput): TopNResult {
  checkInput(o);
  const ids = o.out?.ids ?? new Int32Array(o.count * o.n);
  const scores = o.out?.scores ?? new Float32Array(o.count * o.n);
  ids.fill(-1);
  scores.fill(Number.NEGATIVE_INFINITY);
  const { queries, items, itemCount, factors } = o;
  const tile = new Float32Array(QUERY_TILE * ITEM_TILE);
  const queryPanel = new Float64Array(factors * QUERY_TILE);
  const itemPanel = new Float64Array(factors * ITEM_TILE);
  const sizes = new Int32Array(QUERY_TILE);
  const cursors = new Int32Array(QUERY_TILE);
  const heap = { ids, scores, n: o.n, sizes, cursors, exclude: o.exclude };
  for (let first = 0; first < o.count; first += QUERY_TILE) {
    const queryCount = Math.min(QUERY_TILE, o.count - first);
    const isFew = queryCount < QUERIES_FEW;
    sizes.fill(0);
    for (let q = 0; q < queryCount; q++) cursors[q] = o.exclude?.ptr[first + q] ?? 0;
    if (!isFew) fillColumns(queryPanel, QUERY_TILE, queries, first, queryCount, factors);
    for (let start = 0; start < itemCount; start += ITEM_TILE) {
      if (o.isAborted?.() === true) throw new RankAborted('the ranking was aborted');
      const itemsHere = Math.min(ITEM_TILE, itemCount - start);
      if (isFew) {
        scoreFew(queries, first, queryCount, items, start, itemsHere, factors, tile, ITEM_TILE);
      } else {
        fillColumns(itemPanel, ITEM_TILE, items, start, itemsHere, factors);
        scoreTiles(queryPanel, QUERY_TILE, queryCount, itemPanel, ITEM_TILE, itemsHere, factors, tile);
      }
      for (let q = 0; q < queryCount; q++) {
        const sum = offerItems(heap, first + q, q, tile, q * ITEM_TILE, start, itemsHere);
        if (sum - sum !== 0) throw explainScores(o, first + q, start, itemsHere);
      }
    }
    for (let q = 0; q < queryCount; q++) sortHeap(ids, scores, (first + q) * o.n, sizes[q]!);
  }
  return { ids, scores };
}

function explainScores(o: TopNInput, query: number, itemStart: number, itemsHere: number): NumericError {
  const { queries, items, factors } = o;
  const named = query + (o.queryStart ?? 0);
  const isBad = (rows: Float32Array, row: number): boolean =>
    rows.subarray(row * factors, (row + 1) * factors).some((value) => !Number.isFinite(value));
  if (isBad(queries, query)) return notFinite(`query row ${named} has a factor that is not finite`, named);
  for (let item = itemStart; item < itemStart + itemsHere; item++) {
    if (isBad(items, item)) return notFinite(`item row ${item} has a factor that is not finite`, item);
  }
  return notFinite(`a score of query row ${named} is too large for f32`, named);
}

function notFinite(message: string, row: number): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `${message}; the model cannot be ranked`, {
    fields: { row },
  });
}

function checkInput(o: TopNInput): void {
  expectLength('the queries', o.queries.length, o.count * o.factors);
  expectLength('the items', o.items.length, o.itemCount * o.factors);
  if (o.exclude !== undefined) expectLength('the rows of exclude', o.exclude.rows, o.count);
  if (!Number.isInteger(o.n) || o.n < 1) {
    throw new ShapeError('STOA_SHAPE', `n is ${o.n} where a whole number of at least 1 was expected`);
  }
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what}: length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
