import { sharedFloat32 } from '../../common/shared-memory.js';
import type { Side } from '../../models/csr.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import { arraySource, type RowSource } from './row-source.js';
import { SharedRows, type SharedRowsOptions } from './shared-rows.js';
import type { StepDelivery } from './step-delivery.js';
import type { StepAnswer } from './step-service.js';
import type { StepTables } from './step-tables.js';

/**
 * The tables of a run that pushes and pulls. Rows of users belong to one block each, which alone reads and writes
 * them; rows of items are shared. Beside them stands what they were at the last complete epoch: what a run that is
 * stopped in the middle of the next one goes on from.
 *
 * Memory: twice both tables, three times once `keepBest` was called, and what `SharedRows` needs for the clocks under
 * way.
 */
export class StepStore implements StepTables {
  /** Columns of a row. */
  readonly columns: number;
  /** f32 [users, columns]. */
  readonly users: Float32Array;
  readonly items: SharedRows;
  readonly #kept: Record<Side, Float32Array>;
  #best: Record<Side, Float32Array> | undefined;

  constructor(options: { users: number } & SharedRowsOptions) {
    this.columns = options.columns;
    this.users = sharedFloat32(options.users * options.columns);
    this.items = new SharedRows(options);
    this.#kept = { users: sharedFloat32(this.users.length), items: sharedFloat32(this.items.table.length) };
  }

  get clock(): number {
    return this.items.clock;
  }

  answer({ block, items }: { block: PlanBlock; items: Int32Array }, staleness: number): StepAnswer {
    const { columns, clock } = this;
    const { index, rowStart, rowEnd } = block;
    const users = this.users.slice(rowStart * columns, rowEnd * columns);
    return { clock, staleness, users, rowStart, items: this.items.read(index, items), columns };
  }

  apply({ index, rowStart }: PlanBlock, { clock, users, deltas }: StepDelivery): void {
    this.users.set(users, rowStart * this.columns);
    this.items.add(index, clock - 1, deltas);
  }

  commit(): void {
    this.items.commit();
  }

  /** The tables as they were when `keep` was called last. */
  kept(side: Side, range?: { rowStart: number; rowEnd: number }): Float32Array {
    const rows = this.#kept[side];
    if (range === undefined) return rows;
    return rows.subarray(range.rowStart * this.columns, range.rowEnd * this.columns);
  }

  source(side: Side): RowSource {
    return arraySource(this.#kept[side], this.columns);
  }

  bestRows(side: Side): Float32Array | undefined {
    return this.#best?.[side];
  }

  bestSource(side: Side): RowSource | undefined {
    return this.#best && arraySource(this.#best[side], this.columns);
  }

  /** Keeps what `keep` kept, or other tables, until it is called again: the tables of the best epoch so far. */
  keepBest(tables: Readonly<Record<Side, Float32Array>> = this.#kept): void {
    this.#best ??= { users: sharedFloat32(this.users.length), items: sharedFloat32(this.items.table.length) };
    this.#best.users.set(tables.users);
    this.#best.items.set(tables.items);
  }

  /** Keeps the tables as they are: initially, and when an epoch is complete. */
  keep(): void {
    this.#kept.users.set(this.users);
    this.#kept.items.set(this.items.table);
  }
}
