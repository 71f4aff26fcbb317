// Reads and updates of push/pull runs in a parameter process. When a read may be answered is what the coordinator has
// told the worker before.

import { crc32c } from '../../common/checksums.js';
import { FencedError, ShapeError } from '../../common/errors.js';
import { bytesOf, encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import type { PullStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullStepRequest.js';
import type { PullStepResponse } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { StreamWriter } from '../grpc-streams.js';
import { signReceipt } from '../holders/receipt.js';
import { discard } from '../parameters/delivery.js';
import { StepIntake } from '../parameters/step-delivery.js';
import { type HeldTables, stepsOf } from './held-tables.js';

export async function pullStep(
  tables: HeldTables,
  { runId, block, items, wantsUsers }: PullStepRequest__Output,
  writer: StreamWriter<PullStepResponse>,
): Promise<void> {
  const steps = stepsOf(tables.ofRun(runId));
  const users = steps.usersOf(block);
  const rows = steps.itemsFor(block, Int32Array.from(items));
  const chunks = function* (from: Float32Array, start: number) {
    const step = rowsPerChunk(steps.columns);
    for (let row = 0; row * steps.columns < from.length; row += step) {
      yield encodeRows(from.subarray(row * steps.columns, (row + step) * steps.columns), start + row);
    }
  };
  if (wantsUsers)
    for (const chunk of chunks(users.rows, users.rowStart)) await writer.write({ users: chunk });
  for (const chunk of chunks(rows, 0)) await writer.write({ items: chunk });
  await writer.flush();
}

/** Takes a part of an update in. Nothing of it counts until the coordinator says so. */
export async function pushStep(
  tables: HeldTables,
  parts: AsyncIterator<PushStepRequest__Output>,
): Promise<PushStepResponse> {
  const first = await parts.next();
  if (first.done) throw new FencedError('STOA_LEASE_GONE', 'the delivery ended before its header');
  const { header } = first.value;
  if (!header) throw new ShapeError('STOA_SHAPE', 'a delivery begins with its header');
  const { runId, block, leaseId } = header;
  const steps = stepsOf(tables.ofRun(runId));
  const clock = header.clock + 1;
  if (steps.outlook(block, clock) === 'duplicate') {
    await discard(parts);
    return { disposition: 'DISPOSITION_DUPLICATE' };
  }
  const intake = new StepIntake(header, steps.shapeOf(block));
  for (let part = await parts.next(); !part.done; part = await parts.next()) intake.take(part.value);
  const { users, deltas } = intake.end();
  const open = tables.ofRun(runId);
  stepsOf(open).hold(block, { leaseId, clock, users, deltas });
  const digest = crc32c(bytesOf(deltas.deltas), crc32c(bytesOf(users)));
  const { holderId, secret } = open;
  const signature = signReceipt(secret, { holderId, runId, leaseId, side: 'users', block, clock, digest });
  return { disposition: 'DISPOSITION_HELD', receipt: { digest, signature } };
}
