// What the threads of an evaluation do: each export is a task, called by name (evaluation-pool.ts).

import { writeGramRow, writeWeightsRow } from '../../models/baselines/ease.js';
import { type SweepState, sweepColumn, sweepPivot, sweepTiles } from '../../models/baselines/invert-spd.js';
import { cosineRow, nearestNeighbours } from '../../models/baselines/item-knn.js';
import { popularOrder } from '../../models/baselines/popular.js';
import { columnCounts, transposeCsr } from '../../models/baselines/transpose-csr.js';
import type { Csr } from '../../models/csr.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { bootstrapIntervals } from '../../models/metrics/bootstrap.js';

export { rankUsers } from './rank-users.js';
export { bootstrapIntervals as bootstrap };

/** Both orientations of the training matrix, and a range of its items. */
export interface ItemRange {
  users: Csr;
  items: Csr;
  itemStart: number;
  itemEnd: number;
}

/** The training matrix by items, the users of each item, and the items by popularity. */
export function turnTraining({ train }: { train: Csr }): {
  items: Csr;
  counts: Int32Array;
  popular: Int32Array;
} {
  const counts = columnCounts(train);
  return { items: transposeCsr(train), counts, popular: popularOrder(counts) };
}

/** Gram of the item factors, both triangles. */
export function itemGram(task: { itemFactors: Float32Array; items: number; factors: number }): Float64Array {
  return unpackGram(packedGramOf(task.itemFactors, task.items, task.factors), task.factors);
}

/** All cosines of a range of items, into rows of `weights`. */
export function cosineRows(task: ItemRange & { counts: Int32Array; weights: Float32Array }): void {
  const { users, items, counts, weights } = task;
  const row = new Float64Array(items.rows);
  for (let item = task.itemStart; item < task.itemEnd; item++) {
    cosineRow(users, items, counts, item, row);
    weights.set(row, item * items.rows);
  }
}

/** The nearest neighbours of a range of items. */
export function neighbourRows(
  task: ItemRange & { counts: Int32Array; neighbours: Int32Array; cosines: Float32Array; width: number },
): void {
  const { users, items, counts, width } = task;
  const row = new Float64Array(items.rows);
  for (let item = task.itemStart; item < task.itemEnd; item++) {
    cosineRow(users, items, counts, item, row);
    const from = item * width;
    nearestNeighbours(
      row,
      task.neighbours.subarray(from, from + width),
      task.cosines.subarray(from, from + width),
    );
  }
}

/** Rows of XᵀX + λI. */
export function easeGramRows(task: ItemRange & { state: SweepState; regularization: number }): void {
  const scratch = new Float64Array(task.items.rows);
  for (let item = task.itemStart; item < task.itemEnd; item++) {
    writeGramRow(task.state, task.users, task.items, item, task.regularization, scratch);
  }
}

export function easeSweepPivot(task: { state: SweepState; panel: number }): void {
  sweepPivot(task.state, task.panel);
}

export function easeSweepColumn(task: { state: SweepState; panel: number; tileRow: number }): void {
  sweepColumn(task.state, task.panel, task.tileRow);
}

export function easeSweepTiles(task: { state: SweepState; panel: number; tileRow: number }): void {
  sweepTiles(task.state, task.panel, task.tileRow);
}

/** Rows of B. */
export function easeWeightsRows(task: {
  state: SweepState;
  items: number;
  itemStart: number;
  itemEnd: number;
  weights: Float32Array;
}): void {
  for (let item = task.itemStart; item < task.itemEnd; item++) {
    writeWeightsRow(task.state, item, task.items, task.weights);
  }
}
