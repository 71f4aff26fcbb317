import type { ClientWritableStream } from '@grpc/grpc-js';
import { encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { writeMessage } from '../../common/write-message.js';
import type { SgdBlockResult } from '../../models/sgd/sgd-block.js';
import type { PushStepRequest } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { RowsChunk } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { CoordinatorLink } from '../coordinator-link.js';

/** A coordinator that takes nothing for this long is gone, or will have leased the block again. */
const PUSH_MS_MAX = 60_000;

export interface PushedStep {
  runId: string;
  sessionId: string;
  leaseId: number;
  block: number;
  clock: number;
  rowStart: number;
  columns: number;
  /** Item rows of the deltas. */
  items: Int32Array;
  result: SgdBlockResult;
  solveMs: number;
}

/** Delivers one clock of a block. @returns what became of it. Errors as `CoordinatorLink.call`. */
export function pushStep(
  link: CoordinatorLink,
  step: PushedStep,
  signal: AbortSignal,
): Promise<PushStepResponse__Output['disposition']> {
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + PUSH_MS_MAX };
    const call = link.parameters.PushStep(options, (error, response) => {
      signal.removeEventListener('abort', onAbort);
      if (error === null) resolve(response!.disposition);
      else reject(signal.aborted ? signal.reason : link.explain(error));
    });
    const onAbort = () => call.cancel();
    signal.addEventListener('abort', onAbort, { once: true });
    // Why writing failed is what the answer says.
    writeStep(call, step).catch(() => call.cancel());
  });
}

async function writeStep(call: ClientWritableStream<PushStepRequest>, step: PushedStep): Promise<void> {
  const { result, items, rowStart, columns, ...ids } = step;
  const { runId, sessionId, leaseId, block, clock, solveMs } = ids;
  const { loss, sampleCount } = result;
  const header = {
    runId,
    sessionId,
    leaseId,
    block,
    clock,
    items: [...items],
    counts: [...result.counts],
    loss,
    sampleCount,
    solveMs,
  };
  await writeMessage(call, { header });
  for (const users of chunksOf(result.users, rowStart, columns)) await writeMessage(call, { users });
  for (const deltas of chunksOf(result.deltas, 0, columns)) await writeMessage(call, { deltas });
  call.end();
}

function* chunksOf(rows: Float32Array, rowStart: number, columns: number): Generator<RowsChunk> {
  const step = rowsPerChunk(columns);
  for (let row = 0; row * columns < rows.length; row += step) {
    yield encodeRows(rows.subarray(row * columns, (row + step) * columns), rowStart + row);
  }
}
