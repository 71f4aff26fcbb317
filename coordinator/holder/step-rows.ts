// Reads and updates of push/pull runs in a parameter process. When a read may be answered is what the coordinator has
// told the worker before.

import { FencedError, ShapeError } from '../../common/errors.js';
import { encodeRows, rowsPerChunk } from '../../common/row-chunks.js';
import type { PullStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PullStepRequest.js';
import type { PullStepResponse } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { StreamWriter } from '../grpc-streams.js';
import { discard } from '../parameters/delivery.js';
import { dispositionOf, HeldStepPush } from './held-push.js';
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
  const push = new HeldStepPush(tables, header);
  if (push.outlook !== 'held') {
    await discard(parts);
    return { disposition: dispositionOf(push.outlook) };
  }
  for (let part = await parts.next(); !part.done; part = await parts.next()) push.take(part.value);
  return push.end();
}
