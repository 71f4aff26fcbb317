import { assert } from '../../common/errors.js';
import { sharedFloat32 } from '../../common/shared-memory.js';
import type { Side } from '../../models/csr.js';

interface DoubleBuffer {
  readonly rows: number;
  /** Phases that the table has completed; `buffers[clock % 2]` is the table at this clock. */
  clock: number;
  readonly buffers: [Float32Array, Float32Array];
}

/**
 * The factor tables of a run, f32 [rows, K] row-major over shared memory, double-buffered by clock: the table at the
 * present clock is complete and never changes, rows of the next clock are collected beside it.
 * Memory: 2 × (users + items) × K × 4 bytes.
 */
export class FactorTables {
  readonly factors: number;
  readonly #sides: Record<Side, DoubleBuffer>;

  constructor({ users, items, factors }: { users: number; items: number; factors: number }) {
    this.factors = factors;
    const buffer = (rows: number): DoubleBuffer => ({
      rows,
      clock: 0,
      buffers: [sharedFloat32(rows * factors), sharedFloat32(rows * factors)],
    });
    this.#sides = { users: buffer(users), items: buffer(items) };
  }

  /** Of the tables at one clock, without their second buffers. */
  get byteLength(): number {
    return 4 * this.factors * (this.rows('users') + this.rows('items'));
  }

  rows(side: Side): number {
    return this.#sides[side].rows;
  }

  clock(side: Side): number {
    return this.#sides[side].clock;
  }

  /** The complete table at the present clock. */
  current(side: Side): Float32Array {
    const { buffers, clock } = this.#sides[side];
    return buffers[clock % 2]!;
  }

  /** The table at a clock, or undefined where it is not (or no longer) kept. */
  at(side: Side, clock: number): Float32Array | undefined {
    return clock === this.clock(side) ? this.current(side) : undefined;
  }

  /** Where rows `rowStart` (in) to `rowEnd` (out) of the next clock are collected, to be written in place. */
  next(side: Side, rowStart: number, rowEnd: number): Float32Array {
    const { buffers, clock } = this.#sides[side];
    return buffers[(clock + 1) % 2]!.subarray(rowStart * this.factors, rowEnd * this.factors);
  }

  /** Makes the next clock the present one. */
  commit(side: Side): void {
    this.#sides[side].clock++;
  }

  /** Starts from tables of an earlier life: their bytes are to be written into `current`. */
  setClock(side: Side, clock: number): void {
    assert(clock >= 0, 'clocks count from 0');
    this.#sides[side].clock = clock;
  }
}
