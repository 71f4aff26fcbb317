// The rows of a table that a batch reads, packed one after the other: how a table that is not on the GPU gets there.

import type { DeviceTable } from './device-table.js';

/** For each row of the table, its place in the packed rows; remembered from batch to batch. */
export class GatheredRows {
  readonly #table: DeviceTable;
  readonly #places: Int32Array;
  /** The table's rows, in the order of their places. */
  #packed: number[] = [];

  constructor(table: DeviceTable) {
    this.#table = table;
    this.#places = new Int32Array(table.rows).fill(-1);
  }

  get rows(): number {
    return this.#packed.length;
  }

  /** Begins a batch that reads the rows `idx`. */
  begin(idx: Int32Array): void {
    for (const row of this.#packed) this.#places[row] = -1;
    this.#packed = [];
    for (const row of idx) {
      if (this.#places[row]! >= 0) continue;
      this.#places[row] = this.#packed.length;
      this.#packed.push(row);
    }
  }

  /** Writes the places of `idx` among the packed rows. */
  writePlaces(idx: Int32Array, target: Int32Array): void {
    for (let e = 0; e < idx.length; e++) target[e] = this.#places[idx[e]!]!;
  }

  /** Writes the packed rows: [rows, stride]. */
  writeRows(target: Float32Array): void {
    const { host, factors, stride } = this.#table;
    let to = 0;
    for (const row of this.#packed) {
      const from = row * factors;
      for (let k = 0; k < factors; k++) target[to + k] = host![from + k]!;
      for (let k = factors; k < stride; k++) target[to + k] = 0;
      to += stride;
    }
  }
}
