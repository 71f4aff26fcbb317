// Cuts the users into blocks for models that push and pull.

import type { ShardEntry } from '../../datasets/manifest.js';
import type { SgdModel } from '../../models/sgd/sgd-settings.js';
import { cutBlocks, type PlanBlock } from './plan-blocks.js';

/**
 * Most blocks of a run. Each is a sequence of its own, so that no more than these compute at once; the more there are,
 * the more changes of a popular item are made side by side and have to be put together at a clock's end.
 */
const BLOCKS_MAX = 32;
/** Small data have at least these, so that a few workers all have something to do. */
const BLOCKS_MIN = 4;
/** With fewer interactions a clock, a block takes longer to travel than to compute: 2 ms of one thread. */
const INTERACTIONS_PER_CLOCK_MIN = 512;

/**
 * Flops a second of one thread: 0.2 million samples of 64 factors, on the processor that plans are made for. Steps of
 * descent run in TypeScript on every device, so that no measurement of a device tells.
 */
export const STEP_FLOPS_PER_SECOND = 2e8;

/**
 * Blocks of about equal numbers of interactions. They depend on the data and the configuration alone.
 *
 * @param columns of a row. `work` of a block is that of one clock.
 */
export function planStepBlocks(options: {
  model: SgdModel;
  rowCounts: Int32Array;
  shards: readonly ShardEntry[];
  columns: number;
  clocksPerEpoch: number;
}): PlanBlock[] {
  const { rowCounts, shards, columns, clocksPerEpoch } = options;
  const flops = (options.model === 'bpr' ? 12 : 8) * columns;
  const workOf = (entries: number) => (flops * entries) / clocksPerEpoch;
  const total = rowCounts.reduce((sum, entries) => sum + entries, 0);
  const worthwhile = Math.floor(total / (INTERACTIONS_PER_CLOCK_MIN * clocksPerEpoch));
  const workTarget = workOf(total / Math.max(BLOCKS_MIN, Math.min(BLOCKS_MAX, worthwhile)));
  return cutBlocks({ side: 'users', rowCounts, shards, factors: columns, workOf, workTarget });
}
