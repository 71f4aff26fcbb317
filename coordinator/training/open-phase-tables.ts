// The tables of a run that trains in phases, filled: here, or in parameter processes.

import { packedGramLength } from '../../models/gram.js';
import { PlacedStore } from '../holders/placed-store.js';
import type { PlacedTables } from '../holders/placed-tables.js';
import { ParameterStore } from '../parameters/parameter-store.js';
import type { TableSums } from '../parameters/phase-ledger.js';
import type { RowSource } from '../parameters/row-source.js';
import type { RunPlan } from '../plan/plan-run.js';
import type { RunConfig } from '../plan/run-config.js';
import { restoreStore, type Snapshot } from './checkpoint.js';
import { initialItems } from './initial-factors.js';

/** What tables are filled from at the beginning. */
export interface Beginning {
  config: RunConfig;
  plan: RunPlan;
  rowCounts: { users: Int32Array; items: Int32Array };
}

/** @param snapshot where the run goes on; absent: at the beginning. */
export async function openStore(
  { config, plan, rowCounts }: Beginning,
  snapshot: Snapshot | undefined,
): Promise<ParameterStore> {
  const store = new ParameterStore({ users: plan.users, items: plan.items, factors: plan.factors });
  if (snapshot !== undefined) {
    restoreStore(store, snapshot);
    return store;
  }
  const items = store.tables.current('items');
  const sums = await initialItems(plan.blocks.items, rowCounts, config, (rowStart, rows) =>
    items.set(rows, rowStart * plan.factors),
  );
  setFirstSums(store, sums);
  return store;
}

/** As `openStore`, over tables that were opened at the clocks of the snapshot. @throws {HolderLost}. */
export async function openPlacedStore(
  { config, plan, rowCounts }: Beginning,
  placed: PlacedTables,
  snapshot: Snapshot<RowSource> | undefined,
): Promise<PlacedStore> {
  const store = new PlacedStore(placed, snapshot?.clocks ?? { users: 0, items: 0 });
  if (snapshot === undefined) {
    const put = (rowStart: number, rows: Float32Array) => placed.fill('items', 0, rowStart, rows);
    setFirstSums(store, await initialItems(plan.blocks.items, rowCounts, config, put));
    return store;
  }
  for (const side of ['users', 'items'] as const) {
    await placed.fillFrom(side, snapshot.clocks[side], snapshot.tables[side]);
    store.setSums(side, snapshot.sums[side]!);
  }
  return store;
}

function setFirstSums(store: ParameterStore | PlacedStore, items: TableSums): void {
  store.setSums('items', items);
  store.setSums('users', { gram: new Float64Array(packedGramLength(store.factors)), penalty: 0 });
}
