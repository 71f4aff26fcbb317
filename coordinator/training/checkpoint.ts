// A checkpoint: the tables at the end of a phase with their Grams.

import type { Side } from '../../models/csr.js';
import type { ParameterStore, TableSums } from '../parameters/parameter-store.js';
import type { RunConfig } from '../plan/run-config.js';

/** A store's tables at one moment. They are not copied: see `Checkpoints.untilCaptured`. */
export interface Snapshot {
  runId: string;
  /** Identity of the data and the blocks: a checkpoint goes with one plan. */
  plan: string;
  config: RunConfig;
  /** First phase that is still to be done. */
  nextPhase: number;
  factors: number;
  clocks: Record<Side, number>;
  tables: Record<Side, Float32Array>;
  /** None of models that have none. */
  sums: Partial<Record<Side, TableSums>>;
  /** The tables that the run is to end with unless a later epoch is better, where these are not they. */
  best?: { nextPhase: number; clocks: Record<Side, number>; tables: Readonly<Record<Side, Float32Array>> };
}

export function snapshotOf(
  store: ParameterStore,
  run: { runId: string; plan: string; config: RunConfig },
  nextPhase: number,
): Snapshot {
  const { tables } = store;
  return {
    ...run,
    nextPhase,
    factors: tables.factors,
    clocks: { users: tables.clock('users'), items: tables.clock('items') },
    tables: { users: tables.current('users'), items: tables.current('items') },
    sums: { users: store.sums('users'), items: store.sums('items') },
  };
}

/** Puts what `snapshotOf` told into a fresh store of the same shape. */
export function restoreStore(
  store: ParameterStore,
  { clocks, tables, sums }: Pick<Snapshot, 'clocks' | 'tables' | 'sums'>,
): void {
  for (const side of ['users', 'items'] as const) {
    store.tables.setClock(side, clocks[side]);
    store.tables.current(side).set(tables[side]);
    store.setSums(side, sums[side]!);
  }
}
