// What a run will need, before it starts: for `stoa plan`, rounded up rather than down.

import type { PlanBlock } from './plan-blocks.js';

/** A coordinator without tables: Node, gRPC, the plan. Measured, rounded up. */
const COORDINATOR_BASE_BYTES = 220e6;
/** A worker without tables and shards: Node, gRPC, its threads' stacks. Measured, rounded up. */
const WORKER_BASE_BYTES = 165e6;
const THREAD_BYTES = 25e6;
/** Bytes of one interaction in a CSR shard: a column and, where there are values, a value. */
const COLUMN_BYTES = 4;
const VALUE_BYTES = 4;
/** Flops a second of one thread of the portable device, where nobody says better. */
const FLOPS_PER_SECOND = 2e9;

export interface EstimateInput {
  users: number;
  items: number;
  interactions: number;
  hasValues: boolean;
  factors: number;
  blocks: { users: readonly PlanBlock[]; items: readonly PlanBlock[] };
  workers: number;
  threads: number;
  /** Speed of one thread. @default that of the portable device */
  flopsPerSecond?: number;
}

export interface Estimates {
  /**
   * Peak memory of the coordinator: both tables twice, results that wait to be collected, and the training matrix
   * once, when the model is saved. An evaluation adds what its baselines take.
   */
  coordinatorBytes: number;
  /** Peak memory of each worker: both tables, its shards, results in flight and those that wait to be collected. */
  workerBytes: number;
  /** Factors between coordinator and all workers, both directions, an epoch. */
  wireBytesPerEpoch: number;
  flopsPerEpoch: number;
  /** By the speed assumed, with all threads busy. */
  secondsPerEpoch: number;
}

export function estimate(input: EstimateInput): Estimates {
  const { users, items, factors, blocks, workers, threads } = input;
  const tableBytes = (users + items) * factors * 4;
  const matrixBytes =
    input.interactions * (COLUMN_BYTES + (input.hasValues ? VALUE_BYTES : 0)) + (users + items) * 4;
  const all = [...blocks.users, ...blocks.items];
  const blockBytes =
    all.reduce((most, block) => Math.max(most, block.rowEnd - block.rowStart), 0) * factors * 4;
  const flopsPerEpoch = all.reduce((sum, block) => sum + block.work, 0);
  const inFlight = 2 * threads * blockBytes;
  return {
    coordinatorBytes: Math.ceil(COORDINATOR_BASE_BYTES + 3 * tableBytes + matrixBytes + workers * inFlight),
    workerBytes: Math.ceil(
      WORKER_BASE_BYTES + threads * THREAD_BYTES + 2 * tableBytes + (2 * matrixBytes) / workers + inFlight,
    ),
    // Each row goes up once and comes down to every worker but the one that computed it.
    wireBytesPerEpoch: workers * tableBytes,
    flopsPerEpoch,
    secondsPerEpoch: flopsPerEpoch / ((input.flopsPerSecond ?? FLOPS_PER_SECOND) * workers * threads),
  };
}
