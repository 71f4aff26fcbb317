import { ShapeError } from '../../common/errors.js';
import { decodeRows } from '../../common/row-chunks.js';
import type { RowsChunk__Output } from '../../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { CoordinatorLink } from '../coordinator-link.js';

export interface PulledStep {
  runId: string;
  sessionId: string;
  leaseId: number;
  block: number;
  clock: number;
  items: Int32Array;
  /** User rows of the block, half-open, where they are wanted. */
  users?: { rowStart: number; rowEnd: number };
  columns: number;
}

/** A read may be held back for as long as other blocks take; a coordinator that is gone is noticed by heartbeats. */
const SILENCE_MS_MAX = 10 * 60_000;

/**
 * Reads what a block needs for one clock; waits as long as the coordinator holds the read back.
 *
 * @throws {FencedError} the clock has been done; {CorruptError} rows arrived damaged; as `CoordinatorLink.call`.
 */
export async function pullStep(
  link: CoordinatorLink,
  step: PulledStep,
  signal: AbortSignal,
): Promise<{ items: Float32Array; users?: Float32Array }> {
  const { items: wanted, columns, users: range, ...ids } = step;
  const request = { ...ids, items: [...wanted], wantsUsers: range !== undefined };
  const items = new Float32Array(wanted.length * columns);
  const rows = range === undefined ? 0 : range.rowEnd - range.rowStart;
  const users = new Float32Array(rows * columns);
  let itemsNext = 0;
  let usersNext = 0;
  const call = link.parameters.PullStep(request);
  for await (const part of link.stream(call, signal, SILENCE_MS_MAX)) {
    if (part.items) itemsNext = take(part.items, items, itemsNext, 0, columns);
    else if (part.users) usersNext = take(part.users, users, usersNext, range?.rowStart ?? 0, columns);
  }
  if (itemsNext !== wanted.length || usersNext !== rows) {
    throw new ShapeError('STOA_SHAPE', `${itemsNext} item rows came where ${wanted.length} were due`);
  }
  return range === undefined ? { items } : { items, users };
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
