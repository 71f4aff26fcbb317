// The rows of a run in parameter processes: makes the calls that `PlacedResults` asks for.

import { randomBytes } from 'node:crypto';
import type { TlsOptions } from '../../common/grpc-security.js';
import type { Side } from '../../models/csr.js';
import type { RowSource } from '../parameters/row-source.js';
import { HolderLink } from './holder-link.js';
import type { HolderLost } from './holder-lost.js';
import type { Holder } from './holder-sessions.js';
import { PlacedResults, type PlacedResultsOptions } from './placed-results.js';
import { SECRET_BYTES } from './receipt.js';

export interface PlacedTablesOptions extends Omit<PlacedResultsOptions, 'secret'> {
  readonly tls: TlsOptions;
  /** Told of a process that does not do what it is asked to, before `onLost`. */
  readonly onFailed: (holder: Holder, loss: HolderLost) => void;
  /** Told once, when rows are gone. */
  readonly onLost: (loss: HolderLost) => void;
}

export class PlacedTables {
  readonly results: PlacedResults;
  readonly #onLost: (loss: HolderLost) => void;
  /** By place of the process. */
  readonly #links: readonly HolderLink[];
  /** Told of a loss: whoever waits for the processes. */
  readonly #waiting = new Set<(loss: HolderLost) => void>();
  #loss: HolderLost | undefined;

  private constructor(options: PlacedTablesOptions) {
    const { holders, runId, factors, tls, onFailed, onLost } = options;
    this.results = new PlacedResults({ ...options, secret: randomBytes(SECRET_BYTES) });
    this.#onLost = onLost;
    this.#links = holders.map((holder, place) => {
      const run = { ...this.results.keyOf(place), runId, factors };
      return new HolderLink(holder, run, tls, (loss) => {
        onFailed(holder, loss);
        this.lose(loss);
      });
    });
  }

  /** Makes room in all processes; rows are zero. @throws {HolderLost}; what a process said of tables it cannot take. */
  static async open(options: PlacedTablesOptions): Promise<PlacedTables> {
    const placed = new PlacedTables(options);
    try {
      await Promise.all(placed.#links.map((link, place) => link.open(placed.results.layoutOf(place))));
      return placed;
    } catch (error) {
      await placed.close();
      throw error;
    }
  }

  get factors(): number {
    return this.results.factors;
  }

  rows(side: Side): number {
    return this.results.rows(side);
  }

  /** Writes rows of a clock. @throws {HolderLost}. */
  async fill(side: Side, clock: number, rowStart: number, rows: Float32Array): Promise<void> {
    const { factors } = this;
    const rowEnd = rowStart + rows.length / factors;
    for (const { holder, ...piece } of this.results.pieces(side, rowStart, rowEnd)) {
      const from = (piece.rowStart - rowStart) * factors;
      const to = (piece.rowEnd - rowStart) * factors;
      await this.#links[holder]!.fill(side, clock, piece.rowStart, rows.subarray(from, to));
    }
  }

  /** Writes all rows of a side. @throws {HolderLost}; errors of the source. */
  async fillFrom(side: Side, clock: number, source: RowSource): Promise<void> {
    let row = 0;
    for await (const rows of source.read()) {
      await this.fill(side, clock, row, rows);
      row += rows.length / source.factors;
    }
  }

  /** As of `PlacedResults`. */
  accept(result: Parameters<PlacedResults['accept']>[0]): void {
    this.results.accept(result);
    this.#makeCalls();
  }

  /** As of `PlacedResults`. */
  acceptStep(...update: Parameters<PlacedResults['acceptStep']>): void {
    this.results.acceptStep(...update);
    this.#makeCalls();
  }

  /** Resolves when all processes know of all results that count. @throws {HolderLost}. */
  settled(): Promise<void> {
    return this.#until((then) => this.results.whenSettled(then));
  }

  /** As of `PlacedResults`. Safe to repeat. @throws {HolderLost}. */
  commit(side: Side, clock: number, isBest = false): Promise<void> {
    return this.#until((then) => this.results.commit(side, clock, isBest, then));
  }

  /** The rows of a side at a clock, which can be read until results of the clock after next come in. */
  source(side: Side, clock: number, range = { rowStart: 0, rowEnd: this.rows(side) }): RowSource {
    const { factors } = this;
    const links = this.#links;
    const pieces = this.results.pieces(side, range.rowStart, range.rowEnd);
    return {
      byteLength: (range.rowEnd - range.rowStart) * factors * 4,
      factors,
      read: async function* () {
        for (const { rowStart, rowEnd, holder } of pieces) {
          yield* links[holder]!.pull(side, clock, rowStart, rowEnd);
        }
      },
    };
  }

  /** Rows are gone: all calls under way end. */
  lose(loss: HolderLost): void {
    if (this.#loss !== undefined) return;
    this.#loss = loss;
    for (const link of this.#links) link.abandon(loss);
    for (const reject of this.#waiting) reject(loss);
    this.#onLost(loss);
  }

  /** Lets the processes have their memory back, where they can be reached. */
  async close(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.releaseTables().catch(() => {})));
    for (const link of this.#links) link.close();
  }

  #until(ask: (then: () => void) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#loss !== undefined) return reject(this.#loss);
      this.#waiting.add(reject);
      ask(() => {
        this.#waiting.delete(reject);
        resolve();
      });
      this.#makeCalls();
    });
  }

  #makeCalls(): void {
    this.#links.forEach((link, place) => {
      // Who waits hears of a loss, by `lose`.
      this.#call(link, place).catch(() => {});
    });
  }

  async #call(link: HolderLink, place: number): Promise<void> {
    for (let task = this.results.next(place); task !== undefined; task = this.results.next(place)) {
      await link.perform(task);
      this.results.done(place);
    }
  }
}
