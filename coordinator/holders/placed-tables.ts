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

  /** True where one of the processes has given the receipt, and for these tables. */
  isReceipt(subject: ReceiptSubject, signature: Uint8Array): boolean {
    return isSigned(this.#secret, subject, signature);
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

  /** The result of a lease counts. */
  accept({ side, block, clock, leaseId }: Omit<ReceiptSubject, 'runId' | 'digest'>): void {
    const rowStart = this.#o.sides[side].blockStarts[block]!;
    const { holder } = this.#placed[side].find(({ rowEnd }) => rowEnd > rowStart)!;
    this.#links[holder]!.accept({ side: sideName(side), block, clock, leaseId });
  }

  /** Ends the phase of a side, everywhere. Safe to repeat. @throws {HolderLost}. */
  async commit(side: Side, clock: number): Promise<void> {
    await Promise.all(
      this.#links.map(async (link) => {
        await link.settled();
        await link.commit(side, clock);
      }),
    );
  }

  /** The rows of a side at a clock, which can be read until results of the clock after next come in. */
  source(side: Side, clock: number): RowSource {
    const { factors, sides } = this.#o;
    const links = this.#links;
    const placed = this.#placed[side];
    return {
      byteLength: sides[side].rows * factors * 4,
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
    const { term, factors, sides } = this.#o;
    const tables = SIDES.map((side) => ({
      side: sideName(side),
      rows: sides[side].rows,
      clock: sides[side].clock,
      parts: this.#rowsOf(side, holder),
      blockStarts: [...sides[side].blockStarts],
    }));
    return { term, secret: this.#secret, factors, tables };
  }

  #rowsOf(side: Side, holder: number): PlacedRows[] {
    return this.#placed[side].filter((part) => part.holder === holder);
  }
}
