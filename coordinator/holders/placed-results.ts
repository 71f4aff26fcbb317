// Where the rows of a run are, which results count there, and what each parameter process is still to be told of them.
// Pure: the calls are the caller's.

import { sideName } from '../../common/sides.js';
import type { Side } from '../../models/csr.js';
import { type PlacedRows, placeRows } from '../plan/place-rows.js';
import type { Holder } from './holder-sessions.js';
import { type HolderTask, HolderTasks } from './holder-tasks.js';
import { isSigned, type ReceiptSubject } from './receipt.js';

const SIDES = ['users', 'items'] as const;

export interface PlacedSide {
  readonly rows: number;
  readonly clock: number;
  /** First row of every block. */
  readonly blockStarts: readonly number[];
}

export interface PlacedResultsOptions {
  readonly runId: string;
  /** Of these tables: no two have the same within the term. */
  readonly generation: number;
  readonly term: number;
  readonly factors: number;
  readonly sides: Readonly<Record<Side, PlacedSide>>;
  /** Of a run that pushes and pulls. */
  readonly steps?: { readonly isImmediate: boolean; readonly isAhead: boolean };
  /** At least one. */
  readonly holders: readonly Holder[];
  /** Of the generation, `SECRET_BYTES`: signs receipts. */
  readonly secret: Uint8Array;
}

export class PlacedResults {
  readonly #o: PlacedResultsOptions;
  readonly #placed: Readonly<Record<Side, readonly PlacedRows[]>>;
  /** By place of the process. */
  readonly #tasks: readonly HolderTasks[];
  /** Each waits until every process has confirmed so many of its tasks. */
  #waiting: { readonly counts: readonly number[]; readonly then: () => void }[] = [];

  constructor(options: PlacedResultsOptions) {
    this.#o = options;
    const { sides, holders } = options;
    const candidates = holders.map(({ name }) => ({ key: name, weight: 1 }));
    const place = (side: Side) => placeRows(side, sides[side].rows, sides[side].blockStarts, candidates);
    this.#placed = { users: place('users'), items: place('items') };
    this.#tasks = holders.map(() => new HolderTasks());
  }

  get factors(): number {
    return this.#o.factors;
  }

  rows(side: Side): number {
    return this.#o.sides[side].rows;
  }

  /** Who has what, by process. */
  get placement(): { holder: Holder; users: PlacedRows[]; items: PlacedRows[] }[] {
    return this.#o.holders.map((holder, place) => ({
      holder,
      users: this.#rowsOf('users', place),
      items: this.#rowsOf('items', place),
    }));
  }

  has({ id }: Holder): boolean {
    return this.#o.holders.some((holder) => holder.id === id);
  }

  /** Place of the process that has the rows of a block. */
  homeOf(side: Side, block: number): number {
    const rowStart = this.#o.sides[side].blockStarts[block]!;
    return this.#placed[side].find(({ rowEnd }) => rowEnd > rowStart)!.holder;
  }

  /** A range of rows, cut by who has them, ascending. */
  pieces(side: Side, rowStart: number, rowEnd: number): PlacedRows[] {
    return this.#placed[side]
      .filter((part) => part.rowEnd > rowStart && part.rowStart < rowEnd)
      .map((part) => ({
        holder: part.holder,
        rowStart: Math.max(rowStart, part.rowStart),
        rowEnd: Math.min(rowEnd, part.rowEnd),
      }));
  }

  /** What names the tables to a process. */
  keyOf(place: number): { holderId: string; runId: string; generation: number } {
    const { runId, generation, holders } = this.#o;
    return { holderId: holders[place]!.id, runId, generation };
  }

  /** What a process is to open. */
  layoutOf(place: number) {
    const { term, factors, sides, steps, secret } = this.#o;
    const tables = SIDES.map((side) => ({
      side: sideName(side),
      rows: sides[side].rows,
      clock: sides[side].clock,
      parts: this.#rowsOf(side, place),
      blockStarts: [...sides[side].blockStarts],
    }));
    const layout = { key: this.keyOf(place), term, secret: Buffer.from(secret), factors, tables };
    return steps === undefined ? layout : { ...layout, steps };
  }

  /** True where the process with the rows of the block has given the receipt, and for these tables. */
  isReceipt(subject: Omit<ReceiptSubject, 'holderId'>, signature: Uint8Array): boolean {
    return this.isReceiptOf(this.homeOf(subject.side, subject.block), subject, signature);
  }

  /** As `isReceipt`, of any process by its place. */
  isReceiptOf(place: number, subject: Omit<ReceiptSubject, 'holderId'>, signature: Uint8Array): boolean {
    const { holders, secret } = this.#o;
    const holderId = holders[place]?.id;
    return holderId !== undefined && isSigned(secret, { ...subject, holderId }, signature);
  }

  /** The result of a lease counts: the process with its rows is to hear of it. */
  accept(result: Pick<ReceiptSubject, 'side' | 'block' | 'clock' | 'leaseId'>): void {
    const { side, block, clock, leaseId } = result;
    this.#tasks[this.homeOf(side, block)]!.accept({ side: sideName(side), block, clock, leaseId });
  }

  /**
   * The update of a block counts: everybody hears of it, whether or not they have a part of it.
   *
   * @param places that have.
   */
  acceptStep(
    { block, clock, leaseId }: Pick<ReceiptSubject, 'block' | 'clock' | 'leaseId'>,
    places: readonly number[],
    mergeRate: number,
  ): void {
    this.#tasks.forEach((tasks, place) => {
      const isElsewhere = !places.includes(place);
      tasks.accept({ side: 'SIDE_USERS', block, clock, leaseId, mergeRate, isElsewhere });
    });
  }

  /**
   * Ends the phase of a side, or keeps its rows (`isBest`: those that are kept, for longer), everywhere.
   *
   * @param then called when all processes have confirmed it, and all results before.
   */
  commit(side: Side, clock: number, isBest: boolean, then: () => void): void {
    for (const tasks of this.#tasks) tasks.commit(side, clock, isBest);
    this.whenSettled(then);
  }

  /** @param then called when all processes have confirmed what they are to be told so far: at once where they have. */
  whenSettled(then: () => void): void {
    this.#waiting.push({ counts: this.#tasks.map(({ putCount }) => putCount), then });
    this.#wake();
  }

  /** The call to make to a process now; undefined: none, or one is under way. */
  next(place: number): HolderTask | undefined {
    return this.#tasks[place]!.next();
  }

  /** A process has confirmed the call under way. */
  done(place: number): void {
    this.#tasks[place]!.done();
    this.#wake();
  }

  #wake(): void {
    const isOver = ({ counts }: { counts: readonly number[] }) =>
      this.#tasks.every(({ doneCount }, place) => doneCount >= counts[place]!);
    const over = this.#waiting.filter(isOver);
    if (over.length === 0) return;
    this.#waiting = this.#waiting.filter((one) => !over.includes(one));
    for (const { then } of over) then();
  }

  #rowsOf(side: Side, place: number): PlacedRows[] {
    return this.#placed[side].filter((part) => part.holder === place);
  }
}
