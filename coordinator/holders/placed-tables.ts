// The rows of a run in parameter processes: who has which, and what is told to them.

import { randomBytes } from 'node:crypto';
import type { TlsOptions } from '../../common/grpc-security.js';
import { sideName } from '../../common/sides.js';
import type { Side } from '../../models/csr.js';
import type { RowSource } from '../parameters/row-source.js';
import { type PlacedRows, placeRows } from '../plan/place-rows.js';
import { HolderLink } from './holder-link.js';
import type { HolderLost } from './holder-lost.js';
import type { Holder } from './holder-roster.js';
import { isSigned, type ReceiptSubject, SECRET_BYTES } from './receipt.js';

const SIDES = ['users', 'items'] as const;

export interface PlacedSide {
  readonly rows: number;
  readonly clock: number;
  /** First row of every block. */
  readonly blockStarts: readonly number[];
}

export interface PlacedTablesOptions {
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
  readonly tls: TlsOptions;
  /** Told once, when rows are gone. */
  readonly onLost: (loss: HolderLost) => void;
}

export class PlacedTables {
  readonly #o: PlacedTablesOptions;
  readonly #secret = randomBytes(SECRET_BYTES);
  readonly #links: readonly HolderLink[];
  readonly #placed: Readonly<Record<Side, readonly PlacedRows[]>>;
  #isLost = false;

  private constructor(options: PlacedTablesOptions) {
    this.#o = options;
    const { sides, holders, tls } = options;
    const candidates = holders.map(({ name }) => ({ key: name, weight: 1 }));
    const place = (side: Side) => placeRows(side, sides[side].rows, sides[side].blockStarts, candidates);
    this.#placed = { users: place('users'), items: place('items') };
    this.#links = holders.map((holder) => new HolderLink(holder, options, tls, (loss) => this.lose(loss)));
  }

  /** Makes room in all processes; rows are zero. @throws {HolderLost}; what a process said of tables it cannot take. */
  static async open(options: PlacedTablesOptions): Promise<PlacedTables> {
    const placed = new PlacedTables(options);
    try {
      await Promise.all(placed.#links.map((link, holder) => link.open(placed.#layoutOf(holder))));
      return placed;
    } catch (error) {
      await placed.close();
      throw error;
    }
  }

  get factors(): number {
    return this.#o.factors;
  }

  rows(side: Side): number {
    return this.#o.sides[side].rows;
  }

  /** Who has what, by process. */
  get placement(): { holder: Holder; users: PlacedRows[]; items: PlacedRows[] }[] {
    return this.#links.map(({ holder }, index) => ({
      holder,
      users: this.#rowsOf('users', index),
      items: this.#rowsOf('items', index),
    }));
  }

  has({ id }: Holder): boolean {
    return this.#links.some(({ holder }) => holder.id === id);
  }

  /** True where the process with the rows of the block has given the receipt, and for these tables. */
  isReceipt(subject: Omit<ReceiptSubject, 'holderId'>, signature: Uint8Array): boolean {
    return this.isReceiptOf(this.homeOf(subject.side, subject.block), subject, signature);
  }

  /** As `isReceipt`, of any process by its place. */
  isReceiptOf(place: number, subject: Omit<ReceiptSubject, 'holderId'>, signature: Uint8Array): boolean {
    const holderId = this.#links[place]?.holder.id;
    return holderId !== undefined && isSigned(this.#secret, { ...subject, holderId }, signature);
  }

  /** Place of the process that has the rows of a block. */
  homeOf(side: Side, block: number): number {
    const rowStart = this.#o.sides[side].blockStarts[block]!;
    return this.#placed[side].find(({ rowEnd }) => rowEnd > rowStart)!.holder;
  }

  /** Writes rows of the clock that the tables were opened at. @throws {HolderLost}. */
  async fill(side: Side, rowStart: number, rows: Float32Array): Promise<void> {
    const { factors } = this.#o;
    const rowEnd = rowStart + rows.length / factors;
    const placed = this.#placed[side].filter((part) => part.rowEnd > rowStart && part.rowStart < rowEnd);
    for (const part of placed) {
      const from = Math.max(rowStart, part.rowStart);
      const to = Math.min(rowEnd, part.rowEnd);
      const piece = rows.subarray((from - rowStart) * factors, (to - rowStart) * factors);
      await this.#links[part.holder]!.fill(side, from, piece);
    }
  }

  /** Writes all rows of a side. @throws {HolderLost}; errors of the source. */
  async fillFrom(side: Side, source: RowSource): Promise<void> {
    let row = 0;
    for await (const rows of source.read()) {
      await this.fill(side, row, rows);
      row += rows.length / source.factors;
    }
  }

  /** The result of a lease counts. */
  accept({
    side,
    block,
    clock,
    leaseId,
  }: Pick<ReceiptSubject, 'side' | 'block' | 'clock' | 'leaseId'>): void {
    this.#links[this.homeOf(side, block)]!.accept({ side: sideName(side), block, clock, leaseId });
  }

  /** The update of a block counts: everybody hears of it, whether or not they have a part of it. */
  acceptStep(
    { block, clock, leaseId }: Pick<ReceiptSubject, 'block' | 'clock' | 'leaseId'>,
    places: readonly number[],
    mergeRate: number,
  ): void {
    this.#links.forEach((link, place) => {
      const isElsewhere = !places.includes(place);
      link.accept({ side: 'SIDE_USERS', block, clock, leaseId, mergeRate, isElsewhere });
    });
  }

  /** Resolves when all processes know of all results that count. @throws {HolderLost}. */
  async settled(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.settled()));
  }

  /** Ends the phase of a side, or keeps its rows (`isBest`: those that are kept, for longer), everywhere. Safe to repeat. @throws {HolderLost}. */
  async commit(side: Side, clock: number, isBest = false): Promise<void> {
    await Promise.all(
      this.#links.map(async (link) => {
        await link.settled();
        await link.commit(side, clock, isBest);
      }),
    );
  }

  /** The rows of a side at a clock, which can be read until results of the clock after next come in. */
  source(side: Side, clock: number, range = { rowStart: 0, rowEnd: this.rows(side) }): RowSource {
    const { factors } = this.#o;
    const links = this.#links;
    const isAsked = ({ rowStart, rowEnd }: PlacedRows) => rowEnd > range.rowStart && rowStart < range.rowEnd;
    const placed = this.#placed[side].filter(isAsked).map(({ rowStart, rowEnd, holder }) => ({
      holder,
      rowStart: Math.max(rowStart, range.rowStart),
      rowEnd: Math.min(rowEnd, range.rowEnd),
    }));
    return {
      byteLength: (range.rowEnd - range.rowStart) * factors * 4,
      factors,
      read: async function* () {
        for (const { rowStart, rowEnd, holder } of placed) {
          yield* links[holder]!.pull(side, clock, rowStart, rowEnd);
        }
      },
    };
  }

  /** Rows are gone: all calls under way end. */
  lose(loss: HolderLost): void {
    if (this.#isLost) return;
    this.#isLost = true;
    for (const link of this.#links) link.abandon(loss);
    this.#o.onLost(loss);
  }

  /** Lets the processes have their memory back, where they can be reached. */
  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.releaseTables().catch(() => {})));
    for (const link of this.#links) link.close();
  }

  #layoutOf(holder: number) {
    const { term, factors, sides, steps } = this.#o;
    const tables = SIDES.map((side) => ({
      side: sideName(side),
      rows: sides[side].rows,
      clock: sides[side].clock,
      parts: this.#rowsOf(side, holder),
      blockStarts: [...sides[side].blockStarts],
    }));
    return { term, secret: this.#secret, factors, tables, ...(steps === undefined ? {} : { steps }) };
  }

  #rowsOf(side: Side, holder: number): PlacedRows[] {
    return this.#placed[side].filter((part) => part.holder === holder);
  }
}
