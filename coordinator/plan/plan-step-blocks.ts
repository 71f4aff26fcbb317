// Cuts the users into blocks for models that push and pull.

import type { ShardEntry } from '../../datasets/manifest.js';
import type { SgdModel } from '../../models/sgd/sgd-settings.js';
import { cutBlocks, type PlanBlock } from './plan-blocks.js';

/**
 * Blocks of a run. Each is a sequence of its own, so that no more than these compute at once; the more there are, the
 * more changes of a popular item are made side by side and have to be put together at a clock's end.
 */
const BLOCKS = 32;
/** A block below this many interactions would spend a clock's time on messages. */
const INTERACTIONS_MIN = 64;

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
  const workTarget = workOf(Math.max(INTERACTIONS_MIN, total / BLOCKS));
  return cutBlocks({ side: 'users', rowCounts, shards, factors: columns, workOf, workTarget });
}
