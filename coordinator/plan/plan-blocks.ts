// Cuts the rows of one side into blocks, the unit of leased work.

import type { ShardEntry } from '../../datasets/manifest.js';
import type { Side } from '../../models/csr.js';
import type { SolverOptions } from '../../models/device.js';
import { rowWork } from '../../models/ials/work.js';

/**
 * 30 to 60 ms of a thread of a fast device, 2 to 3 s of one of the portable: above it the tail of a phase waits, below
 * it the messages of a block, 2 to 5 ms of coordinator and worker together, weigh.
 */
const BLOCK_WORK_MAX = 3e9;
/** About 10 ms of the portable device; smaller blocks would take longer to travel than to solve. */
const BLOCK_WORK_MIN = 1e7;
/**
 * Small data are cut this fine, so that a few workers all have something to do. With twice as many, the messages of a
 * million interactions took a fifth of an epoch of two fast threads.
 */
const BLOCKS_MIN = 6;
/** One result is held in memory while it travels: both bounds keep it to a few messages of a stream. */
const BLOCK_ROWS_MAX = 32_768;
const BLOCK_BYTES_MAX = 8 * 1024 * 1024;

/** A slice of a shard's rows, solved as one task. */
export interface PlanBlock {
  readonly side: Side;
  /** Position in the side's list of blocks: blocks ascend by rows. */
  readonly index: number;
  /** Index of the dataset shard that has the rows. */
  readonly shard: number;
  /** Rows of the whole side, half-open, within the shard. */
  readonly rowStart: number;
  readonly rowEnd: number;
  readonly interactions: number;
  /** Flops of one solve, by `rowWork`. */
  readonly work: number;
}

export interface BlockPlanOptions {
  side: Side;
  /** Entries of each row, [rows]. */
  rowCounts: Int32Array;
  /** The side's shards, ascending, which together cover all rows. */
  shards: readonly ShardEntry[];
  factors: number;
  solver: SolverOptions;
}

/**
 * Blocks of equal work within each shard. They depend on the data and the configuration alone, never on who
 * computes: the sums over blocks, and so the model's bits, are the same for any number of workers and threads.
 */
export function planBlocks({ factors, solver, ...side }: BlockPlanOptions): PlanBlock[] {
  const workOf = (entries: number) => rowWork(entries, factors, solver);
  const total = side.rowCounts.reduce((sum, entries) => sum + workOf(entries), 0);
  const workTarget = Math.max(BLOCK_WORK_MIN, Math.min(BLOCK_WORK_MAX, total / BLOCKS_MIN));
  return cutBlocks({ ...side, factors, workOf, workTarget });
}

export interface CutOptions {
  side: Side;
  rowCounts: Int32Array;
  shards: readonly ShardEntry[];
  /** Columns of a row. */
  factors: number;
  /** Flops of a row with so many entries. */
  workOf: (entries: number) => number;
  /** Flops of a block. */
  workTarget: number;
}

/** Cuts every shard into parts of equal work. */
export function cutBlocks(options: CutOptions): PlanBlock[] {
  const { rowCounts, shards, factors, workTarget, workOf } = options;
  const rowsMax = Math.max(1, Math.min(BLOCK_ROWS_MAX, Math.floor(BLOCK_BYTES_MAX / (4 * factors))));
  const blocks: PlanBlock[] = [];
  shards.forEach((shard, index) => {
    const bounds = cutShard(shard, rowCounts, { workTarget, rowsMax, workOf });
    for (let i = 0; i + 1 < bounds.length; i++) {
      blocks.push(blockOf(options, index, bounds[i]!, bounds[i + 1]!, blocks.length));
    }
  });
  return blocks;
}

interface CutLimits {
  workTarget: number;
  rowsMax: number;
  workOf: (entries: number) => number;
}

/** Row bounds of the shard's blocks: a row belongs to the part of the shard's work in which its middle lies. */
function cutShard(shard: ShardEntry, rowCounts: Int32Array, limits: CutLimits): number[] {
  const { workTarget, rowsMax, workOf } = limits;
  if (shard.rowEnd <= shard.rowStart) return [];
  let total = 0;
  for (let row = shard.rowStart; row < shard.rowEnd; row++) total += workOf(rowCounts[row]!);
  const part = total / Math.max(1, Math.round(total / workTarget)) || 1;
  const bounds = [shard.rowStart];
  let before = 0;
  let current = 0;
  for (let row = shard.rowStart; row < shard.rowEnd; row++) {
    const work = workOf(rowCounts[row]!);
    const target = Math.floor((before + work / 2) / part);
    const start = bounds[bounds.length - 1]!;
    if (row > start && (target > current || row - start >= rowsMax)) bounds.push(row);
    current = target;
    before += work;
  }
  bounds.push(shard.rowEnd);
  return bounds;
}

function blockOf(
  { side, rowCounts, workOf }: CutOptions,
  shard: number,
  rowStart: number,
  rowEnd: number,
  index: number,
): PlanBlock {
  let interactions = 0;
  let work = 0;
  for (let row = rowStart; row < rowEnd; row++) {
    interactions += rowCounts[row]!;
    work += workOf(rowCounts[row]!);
  }
  return { side, index, shard, rowStart, rowEnd, interactions, work };
}
