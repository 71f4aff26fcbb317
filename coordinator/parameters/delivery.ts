// A result of a worker on its way into the tables. Its rows are collected aside, as messages or as places in the
// exchange file; when all are there they are copied into the table of the next clock and judged in one go, so that no
// other delivery of the same block can come between.

import { assert, FencedError, NumericError, ShapeError } from '../../common/errors.js';
import { checkRows, decodeGram, decodeRows, numberBytes } from '../../common/row-chunks.js';
import type { RowExchange } from '../../common/row-exchange.js';
import { sideOf } from '../../common/sides.js';
import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { RowsChunk__Output } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import { firstNotFinite } from './finite-rows.js';

/** What a result says of itself besides its rows: complete and checked, but not yet judged. */
export interface Delivery {
  runId: string;
  sessionId: string;
  leaseId: number;
  side: Side;
  block: number;
  clock: number;
  gram: Float64Array;
  loss?: BlockLoss;
  solveMs: number;
  /** Of rows and Gram, where they are compared with another worker's. */
  digest?: number;
}

/** Rows of the block that a header names. */
export interface BlockShape {
  rowStart: number;
  rowEnd: number;
  factors: number;
}

/** A result as a worker sent it, to the last chunk. */
export interface ReceivedBlock {
  delivery: Delivery;
  /** In order, covering the block; at most a block of bytes. */
  chunks: readonly RowsChunk__Output[];
}

/**
 * Takes in the rows of a block, chunk after chunk. Nothing of them is stored.
 *
 * Errors of all calls: {ShapeError} rows of another size, or out of order.
 */
export class RowsIntake {
  readonly #shape: BlockShape;
  readonly #chunks: RowsChunk__Output[] = [];
  #next: number;

  constructor(shape: BlockShape) {
    assert(shape.factors > 0, 'K is at least 1');
    this.#shape = shape;
    this.#next = shape.rowStart;
  }

  take({ chunk }: Pick<PushBlockRequest__Output, 'chunk'>): void {
    if (!chunk) throw new ShapeError('STOA_SHAPE', 'one delivery has one header, then chunks of rows');
    const { rowEnd, factors } = this.#shape;
    const rows = rowsIn(chunk, factors);
    if (chunk.rowStart !== this.#next || rows > rowEnd - this.#next) {
      throw new ShapeError(
        'STOA_SHAPE',
        `${rows} rows from ${chunk.rowStart} came where rows ${this.#next} to ${rowEnd} were due`,
      );
    }
    this.#chunks.push(chunk);
    this.#next += rows;
  }

  end(): readonly RowsChunk__Output[] {
    const { rowEnd } = this.#shape;
    if (this.#next === rowEnd) return this.#chunks;
    throw new ShapeError('STOA_SHAPE', `rows ${this.#next} to ${rowEnd} of a block are missing`);
  }
}

/**
 * Takes in a delivery: its header, then the chunks that follow. Nothing of them is stored.
 *
 * Errors of all calls: as `RowsIntake`; {ShapeError} a Gram of another size; {CorruptError} `STOA_CHECKSUM` of the Gram;
 * {NumericError} `STOA_NUMERIC_NOT_FINITE` of the sums.
 */
export class BlockIntake {
  readonly #header: BlockHeader__Output;
  readonly #gram: Float64Array;
  readonly #rows: RowsIntake;

  constructor(header: BlockHeader__Output, shape: BlockShape) {
    this.#header = header;
    this.#rows = new RowsIntake(shape);
    this.#gram = decodeGram(header, shape.factors);
    requireFiniteSums(this.#gram);
  }

  take(part: PushBlockRequest__Output): void {
    this.#rows.take(part);
  }

  end(): ReceivedBlock {
    const { runId, sessionId, leaseId, block, clock, solveMs } = this.#header;
    const chunks = this.#rows.end();
    const side = sideOf(this.#header.side);
    const loss = lossOf(this.#header);
    const gram = this.#gram;
    return { delivery: { runId, sessionId, leaseId, side, block, clock, gram, loss, solveMs }, chunks };
  }
}

/**
 * Copies the rows of a block to where they belong. `out` is spoilt when it throws.
 *
 * @param out written: the block's rows, [rowEnd − rowStart, K].
 * @throws {CorruptError} `STOA_CHECKSUM`; {NumericError} `STOA_NUMERIC_NOT_FINITE` names the first bad row;
 *         {ShapeError} rows in an exchange file that the session does not have.
 */
export function copyRows(
  { side, chunks }: { side: Side; chunks: readonly RowsChunk__Output[] },
  { rowStart, factors }: BlockShape,
  out: Float32Array,
  exchange: RowExchange | undefined,
): void {
  for (const chunk of chunks) {
    const place = out.subarray((chunk.rowStart - rowStart) * factors);
    if (chunk.exchangedRows === 0) decodeRows(chunk, factors, place);
    else {
      if (exchange === undefined) throw new ShapeError('STOA_SHAPE', 'the session has no exchange file');
      const rows = place.subarray(0, chunk.exchangedRows * factors);
      exchange.read('up', side, chunk.rowStart, rows);
      checkRows(rows, chunk);
    }
  }
  const at = firstNotFinite(out);
  if (at >= 0) throw notFinite(`row ${rowStart + Math.floor(at / factors)}`, out[at]!);
}

/** Reads the rest of a delivery that changes nothing, so that its sender need not be cut off. */
export async function discard(parts: AsyncIterator<unknown>): Promise<void> {
  while (!(await parts.next()).done);
}

/** @throws {FencedError} the client cancelled before the header. */
export async function readHeader(
  parts: AsyncIterator<PushBlockRequest__Output>,
): Promise<BlockHeader__Output> {
  const first = await parts.next();
  if (first.done) throw new FencedError('STOA_LEASE_GONE', 'the delivery ended before its header');
  if (!first.value.header) throw new ShapeError('STOA_SHAPE', 'a delivery begins with its header');
  return first.value.header;
}

/** @throws {ShapeError} rows in both places or in none, or not whole ones. */
function rowsIn({ rows, exchangedRows, encoding }: RowsChunk__Output, factors: number): number {
  const size = numberBytes(encoding);
  const count = exchangedRows > 0 && rows.length === 0 ? exchangedRows : rows.length / (size * factors);
  const isSound = Number.isInteger(count) && count > 0 && (exchangedRows === 0 || rows.length === 0);
  if (isSound) return count;
  throw new ShapeError(
    'STOA_SHAPE',
    `a chunk of ${rows.length} bytes is not whole rows of ${factors} factors, in one place`,
  );
}

function lossOf({ loss }: BlockHeader__Output): BlockLoss | undefined {
  if (!loss) return undefined;
  requireFiniteSums(Float64Array.of(loss.observed, loss.penalty));
  return { observed: loss.observed, penalty: loss.penalty };
}

function requireFiniteSums(sums: Float64Array): void {
  const bad = sums.find((x) => !Number.isFinite(x));
  if (bad !== undefined) throw notFinite('the sums of a block', bad);
}

function notFinite(what: string, value: number): NumericError {
  return new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `${what} has a value that is not finite (${value}); nothing was stored`,
  );
}
