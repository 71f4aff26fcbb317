// What one seed decides of a run before it begins: its family, its blocks, its length.

import { createRandom, type Random } from '../../common/random.js';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import type { RunTask } from '../../coordinator/schedule/events.js';
import { leadMax, type SyncMode } from '../../coordinator/schedule/sync/sync-mode.js';
import type { Side } from '../../models/csr.js';

export const RUN_ID = 'run';
/** Columns of a row of the phases' tables: enough for a Gram with a corner. */
export const FACTORS = 2;

export interface SimulatedPlan {
  readonly seed: number;
  readonly blocks: { readonly users: readonly PlanBlock[]; readonly items: readonly PlanBlock[] };
  readonly rows: Readonly<Record<Side, number>>;
  readonly phases: number;
  /** Share of the blocks that two workers compute: all or none. */
  readonly auditShare: number;
  /** Parameter processes that the run needs; 0: its rows are with the coordinator. */
  readonly holders: number;
  /** Of a run that pushes and pulls. */
  readonly sync?: { readonly mode: SyncMode; readonly clocksPerPhase: number };
}

export function drawPlan(seed: number): SimulatedPlan {
  const random = createRandom(seed, 4);
  const holders = random.int(4) === 0 ? 1 + random.int(3) : 0;
  return { ...drawRun(seed), holders };
}

function drawRun(seed: number): Omit<SimulatedPlan, 'holders'> {
  const random = createRandom(seed, 2);
  if (random.int(2) === 0) {
    const blocks = { users: drawBlocks('users', random, 18), items: drawBlocks('items', random, 14) };
    const auditShare = random.int(3) === 0 ? 1 : 0;
    return { seed, blocks, rows: rowsOf(blocks), phases: 1 + random.int(7), auditShare };
  }
  const blocks = { users: drawBlocks('users', random, 9, 1), items: [] };
  const sync = { mode: drawMode(random), clocksPerPhase: 1 + random.int(6) };
  // One row of the shared side for every block, and one that all of them change.
  const rows = { users: blocks.users.length, items: blocks.users.length + 1 };
  const isComparable = leadMax(sync.mode) === 0;
  const auditShare = isComparable && random.int(3) === 0 ? 1 : 0;
  return { seed, blocks, rows, phases: 1 + random.int(3), sync, auditShare };
}

/** Clocks of a run that pushes and pulls. */
export function clocksOf({ phases, sync }: SimulatedPlan): number {
  return phases * sync!.clocksPerPhase;
}

export function taskOf({ blocks, phases, sync, auditShare }: SimulatedPlan, phaseStart: number): RunTask {
  const solver = sync === undefined ? 'cholesky' : 'sgd';
  const run = { runId: RUN_ID, solver, isDeterministic: true, auditShare, factors: FACTORS, blocks } as const;
  return { ...run, phaseStart, phaseEnd: phases, sync };
}

/** Whether the bits of the model depend on the data alone. */
export function isReproducible({ sync }: SimulatedPlan): boolean {
  return sync === undefined || leadMax(sync.mode) === 0;
}

function drawMode(random: Random): SyncMode {
  const modes: SyncMode[] = [
    { kind: 'bsp' },
    { kind: 'ssp', staleness: random.int(4) },
    { kind: 'asp' },
    { kind: 'local', localSteps: 3 },
  ];
  return modes[random.int(modes.length)]!;
}

function drawBlocks(side: Side, random: Random, blocksMax: number, rowsMax = 3): PlanBlock[] {
  const shards = 1 + random.int(3);
  let rowStart = 0;
  return Array.from({ length: 1 + random.int(blocksMax) }, (_, index) => {
    const work = 20 + random.int(300);
    const rowEnd = rowStart + 1 + random.int(rowsMax);
    const block = { side, index, shard: index % shards, rowStart, rowEnd, interactions: work, work };
    rowStart = rowEnd;
    return block;
  });
}

function rowsOf(blocks: SimulatedPlan['blocks']): Record<Side, number> {
  return { users: blocks.users.at(-1)!.rowEnd, items: blocks.items.at(-1)!.rowEnd };
}
