import type { ClientWritableStream } from '@grpc/grpc-js';
import { SystemError } from '../common/errors.js';
import { describeRows, encodeGram, encodeRows, rowsPerChunk, rowsPerExchange } from '../common/row-chunks.js';
import type { RowExchange } from '../common/row-exchange.js';
import { sideName } from '../common/sides.js';
import type { Side } from '../models/csr.js';
import type { BlockResult } from '../models/device.js';
import type { PushBlockRequest } from '../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse__Output } from '../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { RowsChunk } from '../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { CoordinatorLink } from './coordinator-link.js';

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
  result: BlockResult;
  /** Absent: rows go in messages. */
  exchange?: RowExchange;
}

/**
 * Delivers a block, chunk by chunk as the coordinator takes them.
 *
 * @returns what became of it. Errors as `CoordinatorLink.call`.
 */
export function pushBlock(
  link: CoordinatorLink,
  block: PushedBlock,
  signal: AbortSignal,
): Promise<PushBlockResponse__Output['disposition']> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + PUSH_MS_MAX };
    const call = link.parameters.PushBlock(options, (error, response) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null) resolve(response!.disposition);
      else reject(signal.aborted ? signal.reason : link.explain(error));
    });
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    // Why writing failed is what the answer says.
    writeBlock(call, block).catch(() => call.cancel());
  });
}

async function writeBlock(call: ClientWritableStream<PushBlockRequest>, block: PushedBlock): Promise<void> {
  const { runId, sessionId, leaseId, side, clock, result } = block;
  const header = {
    runId,
    sessionId,
    leaseId,
    side: sideName(side),
    block: block.block,
    clock,
    ...encodeGram(result.gram),
    ...(result.loss === undefined ? {} : { loss: result.loss }),
    solveMs: result.ms,
  };
  await writeMessage(call, { header });
  for (const chunk of chunksOf(block)) await writeMessage(call, { chunk });
  call.end();
}

/** The block's rows, through the exchange file while it has room, else in the messages. */
function* chunksOf({ side, rowStart, factors, result, exchange }: PushedBlock): Generator<RowsChunk> {
  const rows = result.rows.length / factors;
  const slice = (from: number, to: number) =>
    result.rows.subarray(from * factors, Math.min(rows, to) * factors);
  let row = 0;
  for (const step = rowsPerExchange(factors); exchange !== undefined && row < rows; row += step) {
    const piece = slice(row, row + step);
    if (!exchange.write('up', side, rowStart + row, piece)) break;
    yield describeRows(piece, rowStart + row, factors);
  }
  for (const step = rowsPerChunk(factors); row < rows; row += step) {
    yield encodeRows(slice(row, row + step), rowStart + row);
  }
}

/** Resolves when the message was handed to the connection; rejects when the call is over. */
export function writeMessage<Message>(call: ClientWritableStream<Message>, message: Message): Promise<void> {
  return new Promise((resolve, reject) => {
    const onOver = () => reject(new SystemError('STOA_UNREACHABLE', 'the call has ended'));
    call.once('close', onOver).once('error', onOver);
    call.write(message, () => {
      call.off('close', onOver).off('error', onOver);
      resolve();
    });
  });
}
