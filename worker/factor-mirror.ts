// A worker's copy of one side's table, on its device. It serves as the fixed side of one phase and as the earlier
// rows of the next; only rows that others computed are fetched.

import { CorruptError } from '../common/errors.js';
import { checkRows, decodeGram, decodeRows, numberBytes } from '../common/row-chunks.js';
import type { RowExchange } from '../common/row-exchange.js';
import { sideName } from '../common/sides.js';
import type { Side } from '../models/csr.js';
import type { ComputeDevice, FactorTable } from '../models/device.js';
import { unpackGram } from '../models/gram.js';
import type { GetGramResponse__Output } from '../proto/generated/stoa/parameters/v1/GetGramResponse.js';
import type { RowsChunk__Output } from '../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { RowsEncoding__Output as RowsEncoding } from '../proto/generated/stoa/parameters/v1/RowsEncoding.js';
import type { FixedGram__Output } from '../proto/generated/stoa/training/v1/FixedGram.js';
import { type CoordinatorLink, PARAMETERS } from './coordinator-link.js';
import { RowClocks, type RowRange } from './row-clocks.js';
import type { RowHomes, RowPeer } from './row-homes.js';

/** A chunk that arrives damaged is asked for again so many times. */
const PULLS_MAX = 3;

export interface FixedSide {
  table: FactorTable;
  /** f64 [K, K], both triangles. */
  gram: Float64Array;
}

export class FactorMirror {
  readonly #runId: string;
  readonly #side: Side;
  readonly #device: ComputeDevice;
  readonly #link: CoordinatorLink;
  readonly #sessionId: string;
  readonly #encoding: RowsEncoding;
  readonly #exchange: RowExchange | undefined;
  readonly #table: FactorTable;
  readonly #clocks: RowClocks;
  readonly #homes: RowHomes;
  /** One buffer for all chunks of a peer: its pulls follow one another, and a table is as many megabytes of garbage else. */
  readonly #scratch = new Map<RowPeer, Float32Array>();
  /** The present Gram and its clock. */
  #gram: { clock: number; value: Float64Array } | undefined;
  /** Reads and writes of the table, one after another: a late pull never overwrites newer rows. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: MirrorOptions, table: FactorTable) {
    const { runId, side, device, link, homes, sessionId, encoding, exchange } = options;
    this.#homes = homes;
    this.#sessionId = sessionId;
    this.#encoding = encoding;
    this.#exchange = exchange;
    this.#runId = runId;
    this.#side = side;
    this.#device = device;
    this.#link = link;
    this.#table = table;
    this.#clocks = new RowClocks(table.rows);
  }

  static async create(options: MirrorOptions): Promise<FactorMirror> {
    return new FactorMirror(options, await options.device.createTable(options.rows, options.factors));
  }

  /**
   * The whole table and its Gram at a clock. Errors of the calls; `STOA_CLOCK_GONE` when the phase is over.
   *
   * @param told a Gram that came along; one of another table or clock is left alone, and a damaged one asked for again.
   */
  fixedAt(clock: number, signal: AbortSignal, told: FixedGram__Output | null = null): Promise<FixedSide> {
    return this.#inTurn(signal, async () => {
      const [gram] = await Promise.all([
        this.#gramAt(clock, signal, told),
        this.#pull({ rowStart: 0, rowEnd: this.#table.rows }, clock, signal),
      ]);
      return { table: this.#table, gram };
    });
  }

  /** Rows at a clock, in `into` where the device can. Errors as `fixedAt`. */
  rowsAt(rows: RowRange, clock: number, signal: AbortSignal, into?: Float32Array): Promise<Float32Array> {
    return this.#inTurn(signal, async () => {
      await this.#pull(rows, clock, signal);
      return this.#device.read(this.#table, rows.rowStart, rows.rowEnd, into);
    });
  }

  /** Takes rows that this worker computed and the coordinator accepted. */
  keep(rowStart: number, rows: Float32Array, clock: number): Promise<void> {
    return this.#inTurn(undefined, async () => {
      await this.#device.write(this.#table, rowStart, rows);
      this.#clocks.set({ rowStart, rowEnd: rowStart + rows.length / this.#table.factors }, clock);
    });
  }

  dispose(): void {
    this.#table.dispose();
  }

  #inTurn<T>(signal: AbortSignal | undefined, task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      signal?.throwIfAborted();
      return task();
    });
    this.#last = result.catch(() => {});
    return result;
  }

  async #pull(wanted: RowRange, clock: number, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const ranges = this.#clocks.missing(wanted, clock);
      if (ranges.length === 0) return;
      try {
        await this.#pullRanges(ranges, clock, signal);
      } catch (error) {
        if (!(error instanceof CorruptError) || attempt >= PULLS_MAX) throw error;
      }
    }
  }

  /** From all who have some at once. */
  async #pullRanges(ranges: RowRange[], clock: number, signal: AbortSignal): Promise<void> {
    const pulls = [...this.#homes.split(this.#side, ranges)].map(([peer, own]) =>
      this.#pullFrom(peer, own, clock, signal),
    );
    // None goes on writing into the table when the others have failed.
    const outcomes = await Promise.allSettled(pulls);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  async #pullFrom(peer: RowPeer, ranges: RowRange[], clock: number, signal: AbortSignal): Promise<void> {
    const { factors } = this.#table;
    const side = sideName(this.#side);
    const sessionId = this.#exchange === undefined ? '' : this.#sessionId;
    const encoding = this.#encoding;
    const call = peer.parameters.PullRows({ runId: this.#runId, side, clock, ranges, sessionId, encoding });
    for await (const { chunk } of peer.stream(call, signal)) {
      if (!chunk) continue;
      const rows = this.#rowsOf(chunk, peer);
      await this.#device.write(this.#table, chunk.rowStart, rows);
      this.#clocks.set({ rowStart: chunk.rowStart, rowEnd: chunk.rowStart + rows.length / factors }, clock);
    }
  }

  #rowsOf(chunk: RowsChunk__Output, peer: RowPeer): Float32Array {
    const { factors } = this.#table;
    if (chunk.exchangedRows === 0 || this.#exchange === undefined) {
      return decodeRows(
        chunk,
        factors,
        this.#scratchFor(peer, (4 / numberBytes(chunk.encoding)) * chunk.rows.length),
      );
    }
    const length = chunk.exchangedRows * factors;
    const rows = this.#scratchFor(peer, 4 * length).subarray(0, length);
    this.#exchange.read('down', this.#side, chunk.rowStart, rows);
    checkRows(rows, chunk);
    return rows;
  }

  #scratchFor(peer: RowPeer, bytes: number): Float32Array {
    let scratch = this.#scratch.get(peer);
    if (scratch === undefined || bytes > scratch.byteLength) {
      scratch = new Float32Array(Math.ceil(bytes / 4));
      this.#scratch.set(peer, scratch);
    }
    return scratch;
  }

  async #gramAt(clock: number, signal: AbortSignal, told: FixedGram__Output | null): Promise<Float64Array> {
    if (this.#gram?.clock === clock) return this.#gram.value;
    const { factors } = this.#table;
    const side = sideName(this.#side);
    const isWanted = told?.runId === this.#runId && told.side === side && told.clock === clock;
    let packed = isWanted && told.gram !== null ? soundGram(told.gram, factors) : undefined;
    if (packed === undefined) {
      const request = { runId: this.#runId, side, clock };
      const response = await this.#link.call(this.#link.parameters, PARAMETERS.GetGram, request, { signal });
      packed = decodeGram(response, factors);
    }
    const value = unpackGram(packed, factors);
    this.#gram = { clock, value };
    return value;
  }
}

function soundGram(message: GetGramResponse__Output, factors: number): Float64Array | undefined {
  try {
    return decodeGram(message, factors);
  } catch (error) {
    if (error instanceof CorruptError) return undefined;
    throw error;
  }
}

interface MirrorOptions {
  runId: string;
  side: Side;
  rows: number;
  factors: number;
  device: ComputeDevice;
  link: CoordinatorLink;
  homes: RowHomes;
  sessionId: string;
  encoding: RowsEncoding;
  /** Absent: rows come in messages. */
  exchange?: RowExchange;
}
