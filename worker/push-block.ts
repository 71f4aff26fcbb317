import type { ClientWritableStream } from '@grpc/grpc-js';
import { SystemError } from '../common/errors.js';
import { encodeGram, encodeRows, rowsPerChunk } from '../common/row-chunks.js';
import { sideName } from '../common/sides.js';
import type { Side } from '../models/csr.js';
import type { BlockResult } from '../models/device.js';
import type { PushBlockRequest } from '../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse__Output } from '../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
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
  const { runId, sessionId, leaseId, side, clock, rowStart, factors, result } = block;
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
  await write(call, { header });
  const rows = result.rows.length / factors;
  const step = rowsPerChunk(factors);
  for (let row = 0; row < rows; row += step) {
    const piece = result.rows.subarray(row * factors, Math.min(rows, row + step) * factors);
    await write(call, { chunk: encodeRows(piece, rowStart + row) });
  }
  call.end();
}

/** Resolves when the message was handed to the connection; rejects when the call is over. */
function write(call: ClientWritableStream<PushBlockRequest>, message: PushBlockRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const onOver = () => reject(new SystemError('STOA_UNREACHABLE', 'the call has ended'));
    call.once('close', onOver).once('error', onOver);
    call.write(message, () => {
      call.off('close', onOver).off('error', onOver);
      resolve();
    });
  });
}
