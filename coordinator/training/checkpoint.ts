// A checkpoint: the tables at the end of a phase with their Grams.

import type { Side } from '../../models/csr.js';
import type { ParameterStore } from '../parameters/parameter-store.js';
import type { TableSums } from '../parameters/phase-ledger.js';
import type { PhaseTables } from '../parameters/phase-tables.js';
import type { RowSource } from '../parameters/row-source.js';
import type { RunConfig } from '../plan/run-config.js';

/** What is known of a checkpoint besides its rows. */
export interface SnapshotFacts {
  runId: string;
  /** Identity of the data and the blocks: a checkpoint goes with one plan. */
  plan: string;
  config: RunConfig;
  /** First phase that is still to be done. */
  nextPhase: number;
  factors: number;
  clocks: Record<Side, number>;
  /** None of models that have none. */
  sums: Partial<Record<Side, TableSums>>;
}

/** With rows in this process, or, as a `RowSource`, where they are: see `Checkpoints.untilCaptured`. */
export interface Snapshot<Rows = Float32Array> extends SnapshotFacts {
  tables: Record<Side, Rows>;
  /** The tables that the run is to end with unless a later epoch is better, where these are not they. */
  best?: { nextPhase: number; clocks: Record<Side, number>; tables: Readonly<Record<Side, Rows>> };
}

export function snapshotOf(
  store: PhaseTables,
  run: { runId: string; plan: string; config: RunConfig },
  nextPhase: number,
): Snapshot<RowSource> {
  return {
    ...run,
    nextPhase,
    factors: store.factors,
    clocks: { users: store.clock('users'), items: store.clock('items') },
    tables: { users: store.source('users'), items: store.source('items') },
    sums: { users: store.sums('users'), items: store.sums('items') },
  };
}

/** Puts a snapshot into a fresh store of the same shape. */
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
