import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { RunTask, SessionInfo } from '../../coordinator/schedule/events.js';
import type { Snapshot } from '../../coordinator/training/checkpoint.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import { packedGramLength } from '../../models/gram.js';

export const RUN_ID = 'made-up';
const FACTORS = 16;
const ROWS = { users: 20_000, items: 3000 };
const BLOCKS = 4;
const config = parseRunConfig({ 'ials.factors': FACTORS });

/** Tables after so many phases, every number of which depends on the clock of its table. */
export function snapshotAt(phases: number): Snapshot {
  const clocks = { users: Math.ceil(phases / 2), items: Math.floor(phases / 2) };
  const table = (side: 'users' | 'items') => {
    const rows = new Float32Array(ROWS[side] * FACTORS);
    for (let n = 0; n < rows.length; n++) rows[n] = clocks[side] * 1000 + (n % 1000);
    return rows;
  };
  const sums = (side: 'users' | 'items') => ({
    gram: new Float64Array(packedGramLength(FACTORS)).fill(clocks[side]),
    penalty: undefined,
  });
  return {
    runId: RUN_ID,
    plan: 'made-up',
    config,
    nextPhase: phases,
    factors: FACTORS,
    clocks,
    tables: { users: table('users'), items: table('items') },
    sums: { users: sums('users'), items: sums('items') },
  };
}

/** A run over these tables that does not end, from a phase on. */
export function madeUpTask(phaseStart: number): RunTask {
  const blocks = (side: 'users' | 'items') =>
    Array.from({ length: BLOCKS }, (_, index) => ({
      side,
      index,
      shard: 0,
      rowStart: (index * ROWS[side]) / BLOCKS,
      rowEnd: ((index + 1) * ROWS[side]) / BLOCKS,
      interactions: ROWS[side],
      work: ROWS[side] * FACTORS,
    }));
  return {
    runId: RUN_ID,
    solver: 'cholesky',
    factors: FACTORS,
    blocks: { users: blocks('users'), items: blocks('items') },
    phaseStart,
    phaseEnd: 1_000_000,
  };
}

/** What a worker says of itself that delivers whatever it is lent. */
export function madeUpWorker(): Omit<SessionInfo, 'sessionId'> & { facts: DeviceFacts } {
  const facts = { device: 'portable', name: RUN_ID, provider: null, adapter: null, driver: null, isa: null };
  return {
    name: RUN_ID,
    threads: BLOCKS,
    solvers: ['cholesky'],
    gathers: [],
    reproducibilityKey: RUN_ID,
    gflops: 0,
    factorsMax: FACTORS,
    facts: { ...facts, precision: null, software: false, threads: BLOCKS },
  };
}
