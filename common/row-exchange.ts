import type { ExchangeFile } from './exchange-file.js';

export interface TableShape {
  users: number;
  items: number;
  /** K. */
  factors: number;
}

/**
 * Rows of a run's tables in an exchange file: each row has one place for what the worker hands up and one for what it
 * is handed down. The place says nothing of the row's clock: a message with a checksum says what stands there, and who
 * finds something else asks again.
 */
export class RowExchange {
  readonly #file: ExchangeFile;
  readonly #shape: TableShape;

  constructor(file: ExchangeFile, shape: TableShape) {
    this.#file = file;
    this.#shape = shape;
  }

  /** Writes whole rows. False when there is no room: send them in messages then. */
  write(way: 'up' | 'down', side: 'users' | 'items', rowStart: number, rows: Float32Array): boolean {
    return this.#file.write(this.#place(way, side, rowStart), bytesOf(rows));
  }

  /** Reads whole rows into `out`. @throws {CorruptError} `STOA_CHECKSUM`: there are not so many. */
  read(way: 'up' | 'down', side: 'users' | 'items', rowStart: number, out: Float32Array): void {
    this.#file.read(this.#place(way, side, rowStart), bytesOf(out));
  }

  #place(way: 'up' | 'down', side: 'users' | 'items', row: number): number {
    const { users, items, factors } = this.#shape;
    const before = (way === 'up' ? 0 : users + items) + (side === 'users' ? 0 : users);
    return (before + row) * factors * 4;
  }
}

function bytesOf(rows: Float32Array): Uint8Array {
  return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
}
