import { ShapeError } from '../../common/errors.js';
import { decodeRows } from '../../common/row-chunks.js';
import type { RowsChunk__Output } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { CoordinatorLink } from '../coordinator-link.js';
import type { RowHomes, RowPeer } from '../row-homes.js';
import { putRows, splitItems } from './split-items.js';

export interface PulledStep {
  runId: string;
  sessionId: string;
  leaseId: number;
  block: number;
  clock: number;
  items: Int32Array;
  /** User rows of the block, half-open. */
  users: { rowStart: number; rowEnd: number };
  /** They are not wanted: the worker has them. */
  hasUsers: boolean;
  columns: number;
}

interface Pulled {
  items: Float32Array;
  /** Absent where they were not wanted. */
  users?: Float32Array;
}

/** A read may be held back for as long as other blocks take; a coordinator that is gone is noticed by heartbeats. */
const SILENCE_MS_MAX = 10 * 60_000;

/**
 * Reads what a block needs for one clock; waits as long as the coordinator holds the read back. Where parameter
 * processes have the rows, the coordinator says when, and they are asked then.
 *
 * @throws {FencedError} the clock has been done; {CorruptError} rows arrived damaged; as `GrpcLink.call`.
 */
export async function pullStep(
  link: CoordinatorLink,
  homes: RowHomes,
  step: PulledStep,
  signal: AbortSignal,
): Promise<Pulled> {
  if (!homes.isElsewhere) return pullFrom(link, step, signal);
  const { columns, users } = step;
  await pullFrom(link, { ...step, items: new Int32Array(0), hasUsers: true }, signal);
  const home = homes.placeOf('users', users.rowStart);
  const items = new Float32Array(step.items.length * columns);
  const pulls = splitItems(homes, step.items, users.rowStart).map(async (own) => {
    const hasUsers = step.hasUsers || own.place !== home;
    const pulled = await pullFrom(homes.at(own.place)!, { ...step, items: own.items, hasUsers }, signal);
    putRows(pulled.items, own.at, columns, items);
    return pulled.users;
  });
  const found = (await Promise.all(pulls)).find((rows) => rows !== undefined);
  return found === undefined ? { items } : { items, users: found };
}

async function pullFrom(peer: RowPeer, step: PulledStep, signal: AbortSignal): Promise<Pulled> {
  const { items: wanted, columns, users: range, hasUsers, ...ids } = step;
  const request = { ...ids, items: [...wanted], wantsUsers: !hasUsers };
  const items = new Float32Array(wanted.length * columns);
  const rows = hasUsers ? 0 : range.rowEnd - range.rowStart;
  const users = new Float32Array(rows * columns);
  let itemsNext = 0;
  let usersNext = 0;
  const call = peer.parameters.PullStep(request);
  for await (const part of peer.stream(call, signal, SILENCE_MS_MAX)) {
    if (part.items) itemsNext = take(part.items, items, itemsNext, 0, columns);
    else if (part.users) usersNext = take(part.users, users, usersNext, range.rowStart, columns);
  }
  if (itemsNext !== wanted.length || usersNext !== rows) {
    throw new ShapeError('STOA_SHAPE', `${itemsNext} item rows came where ${wanted.length} were due`);
  }
  return hasUsers ? { items } : { items, users };
}

function take(
  chunk: RowsChunk__Output,
  out: Float32Array,
  next: number,
  start: number,
  columns: number,
): number {
  if (chunk.rowStart - start !== next) {
    throw new ShapeError('STOA_SHAPE', `rows from ${chunk.rowStart} came where ${start + next} were due`);
  }
  return next + decodeRows(chunk, columns, out.subarray(next * columns)).length / columns;
}
