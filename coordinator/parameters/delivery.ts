import { assert, FencedError, NumericError, ShapeError } from '../../common/errors.js';
import { decodeGram, decodeRows } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';

/** A result as a worker sent it, complete and checked, but not yet judged. */
export interface Delivery {
  runId: string;
  sessionId: string;
  leaseId: number;
  side: Side;
  block: number;
  clock: number;
  rows: Float32Array;
  gram: Float64Array;
  loss?: BlockLoss;
  solveMs: number;
}

/** Rows of the block that a header names. */
export interface BlockShape {
  rowStart: number;
  rowEnd: number;
  factors: number;
}

/**
 * Reads the chunks that follow a header, aside from the tables.
 *
 * @throws {ShapeError} rows or Gram of another size, or out of order; {CorruptError} `STOA_CHECKSUM`;
 *         {NumericError} `STOA_NUMERIC_NOT_FINITE` names the first bad row.
 */
export async function readDelivery(
  header: BlockHeader__Output,
  shape: BlockShape,
  parts: AsyncIterator<PushBlockRequest__Output>,
): Promise<Delivery> {
  const { rowStart, rowEnd, factors } = shape;
  const gram = decodeGram(header, factors);
  const rows = new Float32Array((rowEnd - rowStart) * factors);
  let next = rowStart;
  for (let part = await parts.next(); !part.done; part = await parts.next()) {
    const { chunk } = part.value;
    if (!chunk) throw new ShapeError('STOA_SHAPE', 'one delivery has one header, then chunks of rows');
    if (chunk.rowStart !== next) {
      throw new ShapeError(
        'STOA_SHAPE',
        `rows from ${chunk.rowStart} came where rows ${next} to ${rowEnd} were due`,
      );
    }
    const piece = decodeRows(chunk, factors, rows.subarray((next - rowStart) * factors));
    requireFinite(piece, chunk.rowStart, factors);
    next += piece.length / factors;
  }
  if (next !== rowEnd) {
    throw new ShapeError('STOA_SHAPE', `rows ${next} to ${rowEnd} of a block of ${header.side} are missing`);
  }
  requireFinite(gram, undefined, factors);
  const { runId, sessionId, leaseId, block, clock, solveMs } = header;
  const loss = lossOf(header);
  return { runId, sessionId, leaseId, side: sideOf(header.side), block, clock, rows, gram, loss, solveMs };
}

/** Reads the rest of a delivery that changes nothing, so that its sender need not be cut off. */
export async function discard(parts: AsyncIterator<PushBlockRequest__Output>): Promise<void> {
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

function lossOf({ loss }: BlockHeader__Output): BlockLoss | undefined {
  if (!loss) return undefined;
  requireFinite(Float64Array.of(loss.observed, loss.penalty), undefined, 1);
  return { observed: loss.observed, penalty: loss.penalty };
}

function requireFinite(
  numbers: Float32Array | Float64Array,
  rowStart: number | undefined,
  factors: number,
): void {
  assert(factors > 0, 'K is at least 1');
  const at = firstNotFinite(numbers);
  if (at < 0) return;
  const what = rowStart === undefined ? 'the sums of a block' : `row ${rowStart + Math.floor(at / factors)}`;
  throw new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `${what} has a value that is not finite (${numbers[at]}); nothing was stored`,
  );
}

/** x − x is 0 for every finite x, and NaN otherwise. */
function firstNotFinite(numbers: Float32Array | Float64Array): number {
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i]!;
    if (x - x !== 0) return i;
  }
  return -1;
}
