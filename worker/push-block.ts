import { DeviceError, NumericError, ShapeError } from '../common/errors.js';
import { describeRows, encodeGram, encodeRows, rowsPerChunk, rowsPerExchange } from '../common/row-chunks.js';
import type { RowExchange } from '../common/row-exchange.js';
import { sideName } from '../common/sides.js';
import { writeMessage } from '../common/write-message.js';
import type { Side } from '../models/csr.js';
import type { BlockResult } from '../models/device.js';
import type { BlockHeader } from '../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockResponse__Output } from '../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { RowsChunk } from '../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { RowsEncoding__Output as RowsEncoding } from '../proto/generated/stoa/parameters/v1/RowsEncoding.js';
import type { CoordinatorLink } from './coordinator-link.js';
import type { RowPeer } from './row-homes.js';

/** A coordinator that takes nothing for this long is gone, or will have leased the block again. */
const PUSH_MS_MAX = 60_000;

export interface PushedBlock {
  runId: string;
  sessionId: string;
  leaseId: number;
  side: Side;
  block: number;
  clock: number;
  rowStart: number;
  factors: number;
  /** Of rows in messages. */
  encoding: RowsEncoding;
  result: BlockResult;
  /** Absent: rows go in messages. */
  exchange?: RowExchange;
}

/**
 * Delivers a block, chunk by chunk as they are taken: to the coordinator, or to who has its rows and then, with the
 * receipt, to the coordinator.
 *
 * @returns what became of it. Errors as `GrpcLink.call`.
 */
export async function pushBlock(
  link: CoordinatorLink,
  home: RowPeer,
  block: PushedBlock,
  signal: AbortSignal,
): Promise<PushBlockResponse__Output['disposition']> {
  const header = headerOf(block);
  if (home === link) return (await push(link, header, chunksOf(block), signal)).disposition;
  const bare = { ...header, gram: Buffer.alloc(0), crc32c: 0, loss: undefined };
  const { disposition, receipt } = await push(home, bare, chunksOf(block), signal).catch(refused);
  if (disposition !== 'DISPOSITION_HELD') return disposition;
  return (await push(link, { ...header, receipt }, [], signal)).disposition;
}

/** Whoever takes rows in finds what is wrong with them, but only the worker can say it of its lease. */
export function refused(error: unknown): never {
  if (!(error instanceof NumericError || error instanceof ShapeError)) throw error;
  throw new DeviceError('STOA_DEVICE', `the result of a block was refused: ${error.message}`, {
    cause: error,
  });
}

function push(
  peer: RowPeer,
  header: BlockHeader,
  chunks: Iterable<RowsChunk>,
  signal: AbortSignal,
): Promise<PushBlockResponse__Output> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + PUSH_MS_MAX };
    const call = peer.parameters.PushBlock(options, (error, response) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null) resolve(response!);
      else reject(signal.aborted ? signal.reason : peer.explain(error));
    });
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    const write = async () => {
      await writeMessage(call, { header });
      for (const chunk of chunks) await writeMessage(call, { chunk });
      call.end();
    };
    // Why writing failed is what the answer says.
    write().catch(() => call.cancel());
  });
}

function headerOf({ runId, sessionId, leaseId, side, block, clock, result }: PushedBlock): BlockHeader {
  return {
    runId,
    sessionId,
    leaseId,
    side: sideName(side),
    block,
    clock,
    ...encodeGram(result.gram),
    ...(result.loss === undefined ? {} : { loss: result.loss }),
    solveMs: result.ms,
  };
}

/** The block's rows, through the exchange file while it has room, else in the messages. */
function* chunksOf({
  side,
  rowStart,
  factors,
  encoding,
  result,
  exchange,
}: PushedBlock): Generator<RowsChunk> {
  const rows = result.rows.length / factors;
  const slice = (from: number, to: number) =>
    result.rows.subarray(from * factors, Math.min(rows, to) * factors);
  let row = 0;
  for (const step = rowsPerExchange(factors); exchange !== undefined && row < rows; row += step) {
    const piece = slice(row, row + step);
    if (!exchange.write('up', side, rowStart + row, piece)) break;
    yield describeRows(piece, rowStart + row, factors);
  }
  for (const step = rowsPerChunk(factors, encoding); row < rows; row += step) {
    yield encodeRows(slice(row, row + step), rowStart + row, encoding);
  }
}
