// Handlers of stoa.parameters.v1.ParametersService over the tables of the run in progress.

import {
  describeRows,
  encodeGram,
  encodeRows,
  rowsPerChunk,
  rowsPerExchange,
} from '../../common/row-chunks.js';
import type { RowExchange } from '../../common/row-exchange.js';
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
import { BlockPush } from './block-push.js';
import { type BlockShape, type Delivery, discard, readHeader } from './delivery.js';
import type { ParameterStore } from './parameter-store.js';
import { rangesAsked, tableAt } from './table-reads.js';

/** Results that are taken in at once; each takes up to 4 MiB until it is accepted. Others wait, unread. */
const DELIVERIES_MAX = 32;

/** The run in progress, as far as this service needs it. */
export interface ParameterHost {
  /** @throws {FencedError} `STOA_CLOCK_GONE`: the run is not in progress, or its rows are in parameter processes. */
  store(runId: string): ParameterStore;
  /** The packed Gram of a side. @throws {FencedError} `STOA_CLOCK_GONE`. */
  gram(runId: string, side: Side, clock: number): Float64Array;
  /**
   * True where a parameter process has the rows of the result, false where they are due here.
   *
   * @throws {ShapeError} rows are in the wrong place; {FencedError} `STOA_LEASE_GONE`: the receipt is not of the present
   *   tables.
   */
  hasReceipt(header: BlockHeader__Output): boolean;
  /** What would become of a result that says this of itself. */
  judge(header: BlockHeader__Output): Disposition;
  /** True where the result needs a digest, since it is compared with another worker's. */
  isAudited(header: BlockHeader__Output): boolean;
  /** Shape of a block of the phase in progress. */
  shapeOf(header: BlockHeader__Output): BlockShape;
  /** Judges a complete result, whose rows stand in the table of the next clock. */
  deliver(delivery: Delivery): Disposition;
  /** The session's exchange of rows of the run in progress; undefined where it has none. */
  exchange(sessionId: string): RowExchange | undefined;
  /** Told of every chunk of rows that came in or went out. */
  moved(direction: 'in' | 'out', way: 'message' | 'exchange', bytes: number): void;
  /** The result under this lease was wrong. */
  refuse(header: BlockHeader__Output, reason: string): void;
}

const DISPOSITIONS = {
  accepted: 'DISPOSITION_ACCEPTED',
  duplicate: 'DISPOSITION_DUPLICATE',
  stale: 'DISPOSITION_STALE',
  witnessed: 'DISPOSITION_WITNESSED',
} as const;

export function parametersService(
  host: ParameterHost,
  log: ErrorLog,
): Omit<ParametersServiceHandlers, 'PullStep' | 'PushStep'> {
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
  const reply = replier(host, request, side, tables.factors);
  for (const { rowStart, rowEnd } of rangesAsked(request.ranges, tables.rows(side))) {
    for (let row = rowStart; row < rowEnd; row += reply.rowsMax) {
      const end = Math.min(row + reply.rowsMax, rowEnd);
      await reply.send(writer, tableAt(tables, side, request.clock), row, end);
    }
  }
  await writer.flush();
}

interface Replier {
  /** Rows of one chunk at most. */
  rowsMax: number;
  /** Sends rows `row` (in) to `end` (out) of a table. */
  send: (
    writer: StreamWriter<PullRowsResponse>,
    table: Float32Array,
    row: number,
    end: number,
  ) => Promise<void>;
}

/** How the rows of a pull travel: through the session's exchange file while it has room, else in the messages. */
function replier(
  host: ParameterHost,
  request: PullRowsRequest__Output,
  side: Side,
  factors: number,
): Replier {
  const exchange = host.exchange(request.sessionId);
  const { encoding } = request;
  const step = rowsPerChunk(factors, encoding);
  const inMessages: Replier['send'] = async (writer, table, row, end) => {
    for (let from = row; from < end; from += step) {
      const rows = table.subarray(from * factors, Math.min(end, from + step) * factors);
      const chunk = encodeRows(rows, from, encoding);
      host.moved('out', 'message', chunk.rows.length);
      await writer.write({ chunk });
    }
  };
  if (exchange === undefined) return { rowsMax: step, send: inMessages };
  return {
    rowsMax: rowsPerExchange(factors),
    send: async (writer, table, row, end) => {
      const rows = table.subarray(row * factors, end * factors);
      if (!exchange.write('down', side, row, rows)) return inMessages(writer, table, row, end);
      host.moved('out', 'exchange', rows.byteLength);
      await writer.write({ chunk: describeRows(rows, row, factors) });
    },
  };
}

function getGram(host: ParameterHost, { runId, side, clock }: GetGramRequest__Output): GetGramResponse {
  return encodeGram(host.gram(runId, sideOf(side), clock));
}

async function pushBlock(
  host: ParameterHost,
  parts: AsyncIterator<PushBlockRequest__Output>,
): Promise<Disposition> {
  const push = new BlockPush(host, await readHeader(parts));
  if (push.outlook !== 'accepted') {
    await discard(parts);
    return push.outlook;
  }
  for (let part = await parts.next(); !part.done; part = await parts.next()) push.take(part.value);
  return push.end();
}
