// How long an epoch takes with any number of workers: the blocks of the plan, played through phase by phase. Pure.

import { assert } from '../../common/errors.js';
import {
  BARRIER_SECONDS,
  BLOCK_SECONDS,
  type ExchangeCosts,
  MEMORY_COSTS,
  MESSAGE_COSTS,
  PHASE_SECONDS,
  WORKER_PHASE_SECONDS,
} from './exchange-costs.js';
import type { PlanBlock } from './plan-blocks.js';

/** How fast one thread solves, in flops a second, as `rowWork` counts them. */
export interface ThreadSpeed {
  /** While it computes alone on its machine. */
  alone: number;
  /** While `threads` of them do, which share memory and perhaps cores. */
  together: number;
  threads: number;
  /** Before the first row of a phase, of one thread alone: every worker makes the other side's table ready to read. */
  prepareSeconds: number;
}

export interface FleetPhase {
  blocks: readonly PlanBlock[];
  /** Rows of the other side, all of which every worker reads: their bytes. */
  fixedBytes: number;
  speed: ThreadSpeed;
  /**
   * Parameter processes have the rows, each on a machine of its own like a worker's: the largest share of the rows of
   * either side that one of them has. Absent: the coordinator has all.
   */
  placed?: { fixed: number; own: number };
}

export interface FleetModel {
  /** Of one epoch. */
  phases: readonly FleetPhase[];
  /** Bytes of a row. */
  rowBytes: number;
  /** Of each worker, >= 1. */
  threads: number;
  /** The threads of a worker solve one block together; else each has one of its own. */
  sharesBlocks: boolean;
  /** `cores`: all processes are on one machine and share them. `bytesPerSecond`: of each machine's link. */
  place: { cores: number } | { bytesPerSecond: number };
}

/** What ends sooner if it were better: where the next second would be won. */
export type Bottleneck = 'compute' | 'cores' | 'coordinator' | 'parameters' | 'network' | 'tail' | 'blocks';

/** Seconds of an epoch; together they are the epoch. */
export interface EpochParts {
  /** Solving, shared perfectly among all threads. */
  compute: number;
  /** Rows that others computed are fetched and made ready; deliveries for which who has the rows, or a link, had no time. */
  exchange: number;
  /** Threads idle because blocks cannot be shared evenly. */
  tail: number;
  /** The last delivery of a phase, its end, and the start of the next. */
  barrier: number;
}

export interface FleetEstimate {
  workers: number;
  secondsPerEpoch: number;
  /** Against one worker of as many threads. */
  speedup: number;
  parts: EpochParts;
  bottleneck: Bottleneck;
  /** Rows between workers and who has them, both directions. */
  bytesPerEpoch: number;
  /** Through the link of one worker, both directions. */
  bytesPerWorker: number;
}

/** With so few blocks for each thread, no order of them is even. */
const BLOCKS_PER_THREAD_MIN = 2;

/**
 * @param workers numbers to estimate for, each >= 1.
 * Cost: O(blocks × threads) for each.
 */
export function simulateFleet(model: FleetModel, workers: readonly number[]): FleetEstimate[] {
  const alone = estimateFleet(model, 1).secondsPerEpoch;
  return workers.map((n) => {
    const estimate = estimateFleet(model, n);
    return { ...estimate, speedup: alone / estimate.secondsPerEpoch };
  });
}

/**
 * The largest number up to which every worker added brings, on average since the last number recommended, at least
 * `worth` of what the first one does.
 *
 * @param estimates ascending by workers, at least one.
 */
export function recommendWorkers(estimates: readonly FleetEstimate[], worth: number): number {
  assert(estimates.length > 0, 'there is a number to recommend');
  return estimates.reduce((best, next) => {
    const gain = (next.speedup - best.speedup) / (next.workers - best.workers);
    return next.workers > best.workers && gain >= worth ? next : best;
  }).workers;
}

function estimateFleet(model: FleetModel, workers: number): Omit<FleetEstimate, 'speedup'> {
  const phases = model.phases.map((phase) => playPhase(phase, model, workers));
  const total = (part: (phase: PlayedPhase) => number) => phases.reduce((sum, phase) => sum + part(phase), 0);
  const parts: EpochParts = {
    compute: total((phase) => phase.compute),
    exchange: total((phase) => phase.exchange),
    tail: total((phase) => phase.tail),
    barrier: total((phase) => phase.barrier),
  };
  const down = total((phase) => phase.down);
  const up = total((phase) => phase.up);
  return {
    workers,
    secondsPerEpoch: parts.compute + parts.exchange + parts.tail + parts.barrier,
    parts,
    bottleneck: bottleneckOf(model, workers, parts, {
      isWire: total((phase) => phase.wire) > parts.exchange / 2,
      isLending: total((phase) => phase.lending) > parts.exchange / 2,
    }),
    bytesPerEpoch: down + up,
    bytesPerWorker: (down + up) / workers,
  };
}

interface PlayedPhase extends EpochParts {
  /** Bytes from who has the rows, and to them. */
  down: number;
  up: number;
  /** Of `exchange`, the part for which the link was slower than the process at its end. */
  wire: number;
  /** The part for which parameter processes had time, and the coordinator had not. */
  lending: number;
}

function playPhase(
  { blocks, fixedBytes, speed, placed }: FleetPhase,
  model: FleetModel,
  workers: number,
): PlayedPhase {
  const { threads, place, rowBytes, sharesBlocks } = model;
  const isLocal = 'cores' in place;
  // Rows of parameter processes go in messages, also on one machine.
  const costs: ExchangeCosts = isLocal && placed === undefined ? MEMORY_COSTS : MESSAGE_COSTS;
  const cores = isLocal ? place.cores : Number.POSITIVE_INFINITY;
  const linkSeconds = isLocal ? 0 : 1 / place.bytesPerSecond;
  // Processes beyond the cores take turns: they get done what one thread on each core would.
  const busyThreads = Math.min(workers * threads, cores);
  const lanes = Math.min(sharesBlocks ? workers : workers * threads, busyThreads);
  const flopsPerSecond = speedOf(speed, isLocal ? busyThreads : threads);
  const rowsOf = ({ rowStart, rowEnd }: PlanBlock) => rowEnd - rowStart;

  // Each worker kept what it computed, about its share, and fetches the rest before it can begin. Of processes that give
  // out rows at once, the one with the most is the last.
  const { fixed: givenShare, own: takenShare } = placed ?? { fixed: 1, own: 1 };
  const down = (workers - 1) * fixedBytes;
  const givenOut = down * costs.coordinatorDown;
  const takenIn = down * costs.workerDown;
  const onLink = givenShare * down * linkSeconds;
  const fetch = Math.max(
    givenShare * givenOut,
    takenIn / Math.min(workers, cores),
    onLink,
    (givenOut + takenIn) / cores,
  );

  const up = blocks.reduce((sum, block) => sum + rowsOf(block) * rowBytes, 0);
  const messages = blocks.length * BLOCK_SECONDS.worker + up * costs.workerUp;
  const solving = blocks.reduce((sum, block) => sum + block.work, 0) / flopsPerSecond;
  // Where a core is free the messages of a worker take nothing from its threads.
  const isBeside = isLocal && busyThreads < cores;
  const durations = blocks.map((block) => {
    const own = BLOCK_SECONDS.worker + rowsOf(block) * rowBytes * costs.workerUp;
    return (block.work / flopsPerSecond + (isBeside ? 0 : own)) / (busyThreads / lanes);
  });
  const makespan = listSchedule(durations, lanes);
  const compute = durations.reduce((sum, seconds) => sum + seconds, 0) / lanes;
  // Deliveries travel while others compute; where they take longer than that, the phase waits for them.
  const rowsIn = up * costs.coordinatorUp;
  const lending = blocks.length * BLOCK_SECONDS.coordinator;
  // A parameter process takes the rows of its blocks and hears that they count, while the coordinator lends and judges.
  const handedIn = placed === undefined ? 0 : blocks.length * BLOCK_SECONDS.coordinator;
  const received =
    placed === undefined ? rowsIn + lending : Math.max(lending, takenShare * (rowsIn + handedIn));
  const delivering = Math.max(received, takenShare * up * linkSeconds);
  const onCores = (solving + messages + rowsIn + lending + handedIn + PHASE_SECONDS) / cores;
  const behind = Math.max(0, delivering - makespan, onCores - makespan);

  const lastBytes = Math.max(0, ...blocks.map(rowsOf)) * rowBytes;
  const last = lastBytes * (costs.workerUp + costs.coordinatorUp + linkSeconds) + BLOCK_SECONDS.coordinator;
  const { coordinator, worker } = WORKER_PHASE_SECONDS;
  const start = Math.max(
    workers * coordinator,
    (workers * worker) / Math.min(workers, cores),
    (workers * (coordinator + worker)) / cores,
  );
  const prepare = Math.max(
    speed.prepareSeconds / Math.min(threads, cores),
    (workers * speed.prepareSeconds) / cores,
  );
  return {
    compute,
    exchange: fetch + prepare + behind,
    tail: makespan - compute,
    barrier: last + start + BARRIER_SECONDS,
    down,
    up,
    wire: (onLink >= fetch ? fetch : 0) + (takenShare * up * linkSeconds > received ? behind : 0),
    lending: placed !== undefined && lending === delivering ? behind : 0,
  };
}

/** Between one thread alone and all of them, as far as that was measured. */
function speedOf({ alone, together, threads }: ThreadSpeed, busy: number): number {
  if (threads <= 1) return alone;
  const share = Math.min(1, (busy - 1) / (threads - 1));
  return alone + share * (together - alone);
}

/** When the last task ends, if whichever lane is free first takes the next one, as workers do. */
function listSchedule(durations: readonly number[], lanes: number): number {
  const free = new Float64Array(Math.min(lanes, Math.max(1, durations.length)));
  for (const seconds of durations) {
    let first = 0;
    for (let lane = 1; lane < free.length; lane++) if (free[lane]! < free[first]!) first = lane;
    free[first] = free[first]! + seconds;
  }
  return Math.max(...free);
}

function bottleneckOf(
  { phases, threads, sharesBlocks, place }: FleetModel,
  workers: number,
  { compute, exchange, tail, barrier }: EpochParts,
  { isWire, isLending }: { isWire: boolean; isLending: boolean },
): Bottleneck {
  const isCrowded = 'cores' in place && workers * threads > place.cores;
  const lanes = sharesBlocks ? workers : workers * threads;
  if (compute >= Math.max(exchange, tail + barrier)) return isCrowded ? 'cores' : 'compute';
  if (exchange >= tail + barrier) {
    const isPlaced = phases.some(({ placed }) => placed !== undefined) && !isLending;
    return isWire ? 'network' : isPlaced ? 'parameters' : 'coordinator';
  }
  const blocks = phases.reduce((sum, phase) => sum + phase.blocks.length, 0) / phases.length;
  return blocks < BLOCKS_PER_THREAD_MIN * lanes ? 'blocks' : 'tail';
}
