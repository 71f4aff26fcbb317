// The rows of one side that a parameter process has, double-buffered by clock, and the results that were handed in for
// the next clock. Pure: who may ask is the caller's.

import { FencedError, ShapeError, StateError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import type { BlockShape } from '../parameters/delivery.js';
import { RowParts, type Rows } from './row-parts.js';
import type { RowStorage, StorageMaker } from './row-storage.js';

export interface HeldTableLayout {
  readonly side: Side;
  /** K. */
  readonly factors: number;
  /** Rows of the whole side. */
  readonly rows: number;
  readonly clock: number;
  /** Held rows, ascending. */
  readonly parts: readonly Rows[];
  /** First row of every block of the side, ascending. */
  readonly blockStarts: readonly number[];
}

/** Results of one block for the next clock. At most one stands in the table; what others handed in stands aside. */
interface Slot {
  /** The lease whose rows stand in the table of the next clock. */
  inPlace?: number;
  isAccepted: boolean;
  readonly aside: Map<number, Float32Array>;
}

/** A block is lent twice at once, thrice where results are compared; leases that ended may have left rows besides. */
const ASIDE_MAX = 4;

export class HeldTable {
  readonly #o: HeldTableLayout;
  readonly #parts: RowParts;
  readonly #buffers: readonly [RowStorage, RowStorage];
  readonly #slots = new Map<number, Slot>();
  readonly #heldBlocks: ReadonlySet<number>;
  #clock: number;
  /** The other buffer still has the clock before, whole. */
  #hasClockBefore = false;

  constructor(layout: HeldTableLayout, storage: StorageMaker) {
    this.#o = layout;
    this.#clock = layout.clock;
    this.#parts = new RowParts(layout.side, layout.parts);
    const length = this.#parts.count * layout.factors;
    this.#buffers = [storage(length), storage(length)];
    const held = layout.blockStarts
      .map((_, block) => block)
      .filter((block) => this.#parts.has(this.#rowsOf(block)));
    this.#heldBlocks = new Set(held);
  }

  get factors(): number {
    return this.#o.factors;
  }

  /** Lets the rows go. */
  close(): void {
    for (const buffer of this.#buffers) buffer.close();
  }

  get clock(): number {
    return this.#clock;
  }

  /** Results of one block that stand beside one another, at most. */
  get heldMost(): number {
    return Math.max(0, ...[...this.#slots.values()].map(({ aside }) => 1 + aside.size));
  }

  /** Of the rows at one clock. */
  get byteLength(): number {
    return this.#buffers[0].byteLength;
  }

  /** As `RowParts.pieces`. */
  pieces(ranges: readonly Rows[]): Rows[] {
    return this.#parts.pieces(ranges);
  }

  /**
   * Rows of one part at a clock, to be used at once. To be asked for again before every use: the phase may have moved on.
   *
   * @throws {FencedError} `STOA_CLOCK_GONE`.
   */
  at(clock: number, range: Rows): Float32Array {
    const isBefore = clock === this.#clock - 1 && this.#hasClockBefore;
    if (clock !== this.#clock && !isBefore) {
      throw clockGone(this.#o.side, clock, this.#clock);
    }
    const [from, to] = this.#place(range);
    return this.#buffers[clock % 2]!.read(from, to);
  }

  /**
   * Writes rows of the present clock, before the first phase. Safe to repeat.
   *
   * @throws {UsageError} rows that are not here; {FencedError} `STOA_CLOCK_GONE`: the table has gone past the clock.
   */
  fill(clock: number, rowStart: number, rows: Float32Array): void {
    if (clock !== this.#clock) throw clockGone(this.#o.side, clock, this.#clock);
    const { factors } = this.#o;
    const rowEnd = rowStart + rows.length / factors;
    for (const piece of this.pieces([{ rowStart, rowEnd }])) {
      const from = (piece.rowStart - rowStart) * factors;
      const to = (piece.rowEnd - rowStart) * factors;
      this.#edit(this.#clock, piece, (out) => out.set(rows.subarray(from, to)));
    }
  }

  /** @throws {ShapeError} there is no such block here. */
  shapeOf(block: number): BlockShape {
    if (this.#heldBlocks.has(block)) return { ...this.#rowsOf(block), factors: this.#o.factors };
    throw new ShapeError('STOA_SHAPE', `block ${block} of ${this.#o.side} has no rows in this process`);
  }

  /** What would become of a result: `held` may yet count. */
  outlook(block: number, clock: number): 'held' | 'duplicate' | 'stale' {
    if (clock !== this.#clock + 1) return 'stale';
    return this.#slots.get(block)?.isAccepted === true ? 'duplicate' : 'held';
  }

  /**
   * Takes rows of a block in, of which `outlook` said `held`.
   *
   * @param write fills in the block's rows. Where it throws nothing is held of them, and what was held before stays.
   */
  hold(block: number, leaseId: number, write: (out: Float32Array) => void): void {
    const range = this.#rowsOf(block);
    const slot: Slot = this.#slots.get(block) ?? { isAccepted: false, aside: new Map() };
    this.#slots.set(block, slot);
    if (slot.inPlace === undefined) {
      this.#hasClockBefore = false;
      this.#edit(this.#clock + 1, range, write);
      slot.inPlace = leaseId;
      return;
    }
    const rows = new Float32Array((range.rowEnd - range.rowStart) * this.#o.factors);
    write(rows);
    if (slot.inPlace === leaseId) {
      this.#edit(this.#clock + 1, range, (out) => out.set(rows));
      return;
    }
    slot.aside.delete(leaseId);
    slot.aside.set(leaseId, rows);
    for (const oldest of slot.aside.keys()) {
      if (slot.aside.size <= ASIDE_MAX) break;
      slot.aside.delete(oldest);
    }
  }

  /**
   * The result of a lease counts. Safe to repeat, within the phase and after it.
   *
   * @throws {FencedError} `STOA_CLOCK_GONE`: it is not here.
   */
  accept(block: number, clock: number, leaseId: number): void {
    if (clock <= this.#clock) return;
    const slot = clock === this.#clock + 1 ? this.#slots.get(block) : undefined;
    if (slot !== undefined && slot.inPlace !== leaseId) {
      const rows = slot.aside.get(leaseId);
      if (rows !== undefined) {
        this.#edit(clock, this.#rowsOf(block), (out) => out.set(rows));
        slot.inPlace = leaseId;
      }
    }
    if (slot?.inPlace !== leaseId) {
      throw new FencedError(
        'STOA_CLOCK_GONE',
        `the rows of block ${block} of ${this.#o.side} at clock ${clock} are not here`,
      );
    }
    slot.isAccepted = true;
    slot.aside.clear();
  }

  /**
   * Ends the phase: `clock` becomes the present one. Safe to repeat.
   *
   * @throws {StateError} `STOA_RUN_STATE`: it is not the next clock, or blocks are missing.
   */
  commit(clock: number): void {
    if (clock === this.#clock) return;
    const isAccepted = (block: number) => this.#slots.get(block)?.isAccepted === true;
    const missing = [...this.#heldBlocks].filter((block) => !isAccepted(block)).length;
    if (clock !== this.#clock + 1 || missing > 0) {
      throw new StateError(
        'STOA_RUN_STATE',
        `${this.#o.side} cannot go from clock ${this.#clock} to ${clock}: ${missing} blocks are missing`,
      );
    }
    this.#clock = clock;
    this.#hasClockBefore = true;
    this.#slots.clear();
  }

  #rowsOf(block: number): Rows {
    const { blockStarts, rows } = this.#o;
    return { rowStart: blockStarts[block]!, rowEnd: blockStarts[block + 1] ?? rows };
  }

  #edit(clock: number, range: Rows, write: (out: Float32Array) => void): void {
    const [from, to] = this.#place(range);
    this.#buffers[clock % 2]!.edit(from, to, write);
  }

  /** Where rows of one part stand in a buffer, in numbers. */
  #place({ rowStart, rowEnd }: Rows): [from: number, to: number] {
    const from = this.#parts.local(rowStart);
    const { factors } = this.#o;
    return [from * factors, (from + rowEnd - rowStart) * factors];
  }
}

function clockGone(side: Side, asked: number, present: number): FencedError {
  return new FencedError(
    'STOA_CLOCK_GONE',
    `${side} at clock ${asked} cannot be read or filled, the table is at clock ${present}; the phase has moved on`,
  );
}
