// The plan of a run: what is cut where, who starts with what, and what it will need. Pure.

import type { ShardEntry } from '../../datasets/manifest.js';
import type { Side } from '../../models/csr.js';
import { clocksPerEpoch } from '../schedule/sync/clock-steps.js';
import { parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';
import { type Estimates, estimate } from './estimates.js';
import { placeShard } from './placement.js';
import { type PlanBlock, planBlocks } from './plan-blocks.js';
import { planStepBlocks } from './plan-step-blocks.js';
import { columnsOf, type RunConfig, solverOf } from './run-config.js';

/** Of the way blocks are cut: raised when the same data and configuration would give other blocks. */
export const PLAN_VERSION = 2;

export interface PlanInput {
  counts: { users: number; items: number; interactions: number; hasValues: boolean };
  rowCounts: { users: Int32Array; items: Int32Array };
  shards: { users: readonly ShardEntry[]; items: readonly ShardEntry[] };
  config: RunConfig;
  /** Workers to place shards on and to estimate for. */
  workers: number;
  /** Threads of each worker. */
  threads: number;
}

export interface PlannedShard {
  index: number;
  rowStart: number;
  rowEnd: number;
  interactions: number;
  work: number;
  blocks: number;
  /** 0 to `workers` − 1: where rendezvous hashing puts it among workers of equal speed. */
  worker: number;
}

export interface RunPlan {
  version: number;
  users: number;
  items: number;
  interactions: number;
  /** Columns of a row: K, and those of biases. */
  factors: number;
  /** Functions of the data and the configuration only. */
  blocks: { users: PlanBlock[]; items: PlanBlock[] };
  shards: { users: PlannedShard[]; items: PlannedShard[] };
  estimates: Estimates;
}

export function planRun(input: PlanInput): RunPlan {
  const { counts, config, workers, threads } = input;
  const factors = columnsOf(config);
  const blocks = config.model === 'ials' ? phaseBlocks(input) : { users: stepBlocks(input), items: [] };
  const place = (side: Side) => planShards(side, input.shards[side], blocks[side], workers);
  return {
    version: PLAN_VERSION,
    users: counts.users,
    items: counts.items,
    interactions: counts.interactions,
    factors,
    blocks,
    shards: { users: place('users'), items: place('items') },
    estimates: estimate({
      ...counts,
      factors,
      wireBytes: config['train.wire'] === 'bf16' ? 2 : 4,
      blocks,
      workers,
      threads,
      clocksPerEpoch: clocksOf(config),
    }),
  };
}

function phaseBlocks({ config, rowCounts, shards }: PlanInput): RunPlan['blocks'] {
  const factors = columnsOf(config);
  const solver = solverOf(config);
  const cut = (side: Side) =>
    planBlocks({ side, rowCounts: rowCounts[side], shards: shards[side], factors, solver });
  return { users: cut('users'), items: cut('items') };
}

function stepBlocks({ config, rowCounts, shards }: PlanInput): PlanBlock[] {
  return planStepBlocks({
    model: config.model === 'mf' ? 'mf' : 'bpr',
    rowCounts: rowCounts.users,
    shards: shards.users,
    columns: columnsOf(config),
    clocksPerEpoch: clocksOf(config),
  });
}

function clocksOf(config: RunConfig): number {
  if (config.model === 'ials') return 1;
  return clocksPerEpoch(config['train.steps'], stepsPerClock(parseSyncMode(config['train.sync'])));
}

function planShards(
  side: Side,
  shards: readonly ShardEntry[],
  blocks: readonly PlanBlock[],
  workers: number,
): PlannedShard[] {
  const candidates = Array.from({ length: workers }, (_, n) => ({ key: `worker-${n + 1}`, weight: 1, n }));
  return shards.map((shard, index) => {
    const own = blocks.filter((block) => block.shard === index);
    return {
      index,
      rowStart: shard.rowStart,
      rowEnd: shard.rowEnd,
      interactions: shard.interactions,
      work: own.reduce((sum, block) => sum + block.work, 0),
      blocks: own.length,
      worker: placeShard(side, index, candidates)?.n ?? 0,
    };
  });
}
