// Handlers of stoa.parameters.v1.ParametersService over the tables of the run in progress.

import { FencedError, messageOf, NumericError, ShapeError, UsageError } from '../../common/errors.js';
import { encodeGram, encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { sideOf } from '../../common/sides.js';
import { Slots } from '../../common/slots.js';
import type { Side } from '../../models/csr.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { GetGramRequest__Output } from '../../proto/generated/stoa/parameters/v1/GetGramRequest.js';
import type { GetGramResponse } from '../../proto/generated/stoa/parameters/v1/GetGramResponse.js';
import type { ParametersServiceHandlers } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { PullRowsRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullRowsRequest.js';
import type { PullRowsResponse } from '../../proto/generated/stoa/parameters/v1/PullRowsResponse.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream, type StreamWriter, serverStream } from '../grpc-streams.js';
import type { Disposition } from '../schedule/events.js';
import { type BlockShape, type Delivery, discard, readDelivery, readHeader } from './delivery.js';
import type { ParameterStore } from './parameter-store.js';

/** Results that are read at once; each takes up to 4 MiB until it is accepted. Others wait, unread. */
const DELIVERIES_MAX = 32;

/** The run in progress, as far as this service needs it. */
export interface ParameterHost {
  /** @throws {FencedError} `STOA_CLOCK_GONE`: the run is not in progress. */
  store(runId: string): ParameterStore;
  /** What would become of a result that says this of itself. */
  judge(header: BlockHeader__Output): Disposition;
  /** Shape of a block of the phase in progress. */
  shapeOf(header: BlockHeader__Output): BlockShape;
  /** Judges a complete result; an accepted one is in the tables on return. */
  deliver(delivery: Delivery): Disposition;
  /** The result under this lease was wrong. */
  refuse(header: BlockHeader__Output, reason: string): void;
}

const DISPOSITIONS = {
  accepted: 'DISPOSITION_ACCEPTED',
  duplicate: 'DISPOSITION_DUPLICATE',
  stale: 'DISPOSITION_STALE',
} as const;

export function parametersService(host: ParameterHost, log: ErrorLog): ParametersServiceHandlers {
  const slots = new Slots(DELIVERIES_MAX);
  return {
    PullRows: serverStream<PullRowsRequest__Output, PullRowsResponse>(
      (request, writer) => pullRows(host, request, writer),
      log,
    ),
    GetGram: unary((request) => getGram(host, request), log),
    PushBlock: clientStream<PushBlockRequest__Output, PushBlockResponse>(
      (parts) => slots.hold(async () => ({ disposition: DISPOSITIONS[await pushBlock(host, parts)] })),
      log,
    ),
  };
}

async function pullRows(
  host: ParameterHost,
  request: PullRowsRequest__Output,
  writer: StreamWriter<PullRowsResponse>,
): Promise<void> {
  const { tables } = host.store(request.runId);
  const side = sideOf(request.side);
  const ranges = rangesOf(request, tables.rows(side));
  const { factors } = tables;
  const step = rowsPerChunk(factors);
  for (const { rowStart, rowEnd } of ranges) {
    for (let row = rowStart; row < rowEnd; row += step) {
      const table = tables.at(side, request.clock);
      if (table === undefined) throw clockGone(side, request.clock, tables.clock(side));
      const end = Math.min(row + step, rowEnd);
      await writer.write({ chunk: encodeRows(table.subarray(row * factors, end * factors), row) });
    }
  }
  await writer.flush();
}

function getGram(host: ParameterHost, request: GetGramRequest__Output): GetGramResponse {
  const store = host.store(request.runId);
  const side = sideOf(request.side);
  const clock = store.tables.clock(side);
  if (clock !== request.clock) throw clockGone(side, request.clock, clock);
  return encodeGram(store.sums(side).gram);
}

async function pushBlock(
  host: ParameterHost,
  parts: AsyncIterator<PushBlockRequest__Output>,
): Promise<Disposition> {
  const header = await readHeader(parts);
  const outlook = host.judge(header);
  if (outlook !== 'accepted') {
    await discard(parts);
    return outlook;
  }
  try {
    return host.deliver(await readDelivery(header, host.shapeOf(header), parts));
  } catch (error) {
    if (error instanceof ShapeError || error instanceof NumericError) host.refuse(header, messageOf(error));
    throw error;
  }
}

function rangesOf(request: PullRowsRequest__Output, rows: number): { rowStart: number; rowEnd: number }[] {
  if (request.ranges.length === 0) return [{ rowStart: 0, rowEnd: rows }];
  let before = 0;
  for (const { rowStart, rowEnd } of request.ranges) {
    if (rowStart < before || rowEnd <= rowStart || rowEnd > rows) {
      throw new UsageError(
        'STOA_USAGE',
        `ranges must ascend, not overlap and lie within ${rows} rows; ${rowStart} to ${rowEnd} does not`,
        { fields: { field: 'ranges' } },
      );
    }
    before = rowEnd;
  }
  return request.ranges;
}

function clockGone(side: Side, asked: number, kept: number): FencedError {
  return new FencedError(
    'STOA_CLOCK_GONE',
    `${side} at clock ${asked} cannot be read, the table is at clock ${kept}; the phase has moved on`,
  );
}
