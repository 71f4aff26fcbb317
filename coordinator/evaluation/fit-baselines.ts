// Fits the baselines in threads.

import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import { EASE_ITEMS_MAX, EASE_REGULARIZATION, easeBytes } from '../../models/baselines/ease.js';
import { createSweepState, panelsOf, type SweepState } from '../../models/baselines/invert-spd.js';
import type { Csr } from '../../models/csr.js';
import type { EvaluationPool } from './evaluation-pool.js';
import type { BaselineName, SkippedScorer } from './evaluation-report.js';
import type { ItemRange } from './evaluation-thread.js';
import type { Scorer } from './scorer.js';

/** The training matrix in both orientations, and what is counted from it. */
export interface Training {
  users: Csr;
  items: Csr;
  /** Users of each item. */
  counts: Int32Array;
  /** Item rows, most popular first. */
  popular: Int32Array;
}

/** Up to this catalogue item-kNN keeps all cosines, densely (268 MB here); beyond it, the nearest neighbours. */
const KNN_DENSE_ITEMS_MAX = 8192;

/** Neighbours kept beyond: on course data within 0.003 of what all neighbours reach (docs/benchmarks.md). */
const KNN_NEIGHBOURS = 500;

/** Items of a fitting task: some milliseconds of work. */
const RANGE_ITEMS = 64;

/** A baseline ready to rank, or why it is left out. */
export async function fitBaseline(
  name: BaselineName,
  training: Training,
  pool: EvaluationPool,
): Promise<Scorer | SkippedScorer> {
  if (name === 'popular') return { kind: 'popular', order: training.popular };
  if (name === 'itemknn') return fitItemKnn(training, pool);
  const items = training.items.rows;
  if (items > EASE_ITEMS_MAX) {
    const gigabytes = (easeBytes(items) / 1e9).toFixed(1);
    return {
      skipped: `the closed form would take ${gigabytes} GB for ${items} items; it is used up to ${EASE_ITEMS_MAX}`,
    };
  }
  return fitEase(training, pool);
}

async function fitItemKnn(training: Training, pool: EvaluationPool): Promise<Scorer> {
  const { counts } = training;
  const items = training.items.rows;
  const ranges = rangesOf(training);
  if (items <= KNN_DENSE_ITEMS_MAX) {
    const weights = sharedFloat32(items * items);
    await pool.runAll('cosineRows', ranges.length, (r) => ({ ...ranges[r]!, counts, weights }));
    return { kind: 'weights', weights };
  }
  const width = KNN_NEIGHBOURS;
  const neighbours = sharedInt32(items * width);
  const cosines = sharedFloat32(items * width);
  await pool.runAll('neighbourRows', ranges.length, (r) => ({
    ...ranges[r]!,
    counts,
    neighbours,
    cosines,
    width,
  }));
  return { kind: 'neighbours', neighbours, cosines, width };
}

async function fitEase(training: Training, pool: EvaluationPool): Promise<Scorer> {
  const items = training.items.rows;
  const ranges = rangesOf(training);
  const state = createSweepState(items);
  await pool.runAll('easeGramRows', ranges.length, (r) => ({
    ...ranges[r]!,
    state,
    regularization: EASE_REGULARIZATION,
  }));
  await invertInThreads(state, pool);
  const weights = sharedFloat32(items * items);
  await pool.runAll('easeWeightsRows', ranges.length, (r) => {
    const { itemStart, itemEnd } = ranges[r]!;
    return { state, items, itemStart, itemEnd, weights };
  });
  return { kind: 'weights', weights };
}

/** `invertSpd` with the row tiles of each step spread over threads; the same bits. */
async function invertInThreads(state: SweepState, pool: EvaluationPool): Promise<void> {
  const panels = panelsOf(state);
  for (let panel = 0; panel < panels; panel++) {
    await pool.run('easeSweepPivot', { state, panel });
    await pool.runAll('easeSweepColumn', panels, (tileRow) => ({ state, panel, tileRow }));
    // The lowest rows of the triangle are the longest: first in, so that the threads end together.
    await pool.runAll('easeSweepTiles', panels, (t) => ({ state, panel, tileRow: panels - 1 - t }));
  }
}

function rangesOf({ users, items }: Training): ItemRange[] {
  const ranges: ItemRange[] = [];
  for (let itemStart = 0; itemStart < items.rows; itemStart += RANGE_ITEMS) {
    ranges.push({ users, items, itemStart, itemEnd: Math.min(itemStart + RANGE_ITEMS, items.rows) });
  }
  return ranges;
}
