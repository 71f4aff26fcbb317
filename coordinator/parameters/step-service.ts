// The push/pull half of stoa.parameters.v1.ParametersService.

import { FencedError, ShapeError, UsageError } from '../../common/errors.js';
import { encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import { Slots } from '../../common/slots.js';
import type { ParametersServiceHandlers } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { PullStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullStepRequest.js';
import type { PullStepResponse } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { ErrorLog } from '../grpc-errors.js';
import { clientStream, type StreamWriter, serverStream } from '../grpc-streams.js';
import type { Disposition } from '../schedule/events.js';
import { discard } from './delivery.js';
import type { StepDelivery, StepShape } from './step-delivery.js';
import { StepPush } from './step-push.js';

/** Deliveries taken in at once; each takes some megabytes until it is accepted. Others wait, unread. */
const DELIVERIES_MAX = 32;

/** The rows that a read was answered with: copies, which nothing changes any more. */
export interface StepAnswer {
  /** Every update stamped below it is in the rows. */
  readonly clock: number;
  readonly staleness: number;
  /** The block's user rows, and the row of the side that the first one is. */
  readonly users: Float32Array;
  readonly rowStart: number;
  /** Item rows in the order asked. */
  readonly items: Float32Array;
  readonly columns: number;
}

/** The run in progress, as far as this service needs it. */
export interface StepHost {
  /**
   * Answers a read, when the sync mode allows it.
   *
   * @param signal the reader is gone.
   * @throws {FencedError} `STOA_LEASE_GONE`, `STOA_CLOCK_GONE`, `STOA_SESSION_OVER`; {UsageError} no such rows.
   */
  read(request: PullStepRequest__Output, signal: AbortSignal): Promise<StepAnswer>;
  judge(header: StepHeader__Output): Disposition;
  /** As `ParameterHost.isAudited`. */
  isAudited(header: StepHeader__Output): boolean;
  shapeOf(header: StepHeader__Output): StepShape;
  /** As `ParameterHost.hasReceipt`, of all parts of an update. */
  hasReceipts(header: StepHeader__Output): boolean;
  /** Judges a complete result; an accepted one is in the tables on return. */
  deliver(delivery: StepDelivery): Disposition;
  refuse(header: StepHeader__Output, reason: string): void;
  moved(direction: 'in' | 'out', way: 'message', bytes: number): void;
}

const DISPOSITIONS = {
  accepted: 'DISPOSITION_ACCEPTED',
  duplicate: 'DISPOSITION_DUPLICATE',
  stale: 'DISPOSITION_STALE',
  witnessed: 'DISPOSITION_WITNESSED',
} as const;

export function stepHandlers(
  host: StepHost,
  log: ErrorLog,
): Pick<ParametersServiceHandlers, 'PullStep' | 'PushStep'> {
  const slots = new Slots(DELIVERIES_MAX);
  return {
    PullStep: serverStream<PullStepRequest__Output, PullStepResponse>(async (request, writer, call) => {
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort(new FencedError('STOA_LEASE_GONE', 'the reader has gone')));
      await sendAnswer(host, request, await host.read(request, gone.signal), writer);
    }, log),
    PushStep: clientStream<PushStepRequest__Output, PushStepResponse>(
      (parts) => slots.hold(async () => ({ disposition: DISPOSITIONS[await pushStep(host, parts)] })),
      log,
    ),
  };
}

async function sendAnswer(
  host: StepHost,
  { wantsUsers }: PullStepRequest__Output,
  { clock, staleness, users, rowStart, items, columns }: StepAnswer,
  writer: StreamWriter<PullStepResponse>,
): Promise<void> {
  await writer.write({ read: { clock, staleness } });
  const chunks = function* (rows: Float32Array, start: number) {
    const step = rowsPerChunk(columns);
    for (let row = 0; row * columns < rows.length; row += step) {
      const piece = rows.subarray(row * columns, (row + step) * columns);
      host.moved('out', 'message', piece.byteLength);
      yield encodeRows(piece, start + row);
    }
  };
  if (wantsUsers) for (const chunk of chunks(users, rowStart)) await writer.write({ users: chunk });
  for (const chunk of chunks(items, 0)) await writer.write({ items: chunk });
  await writer.flush();
}

async function pushStep(host: StepHost, parts: AsyncIterator<PushStepRequest__Output>): Promise<Disposition> {
  const first = await parts.next();
  if (first.done) throw new FencedError('STOA_LEASE_GONE', 'the delivery ended before its header');
  const { header } = first.value;
  if (!header) throw new ShapeError('STOA_SHAPE', 'a delivery begins with its header');
  const push = new StepPush(host, header);
  if (push.outlook !== 'accepted') {
    await discard(parts);
    return push.outlook;
  }
  for (let part = await parts.next(); !part.done; part = await parts.next()) push.take(part.value);
  return push.end();
}

/** @throws {UsageError} the rows of a read do not ascend below `items`. */
export function requireItemRows(rows: readonly number[], items: number): Int32Array {
  const isSound = rows.every((row, n) => (n === 0 || row > rows[n - 1]!) && row < items);
  if (isSound) return Int32Array.from(rows);
  throw new UsageError('STOA_USAGE', `item rows must ascend and be below ${items}`, {
    fields: { field: 'items' },
  });
}
