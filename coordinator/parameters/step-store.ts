import { sharedFloat32 } from '../../common/shared-memory.js';
import type { Side } from '../../models/csr.js';
import { SharedRows, type SharedRowsOptions } from './shared-rows.js';

/**
 * The tables of a run that pushes and pulls. Rows of users belong to one block each, which alone reads and writes
 * them; rows of items are shared. Beside them stands what they were at the last complete epoch: what a run that is
 * stopped in the middle of the next one goes on from.
 *
 * Memory: twice both tables, three times once `keepBest` was called, and what `SharedRows` needs for the clocks under
 * way.
 */
export class StepStore {
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

  /** The tables as they were when `keep` was called last. */
  kept(side: Side): Float32Array {
    return this.#kept[side];
  }

  /** What `kept` was when `keepBest` was called last; undefined before. */
  get best(): Readonly<Record<Side, Float32Array>> | undefined {
    return this.#best;
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
