import { assert } from '../../common/errors.js';
import { barrierWeight, wayGone } from '../../models/sgd/merge-weights.js';
import type { RowDeltas } from './shared-rows.js';

/**
 * The updates of one clock, summed in the order of the blocks, never of arrival: one that comes early waits for those
 * before it. Can be used again for another clock.
 */
export class ClockSum {
  readonly #columns: number;
  /** [rows, columns]. */
  readonly #sum: Float64Array;
  /** Of each row: changes, and Σ `wayGone` over the blocks; rows with 0 changes have a sum of 0. */
  readonly #changes: Float64Array;
  readonly #waysGone: Float64Array;
  readonly #early = new Map<number, RowDeltas>();
  #next = 0;
  #rate = 0;

  constructor(rows: number, columns: number) {
    this.#columns = columns;
    this.#sum = new Float64Array(rows * columns);
    this.#changes = new Float64Array(rows);
    this.#waysGone = new Float64Array(rows);
  }

  /** Blocks whose updates are in the sum. */
  get count(): number {
    return this.#next;
  }

  /** Starts with nothing. @param rate q of `models/sgd/merge-weights.ts`. */
  begin(rate: number): void {
    assert(this.#early.size === 0, 'every early update was taken');
    this.#next = 0;
    this.#rate = rate;
  }

  /** Each block once, in any order. The arrays may be kept for a while and must not change. */
  add(block: number, deltas: RowDeltas): void {
    assert(block >= this.#next && !this.#early.has(block), `block ${block} counts once`);
    this.#early.set(block, deltas);
    for (let ready = this.#early.get(this.#next); ready !== undefined; ready = this.#early.get(this.#next)) {
      this.#early.delete(this.#next++);
      this.#take(ready);
    }
  }

  /** Adds the weighed sum to a table, [rows, columns], and empties itself. */
  applyTo(table: Float32Array): void {
    const columns = this.#columns;
    for (let row = 0; row < this.#changes.length; row++) {
      if (this.#changes[row] === 0) continue;
      const weight = barrierWeight(this.#rate, this.#changes[row]!, this.#waysGone[row]!);
      for (let at = row * columns; at < (row + 1) * columns; at++) {
        table[at] = table[at]! + weight * this.#sum[at]!;
        this.#sum[at] = 0;
      }
      this.#changes[row] = 0;
      this.#waysGone[row] = 0;
    }
  }

  #take({ rows, deltas, counts }: RowDeltas): void {
    const columns = this.#columns;
    for (let n = 0; n < rows.length; n++) {
      const row = rows[n]!;
      if (counts[n] === 0) continue;
      this.#changes[row] = this.#changes[row]! + counts[n]!;
      this.#waysGone[row] = this.#waysGone[row]! + wayGone(this.#rate, counts[n]!);
      const from = n * columns;
      const to = row * columns;
      for (let k = 0; k < columns; k++) this.#sum[to + k] = this.#sum[to + k]! + deltas[from + k]!;
    }
  }
}
