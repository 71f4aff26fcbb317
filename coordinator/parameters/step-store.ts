import { sharedFloat32 } from '../../common/shared-memory.js';
import type { Side } from '../../models/csr.js';
import { SharedRows, type SharedRowsOptions } from './shared-rows.js';

/**
 * The tables of a run that pushes and pulls. Rows of users belong to one block each, which alone reads and writes
 * them; rows of items are shared. Beside them stands what they were at the last complete epoch: what a run that is
 * stopped in the middle of the next one goes on from.
 *
 * Memory: twice both tables, and what `SharedRows` needs for the clocks under way.
 */
export class StepStore {
  /** Columns of a row. */
  readonly columns: number;
  /** f32 [users, columns]. */
  readonly users: Float32Array;
  readonly items: SharedRows;
  readonly #kept: Record<Side, Float32Array>;

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

  /** Keeps the tables as they are: initially, and when an epoch is complete. */
  keep(): void {
    this.#kept.users.set(this.users);
    this.#kept.items.set(this.items.table);
  }
}
