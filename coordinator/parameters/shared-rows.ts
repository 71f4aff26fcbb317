import { assert } from '../../common/errors.js';
import { sharedFloat32 } from '../../common/shared-memory.js';
import { arrivalWeight } from '../../models/sgd/merge-weights.js';
import { ClockSum } from './clock-sum.js';

/** What one block pushes for one clock. */
export interface RowDeltas {
  /** Ascending. */
  readonly rows: Int32Array;
  /** [rows.length, columns]. */
  readonly deltas: Float32Array;
  /** How often the block changed each row, [rows.length]. */
  readonly counts: Uint32Array;
}

export interface SharedRowsOptions {
  readonly rows: number;
  readonly columns: number;
  /** Blocks that push at every clock. */
  readonly blocks: number;
  /** Pushes show at once (`asp`), not clock by clock. */
  readonly isImmediate: boolean;
  /** A block may be ahead of the complete clocks, and then sees its own updates besides. */
  readonly isAhead: boolean;
  /** q of `models/sgd/merge-weights.ts` at a clock. */
  readonly mergeRate: (clock: number) => number;
}

/**
 * The table that all blocks read and push to: f32 [rows, columns] over shared memory.
 *
 * By clocks: the table holds every update stamped below `clock` and no other; the updates of a clock are summed in
 * the order of the blocks, whatever the order of arrival, and enter together when all are in. So a read depends on
 * `clock` alone (and on the block's own later updates), and under `bsp` the bits do not depend on who computes.
 * Immediate: every update enters as it arrives.
 *
 * Each (block, clock) must be pushed once, clocks of a block in order: `SyncClocks` sees to it.
 * Memory: the table, and two f64 of every column for each clock that is under way.
 */
export class SharedRows {
  readonly table: Float32Array;
  readonly #o: SharedRowsOptions;
  #clock = 0;
  readonly #sums = new Map<number, ClockSum>();
  #spare: ClockSum | undefined;
  /** Updates of blocks ahead of `clock`, ascending by clock. */
  readonly #own = new Map<number, { clock: number; deltas: RowDeltas }[]>();
  /** Immediate: changes of every row so far, and as they were when a block last read. */
  readonly #changes: Float64Array | undefined;
  readonly #changesRead = new Map<number, Float64Array>();

  constructor(options: SharedRowsOptions) {
    this.#o = options;
    this.table = sharedFloat32(options.rows * options.columns);
    if (options.isImmediate) this.#changes = new Float64Array(options.rows);
  }

  /** Every update stamped below it is in the table. */
  get clock(): number {
    return this.#clock;
  }

  /** Clocks of which some updates are in and some are not: at most the lead of a block, plus 1. */
  get clocksUnderWay(): number {
    return this.#sums.size;
  }

  /** Begins at a clock: the bytes of its table are to be written into `table`. */
  setClock(clock: number): void {
    assert(this.#sums.size === 0, 'nothing is under way');
    this.#clock = clock;
  }

  /** Rows as a block sees them: [rows.length, columns]. */
  read(block: number, rows: Int32Array): Float32Array {
    const { columns } = this.#o;
    const out = new Float32Array(rows.length * columns);
    for (let n = 0; n < rows.length; n++) {
      const from = rows[n]! * columns;
      out.set(this.table.subarray(from, from + columns), n * columns);
    }
    for (const { deltas } of this.#own.get(block) ?? []) addOwn(out, rows, deltas, columns);
    if (this.#changes !== undefined) {
      this.#changesRead.set(
        block,
        Float64Array.from(rows, (row) => this.#changes![row]!),
      );
    }
    return out;
  }

  /** Takes an accepted push. */
  add(block: number, clock: number, deltas: RowDeltas): void {
    if (this.#changes !== undefined) {
      this.#addNow(block, clock, deltas);
      return;
    }
    assert(clock >= this.#clock, 'the clock is under way');
    let sum = this.#sums.get(clock);
    if (sum === undefined) {
      sum = this.#spare ?? new ClockSum(this.#o.rows, this.#o.columns);
      this.#spare = undefined;
      sum.begin(this.#o.mergeRate(clock));
      this.#sums.set(clock, sum);
    }
    sum.add(block, deltas);
    if (!this.#o.isAhead) return;
    const own = this.#own.get(block) ?? [];
    own.push({ clock, deltas });
    this.#own.set(block, own);
  }

  /** Ends the next clock: all of its updates are in. */
  commit(): void {
    const sum = this.#sums.get(this.#clock);
    if (sum !== undefined) {
      assert(sum.count === this.#o.blocks, 'every block has pushed');
      sum.applyTo(this.table);
      this.#sums.delete(this.#clock);
      this.#spare = sum;
    }
    this.#clock++;
    for (const [block, own] of this.#own) {
      const later = own.filter(({ clock }) => clock >= this.#clock);
      if (later.length === 0) this.#own.delete(block);
      else this.#own.set(block, later);
    }
  }

  #addNow(block: number, clock: number, { rows, deltas, counts }: RowDeltas): void {
    const { columns } = this.#o;
    const changes = this.#changes!;
    const before = this.#changesRead.get(block);
    const rate = this.#o.mergeRate(clock);
    for (let n = 0; n < rows.length; n++) {
      const row = rows[n]!;
      const others = changes[row]! - (before?.[n] ?? changes[row]!);
      const weight = arrivalWeight(rate, others);
      const to = row * columns;
      for (let k = 0; k < columns; k++) {
        this.table[to + k] = this.table[to + k]! + weight * deltas[n * columns + k]!;
      }
      changes[row] = changes[row]! + counts[n]!;
    }
    this.#changesRead.delete(block);
  }
}

/** Adds the deltas of those rows that are read; both lists ascend. */
function addOwn(out: Float32Array, rows: Int32Array, own: RowDeltas, columns: number): void {
  let at = 0;
  for (let n = 0; n < rows.length; n++) {
    while (at < own.rows.length && own.rows[at]! < rows[n]!) at++;
    if (own.rows[at] !== rows[n]) continue;
    for (let k = 0; k < columns; k++) {
      out[n * columns + k] = out[n * columns + k]! + own.deltas[at * columns + k]!;
    }
  }
}
