// Ranking on a tfjs provider: scores by products of tiles, and the best of them by the same heaps as everywhere, so
// that equal scores are ordered by item on every provider.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import { offerItems, sortHeap } from '../../models/rank/candidate-heap.js';
import { topN } from '../../models/rank/top-n.js';
import { rowsNotFinite } from './tfjs-finite.js';
import type { TfjsRankTask } from './tfjs-messages.js';
import { runSteps, type TfjsContext } from './tfjs-step.js';

/** Items of a tile: its scores for a few dozen queries make a download worth its cost. */
const ITEMS_PER_STEP = 4096;

interface Tile {
  readonly query: number;
  readonly queries: number;
  readonly item: number;
  readonly items: number;
}

/** Writes `task.out`. @throws {NumericError} a factor or score that is not finite. @throws {TfjsAborted} */
export async function tfjsRank({ tf, tables, limits }: TfjsContext, task: TfjsRankTask): Promise<void> {
  const { queries, count, items, n, exclude, out } = task;
  const { factors } = items;
  out.ids.fill(-1);
  out.scores.fill(Number.NEGATIVE_INFINITY);
  if (count === 0) return;
  // Beforehand: in a product of many rows a provider may let one row's NaN reach others.
  for (const row of rowsNotFinite(queries, count, factors)) explain(task, row);
  if (tables.rowsNotFinite(items).size > 0) explain(task, 0);
  const itemsPerStep = Math.min(ITEMS_PER_STEP, items.rows);
  const fitting = Math.min(limits.floats / itemsPerStep, limits.flops / (2 * factors * itemsPerStep));
  const queriesPerStep = Math.max(1, Math.min(count, Math.floor(fitting)));
  const heaps = {
    ...out,
    n,
    exclude,
    sizes: new Int32Array(queriesPerStep),
    cursors: new Int32Array(queriesPerStep),
  };
  const table = tables.plain(items);
  let panel: Tensor2D | undefined;
  try {
    await runSteps(
      task.abort,
      tilesOf(count, queriesPerStep, items.rows, itemsPerStep),
      (tile) => {
        if (tile.item === 0) {
          panel?.dispose();
          const from = tile.query * factors;
          // A copy: providers may keep the array, and Dawn cannot take shared memory.
          const rows = Float32Array.from(queries.subarray(from, from + tile.queries * factors));
          panel = tf.tensor2d(rows, [tile.queries, factors]);
        }
        return tf.tidy(() => [
          tf.matMul(panel!, tf.slice(table, [tile.item, 0], [tile.items, factors]), false, true),
        ]);
      },
      (tile, [scores]) => {
        for (let q = 0; q < tile.queries; q++) {
          const row = tile.query + q;
          if (tile.item === 0) {
            heaps.sizes[q] = 0;
            heaps.cursors[q] = exclude?.ptr[row] ?? 0;
          }
          const sum = offerItems(heaps, row, q, scores!, q * tile.items, tile.item, tile.items);
          if (sum - sum !== 0) explain(task, row);
          if (tile.item + tile.items === items.rows) sortHeap(out.ids, out.scores, row * n, heaps.sizes[q]!);
        }
      },
    );
  } finally {
    panel?.dispose();
  }
}

function tilesOf(count: number, queriesPerStep: number, itemCount: number, itemsPerStep: number): Tile[] {
  const tiles: Tile[] = [];
  for (let query = 0; query < count; query += queriesPerStep) {
    const queries = Math.min(queriesPerStep, count - query);
    for (let item = 0; item < itemCount; item += itemsPerStep) {
      tiles.push({ query, queries, item, items: Math.min(itemsPerStep, itemCount - item) });
    }
  }
  return tiles;
}

/** Ranks the query in f64: it throws what is wrong, or the scores' sum alone was too large for f32. */
function explain({ queries, items, n }: TfjsRankTask, row: number): void {
  topN({
    queries: queries.subarray(row * items.factors, (row + 1) * items.factors),
    count: 1,
    items: items.data,
    itemCount: items.rows,
    factors: items.factors,
    n,
    queryStart: row,
  });
}
