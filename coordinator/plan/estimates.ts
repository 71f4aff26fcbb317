// What a run will need, before it starts: for `stoa plan`, rounded up rather than down.

import type { PlanBlock } from './plan-blocks.js';

/** A coordinator without tables: Node, gRPC, the plan. Measured, rounded up. */
const COORDINATOR_BASE_BYTES = 220e6;
/** Both tables at two clocks, and a checkpoint that is written of them piece by piece. Measured with K = 32 and 64. */
export const COORDINATOR_TABLES = 2.5;
/** A worker without tables and shards: Node, gRPC, its threads' stacks. Measured, rounded up. */
const WORKER_BASE_BYTES = 130e6;
const THREAD_BYTES = 25e6;
/** Copies of both tables in a worker: on the device, in results under way, and what the collector has not taken yet. */
const WORKER_TABLES = 3;
/** Bytes of one interaction in a CSR shard: a column and, where there are values, a value. */
const COLUMN_BYTES = 4;
const VALUE_BYTES = 4;

export interface EstimateInput {
  users: number;
  items: number;
  interactions: number;
  hasValues: boolean;
  factors: number;
  /** Of a number of a row in a message. */
  wireBytes: 2 | 4;
  blocks: { users: readonly PlanBlock[]; items: readonly PlanBlock[] };
  workers: number;
  threads: number;
  /** How often an epoch goes through the blocks of a side: the clocks of a run that pushes and pulls, else 1. */
  clocksPerEpoch: number;
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
}

export function estimate(input: EstimateInput): Estimates {
  const { users, items, factors, blocks, workers, threads } = input;
  const tableBytes = (users + items) * factors * 4;
  const matrixBytes =
    input.interactions * (COLUMN_BYTES + (input.hasValues ? VALUE_BYTES : 0)) + (users + items) * 4;
  const all = [...blocks.users, ...blocks.items];
  const blockBytes =
    all.reduce((most, block) => Math.max(most, block.rowEnd - block.rowStart), 0) * factors * 4;
  const flopsPerEpoch = input.clocksPerEpoch * all.reduce((sum, block) => sum + block.work, 0);
  const inFlight = 2 * threads * blockBytes;
  return {
    coordinatorBytes: Math.ceil(
      COORDINATOR_BASE_BYTES + COORDINATOR_TABLES * tableBytes + matrixBytes + workers * inFlight,
    ),
    workerBytes: Math.ceil(
      WORKER_BASE_BYTES +
        threads * THREAD_BYTES +
        WORKER_TABLES * tableBytes +
        (2 * matrixBytes) / workers +
        inFlight,
    ),
    // Each row goes up once and comes down to every worker but the one that computed it.
    wireBytesPerEpoch: (workers * tableBytes * input.wireBytes) / 4,
    flopsPerEpoch,
  };
}
