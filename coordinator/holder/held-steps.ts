// The rows of a push/pull run that a parameter process has: user rows of its blocks, a part of the items, and updates
// that were handed in. Pure: who may ask is the caller's.

import { FencedError, ShapeError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import { type RowDeltas, SharedRows } from '../parameters/shared-rows.js';
import type { StepShape } from '../parameters/step-delivery.js';
import { RowParts, type Rows } from './row-parts.js';

export interface HeldStepsLayout {
  readonly columns: number;
  /** Rows of the whole sides. */
  readonly rows: Readonly<Record<Side, number>>;
  readonly parts: Readonly<Record<Side, readonly Rows[]>>;
  /** First user row of every block, ascending. */
  readonly blockStarts: readonly number[];
  /** At which it begins. */
  readonly clock: number;
  readonly isImmediate: boolean;
  readonly isAhead: boolean;
}

/** What one block handed in for one clock, as far as it is of this process. */
export interface HeldUpdate {
  readonly leaseId: number;
  /** Clock that its rows belong to. */
  readonly clock: number;
  readonly users: Float32Array;
  readonly deltas: RowDeltas;
}

/** As of `HeldTable`. */
const UPDATES_MAX = 5;

export class HeldSteps {
  readonly #o: HeldStepsLayout;
  readonly #parts: Readonly<Record<Side, RowParts>>;
  readonly #users: Float32Array;
  readonly #items: SharedRows;
  readonly #kept: Readonly<Record<Side, Float32Array>>;
  readonly #keptClocks: Record<Side, number> = { users: -1, items: -1 };
  readonly #filledClocks: Record<Side, number> = { users: -1, items: -1 };
  readonly #best: Partial<Record<Side, { clock: number; rows: Float32Array }>> = {};
  /** By block. */
  readonly #updates = new Map<number, HeldUpdate[]>();
  /** The clock that each block has come to, as far as this process knows. */
  readonly #applied = new Map<number, number>();
  /** Updates that are in of each clock under way. */
  readonly #counts = new Map<number, number>();
  #rate = 0;

  constructor(layout: HeldStepsLayout) {
    this.#o = layout;
    const { columns, parts, blockStarts: starts, isImmediate, isAhead, clock } = layout;
    this.#parts = { users: new RowParts('users', parts.users), items: new RowParts('items', parts.items) };
    this.#users = new Float32Array(this.#parts.users.count * columns);
    const rows = this.#parts.items.count;
    const mergeRate = () => this.#rate;
    this.#items = new SharedRows({ rows, columns, blocks: starts.length, isImmediate, isAhead, mergeRate });
    this.#items.setClock(clock);
    this.#kept = { users: this.#users.slice(), items: this.#items.table.slice() };
  }

  get columns(): number {
    return this.#o.columns;
  }

  /** Updates of one block that wait beside one another, at most. */
  get heldMost(): number {
    return Math.max(0, ...[...this.#updates.values()].map(({ length }) => length));
  }

  /** Of the rows, and of the copies that are kept of them. */
  get byteLength(): number {
    const best = Object.values(this.#best).reduce((sum, { rows }) => sum + rows.byteLength, 0);
    return 2 * (this.#users.byteLength + this.#items.table.byteLength) + best;
  }

  /**
   * Writes rows of a clock, before they are kept: those of the best epoch, then those to begin with. Safe to repeat.
   *
   * @throws {UsageError} rows that are not here; {FencedError} `STOA_CLOCK_GONE`: rows of a later clock have been filled
   *   in or kept.
   */
  fill(side: Side, clock: number, rowStart: number, rows: Float32Array): void {
    if (clock < this.#filledClocks[side] || clock <= this.#keptClocks[side]) {
      throw new FencedError('STOA_CLOCK_GONE', `${side} of clock ${clock} are not to be filled in any more`);
    }
    this.#filledClocks[side] = clock;
    const { columns } = this.#o;
    const rowEnd = rowStart + rows.length / columns;
    const table = side === 'users' ? this.#users : this.#items.table;
    for (const piece of this.#parts[side].pieces([{ rowStart, rowEnd }])) {
      const from = (piece.rowStart - rowStart) * columns;
      const to = (piece.rowEnd - rowStart) * columns;
      table.set(rows.subarray(from, to), this.#parts[side].local(piece.rowStart) * columns);
    }
  }

  /** Keeps the rows of a side as they are at a clock. Safe to repeat, also when later ones have been kept. */
  keep(side: Side, clock: number): void {
    if (clock <= this.#keptClocks[side]) return;
    this.#kept[side].set(side === 'users' ? this.#users : this.#items.table);
    this.#keptClocks[side] = clock;
  }

  /** Keeps what is kept at a clock for longer: until it is called again. Safe to repeat. @throws {FencedError} it is not. */
  keepBest(side: Side, clock: number): void {
    if (this.#best[side]?.clock === clock) return;
    this.#requireKept(side, clock);
    this.#best[side] = { clock, rows: this.#kept[side].slice() };
  }

  /** As `RowParts.pieces`. */
  pieces(side: Side, ranges: readonly Rows[]): Rows[] {
    return this.#parts[side].pieces(ranges);
  }

  /** Rows as they were kept at a clock. @throws {FencedError} `STOA_CLOCK_GONE`. */
  keptAt(side: Side, clock: number, { rowStart, rowEnd }: Rows): Float32Array {
    const best = this.#best[side];
    if (best?.clock !== clock) this.#requireKept(side, clock);
    const { columns } = this.#o;
    const from = this.#parts[side].local(rowStart);
    const rows = best?.clock === clock ? best.rows : this.#kept[side];
    return rows.subarray(from * columns, (from + rowEnd - rowStart) * columns);
  }

  /** User rows of a block, and the row that the first one is; none where they are elsewhere. A copy. */
  usersOf(block: number): { rowStart: number; rows: Float32Array } {
    const { rowStart, rowEnd } = this.#rowsOf(block);
    const from = this.#parts.users.local(rowStart);
    if (from < 0) return { rowStart, rows: new Float32Array(0) };
    const { columns } = this.#o;
    return { rowStart, rows: this.#users.slice(from * columns, (from + rowEnd - rowStart) * columns) };
  }

  /** Item rows as a block sees them: a copy, [items.length, columns]. @throws {ShapeError} rows that are not here. */
  itemsFor(block: number, items: Int32Array): Float32Array {
    return this.#items.read(block, this.#localItems(items));
  }

  /** What an update of a block has to look like here. */
  shapeOf(block: number): StepShape {
    const { columns, rows } = this.#o;
    const range = this.#rowsOf(block);
    const rowEnd = this.#parts.users.has(range) ? range.rowEnd : range.rowStart;
    return { rowStart: range.rowStart, rowEnd, columns, items: rows.items };
  }

  outlook(block: number, clock: number): 'held' | 'duplicate' {
    return clock <= (this.#applied.get(block) ?? this.#o.clock) ? 'duplicate' : 'held';
  }

  /** Takes an update in. Nothing of it counts yet. @throws {ShapeError} rows that are not here. */
  hold(block: number, { deltas, ...update }: HeldUpdate): void {
    const rows = this.#localItems(deltas.rows);
    const others = (this.#updates.get(block) ?? []).filter(({ leaseId }) => leaseId !== update.leaseId);
    this.#updates.set(block, [...others, { ...update, deltas: { ...deltas, rows } }].slice(-UPDATES_MAX));
  }

  /**
   * The update of a lease counts. Safe to repeat; updates of one block come in the order of their clocks.
   *
   * @param isElsewhere it changes nothing here.
   * @throws {FencedError} `STOA_CLOCK_GONE`: it is not here.
   */
  accept(
    block: number,
    { clock, leaseId }: { clock: number; leaseId: number },
    { mergeRate, isElsewhere }: { mergeRate: number; isElsewhere: boolean },
  ): void {
    if (this.outlook(block, clock) === 'duplicate') return;
    const updates = this.#updates.get(block) ?? [];
    const update = updates.find((one) => one.leaseId === leaseId && one.clock === clock);
    if (update === undefined && !isElsewhere) {
      throw new FencedError('STOA_CLOCK_GONE', `the update of block ${block} at clock ${clock} is not here`);
    }
    this.#rate = mergeRate;
    if (update !== undefined && update.users.length > 0) {
      this.#users.set(update.users, this.#parts.users.local(this.#rowsOf(block).rowStart) * this.#o.columns);
    }
    this.#items.add(block, clock - 1, update?.deltas ?? NOTHING);
    this.#applied.set(block, clock);
    this.#updates.set(
      block,
      updates.filter((one) => one.clock > clock),
    );
    this.#counts.set(clock, (this.#counts.get(clock) ?? 0) + 1);
    this.#commit();
  }

  /** A clock ends when every block has come past it. */
  #commit(): void {
    const next = () => this.#items.clock + 1;
    while (this.#counts.get(next()) === this.#o.blockStarts.length) {
      this.#counts.delete(next());
      this.#items.commit();
    }
  }

  #requireKept(side: Side, clock: number): void {
    const kept = this.#keptClocks[side];
    if (kept === clock) return;
    throw new FencedError('STOA_CLOCK_GONE', `${side} were kept at clock ${kept}, not at ${clock}`);
  }

  #rowsOf(block: number): Rows {
    const { blockStarts, rows } = this.#o;
    const rowStart = blockStarts[block];
    if (rowStart === undefined) throw new ShapeError('STOA_SHAPE', `there is no block ${block}`);
    return { rowStart, rowEnd: blockStarts[block + 1] ?? rows.users };
  }

  #localItems(items: Int32Array): Int32Array {
    const local = items.map((row) => this.#parts.items.local(row));
    if (!local.includes(-1)) return local;
    throw new ShapeError('STOA_SHAPE', 'items of an update or a read are not in this process');
  }
}

const NOTHING: RowDeltas = {
  rows: new Int32Array(0),
  deltas: new Float32Array(0),
  counts: new Uint32Array(0),
};
