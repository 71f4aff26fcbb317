// Handlers of stoa.parameters.v1.ParametersService in a parameter process: reads of its rows, and results on their way.

import { StateError } from '../../common/errors.js';
import { encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import { Slots } from '../../common/slots.js';
import type { Side } from '../../models/csr.js';
import type { ParametersServiceHandlers } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { PullRowsRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullRowsRequest.js';
import type { PullRowsResponse } from '../../proto/generated/stoa/parameters/v1/PullRowsResponse.js';
import type { PullStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullStepRequest.js';
import type { PullStepResponse } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream, type StreamWriter, serverStream } from '../grpc-streams.js';
import { discard, readHeader } from '../parameters/delivery.js';
import { dispositionOf, HeldBlockPush } from './held-push.js';
import type { HeldTable } from './held-table.js';
import { type HeldTables, type OpenTables, sideOfTables } from './held-tables.js';
import { pullStep, pushStep } from './step-rows.js';

/** Results that are taken in at once; each takes up to 4 MiB until it is complete. Others wait, unread. */
const DELIVERIES_MAX = 32;

export function rowsService(tables: HeldTables, log: ErrorLog): ParametersServiceHandlers {
  const slots = new Slots(DELIVERIES_MAX);
  const elsewhere = () => {
    throw new StateError('STOA_RUN_STATE', 'a parameter process has rows only; ask the coordinator');
  };
  return {
    PullRows: serverStream<PullRowsRequest__Output, PullRowsResponse>(
      (request, writer) => pullRows(tables, request, writer),
      log,
    ),
    PushBlock: clientStream<PushBlockRequest__Output, PushBlockResponse>(
      (parts) => slots.hold(() => pushBlock(tables, parts)),
      log,
    ),
    GetGram: unary(elsewhere, log),
    PullStep: serverStream<PullStepRequest__Output, PullStepResponse>(
      (request, writer) => pullStep(tables, request, writer),
      log,
    ),
    PushStep: clientStream<PushStepRequest__Output, PushStepResponse>(
      (parts) => slots.hold(() => pushStep(tables, parts)),
      log,
    ),
  };
}

async function pullRows(
  tables: HeldTables,
  { runId, side, clock, ranges, encoding }: PullRowsRequest__Output,
  writer: StreamWriter<PullRowsResponse>,
): Promise<void> {
  const reader = readerOf(tables.ofRun(runId), sideOf(side));
  const step = rowsPerChunk(reader.factors, encoding);
  for (const { rowStart, rowEnd } of reader.pieces(ranges)) {
    for (let row = rowStart; row < rowEnd; row += step) {
      const rows = reader.at(clock, { rowStart: row, rowEnd: Math.min(rowEnd, row + step) });
      await writer.write({ chunk: encodeRows(rows, row, encoding) });
    }
  }
  await writer.flush();
}

/** Reads of whole ranges: of the present table, or of what is kept where updates enter all the time. */
function readerOf(open: OpenTables, side: Side): Pick<HeldTable, 'factors' | 'pieces' | 'at'> {
  const { steps } = open;
  if (steps === undefined) return sideOfTables(open, side);
  return {
    factors: steps.columns,
    pieces: (ranges) => steps.pieces(side, ranges),
    at: (clock, range) => steps.keptAt(side, clock, range),
  };
}

/** Takes the rows of a result in. Nothing of it counts until the coordinator says so. */
async function pushBlock(
  tables: HeldTables,
  parts: AsyncIterator<PushBlockRequest__Output>,
): Promise<PushBlockResponse> {
  const push = new HeldBlockPush(tables, await readHeader(parts));
  if (push.outlook !== 'held') {
    await discard(parts);
    return { disposition: dispositionOf(push.outlook) };
  }
  for (let part = await parts.next(); !part.done; part = await parts.next()) push.take(part.value);
  return push.end();
}
