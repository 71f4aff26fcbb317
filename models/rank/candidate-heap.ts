// Heaps of the best items so far, one for each query of a tile, kept in the result's own rows. The root is the worst
// kept item: the lowest score and, among equal scores, the highest item row.

import type { Csr } from '../csr.js';

/** Heaps of a tile of queries. */
export interface CandidateHeaps {
  /** [queries, n]; row r holds the heap of query r in its first `sizes[slot]` places. */
  readonly ids: Int32Array;
  /** [queries, n]. */
  readonly scores: Float32Array;
  readonly n: number;
  /** Kept items of each query of the tile. */
  readonly sizes: Int32Array;
  /** For each query of the tile, the first entry of `exclude` that may still be met: item rows only ascend. */
  readonly cursors: Int32Array;
  readonly exclude: Csr | undefined;
}

/**
 * Offers consecutive items to a query's heap. Items come in ascending order, so an equal score never displaces.
 *
 * @param row    the query's row of the result; `slot` is its place in the tile.
 * @param scores scores of items `itemStart` and on, from `scoresAt`.
 * @returns the sum of the scores: not finite when one of them is not.
 */
export function offerItems(
  heaps: CandidateHeaps,
  row: number,
  slot: number,
  scores: Float32Array,
  scoresAt: number,
  itemStart: number,
  count: number,
): number {
  const base = row * heaps.n;
  let threshold = heaps.sizes[slot] === heaps.n ? heaps.scores[base]! : Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const score = scores[scoresAt + i]!;
    sum += score;
    if (score > threshold && !isExcluded(heaps, row, slot, itemStart + i)) {
      threshold = keep(heaps, base, slot, itemStart + i, score);
    }
  }
  return sum;
}

function isExcluded(heaps: CandidateHeaps, row: number, slot: number, item: number): boolean {
  const { exclude, cursors } = heaps;
  if (exclude === undefined) return false;
  const end = exclude.ptr[row + 1]!;
  let at = cursors[slot]!;
  while (at < end && exclude.idx[at]! < item) at++;
  cursors[slot] = at;
  return at < end && exclude.idx[at] === item;
}

/** @returns the score that the next item must beat. */
function keep(heaps: CandidateHeaps, base: number, slot: number, item: number, score: number): number {
  const { ids, scores, n, sizes } = heaps;
  const size = sizes[slot]!;
  if (size < n) {
    siftUp(ids, scores, base, size, item, score);
    sizes[slot] = size + 1;
    return size + 1 < n ? Number.NEGATIVE_INFINITY : scores[base]!;
  }
  siftDown(ids, scores, base, n, item, score);
  return scores[base]!;
}

/** Turns a heap of `size` items from `base` into a list, best first. */
export function sortHeap(ids: Int32Array, scores: Float32Array, base: number, size: number): void {
  for (let last = size - 1; last > 0; last--) {
    const item = ids[base + last]!;
    const score = scores[base + last]!;
    ids[base + last] = ids[base]!;
    scores[base + last] = scores[base]!;
    siftDown(ids, scores, base, last, item, score);
  }
}

function siftUp(
  ids: Int32Array,
  scores: Float32Array,
  base: number,
  hole: number,
  item: number,
  score: number,
): void {
  let at = hole;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isWorse(score, item, scores[base + parent]!, ids[base + parent]!)) break;
    ids[base + at] = ids[base + parent]!;
    scores[base + at] = scores[base + parent]!;
    at = parent;
  }
  ids[base + at] = item;
  scores[base + at] = score;
}

/** Puts an item in the place of the root of a heap of `size` and lets it sink. */
function siftDown(
  ids: Int32Array,
  scores: Float32Array,
  base: number,
  size: number,
  item: number,
  score: number,
): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const right = child + 1;
    if (
      right < size &&
      isWorse(scores[base + right]!, ids[base + right]!, scores[base + child]!, ids[base + child]!)
    ) {
      child = right;
    }
    if (!isWorse(scores[base + child]!, ids[base + child]!, score, item)) break;
    ids[base + at] = ids[base + child]!;
    scores[base + at] = scores[base + child]!;
    at = child;
  }
  ids[base + at] = item;
  scores[base + at] = score;
}

/** Whether item a stands behind item b in a list. */
function isWorse(aScore: number, aItem: number, bScore: number, bItem: number): boolean {
  return aScore < bScore || (aScore === bScore && aItem > bItem);
}
