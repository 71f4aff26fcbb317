import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { Snapshot } from '../../coordinator/training/checkpoint.js';
import { packedGramLength } from '../../models/gram.js';

export const RUN_ID = 'made-up';
const FACTORS = 16;
const ROWS = { users: 20_000, items: 3000 };
const config = parseRunConfig({ 'ials.factors': FACTORS });

/** Tables after so many phases, every number of which depends on the clock of its table. */
export function snapshotAt(phases: number): Snapshot {
  const clocks = { users: Math.ceil(phases / 2), items: Math.floor(phases / 2) };
  const table = (side: 'users' | 'items') =>
    Float32Array.from({ length: ROWS[side] * FACTORS }, (_, n) => clocks[side] * 1000 + (n % 1000));
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
