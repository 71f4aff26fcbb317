// From a table of interactions to both orientations of the matrix, by stable counting sorts: first by item, then the
// result by user, so that each user's row is sorted by item and repeats stand in file order; then back by item.

import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type { Csr, Side } from '../../models/csr.js';
import type { BuildPool } from '../build-pool.js';
import type { MergeRule } from '../manifest.js';
import type { InteractionTable } from './interaction-table.js';
import { mergeDuplicates } from './merge-duplicates.js';
import type { Entries, TablePart } from './scatter.js';
import { newTimesLike, type TimeColumn } from './time-column.js';

/** Takes the rows of a side when they are final; from then on they are only read. */
export interface RowsSink {
  /** @param times parallel to `csr.idx`; users only. */
  writeSide(side: Side, csr: Csr, times?: TimeColumn): void;
}

/** Below this many entries a part is not worth a thread. */
const PART_ENTRIES_MIN = 200_000;

/**
 * Sorts interactions into rows of both sides and merges repeats. Each side goes to `sink` as soon as it is final.
 *
 * Memory: the table and one copy of it; the columns of `table` are reused for the result and hold nothing of use
 * afterwards. Same table, same result, whatever the number of threads.
 *
 * @param userRows provisional user id → row; `itemRows` likewise.
 * @returns how many interactions disappeared in others.
 */
export async function buildRows(
  table: InteractionTable,
  userRows: Int32Array,
  itemRows: Int32Array,
  rule: MergeRule,
  pool: BuildPool,
  sink: RowsSink,
): Promise<number> {
  const users = userRows.length;
  const items = itemRows.length;
  const count = table.length;
  const values = rule === 'one' ? undefined : (table.values ?? sharedFloat32(count));
  const { times } = table;
  const columns = {
    keys: table.items,
    others: table.users,
    rowOfKey: itemRows,
    rowOfOther: userRows,
    values,
    times,
  };
  const byItem = newEntries(count, values !== undefined, times);
  const byUser: Entries = { idx: table.items, values, times };
  const itemPtr = await sortTable(columns, count, byItem, pool);
  // Input that is ordered by user, and repeats no pair, is in its final order by item already.
  const isFinal = rule !== 'count' && hasAscendingRows(itemPtr, byItem.idx);
  if (isFinal) sink.writeSide('items', toCsr(itemPtr, users, byItem));
  const userPtr = await sortColumns(itemPtr, byItem, users, byUser, pool);
  const merged = isFinal ? 0 : mergeDuplicates(userPtr, byUser, rule);
  sink.writeSide('users', toCsr(userPtr, items, byUser), times?.subarray(0, count - merged));
  if (!isFinal) {
    const mergedPtr = await sortColumns(userPtr, { idx: byUser.idx, values }, items, byItem, pool);
    sink.writeSide('items', toCsr(mergedPtr, users, byItem));
  }
  return merged;
}

function toCsr(ptr: Int32Array, cols: number, { idx, values }: Entries): Csr {
  const rows = ptr.length - 1;
  return { rows, cols, ptr, idx: idx.subarray(0, ptr[rows]), values: values?.subarray(0, ptr[rows]) };
}

/** Whether the columns of every row ascend strictly: sorted, and no repeats. */
function hasAscendingRows(ptr: Int32Array, idx: Int32Array): boolean {
  for (let row = 0; row + 1 < ptr.length; row++) {
    for (let k = ptr[row]! + 1; k < ptr[row + 1]!; k++) if (idx[k]! <= idx[k - 1]!) return false;
  }
  return true;
}

/** Sorts the table by `rowOfKey[keys]`, file order within a row. @returns the row pointers, [rows + 1]. */
async function sortTable(
  columns: Omit<TablePart, 'from' | 'to'>,
  count: number,
  out: Entries,
  pool: BuildPool,
): Promise<Int32Array> {
  const parts = cutEvenly(count, partsFor(count, pool)).map(([from, to]) => ({ ...columns, from, to }));
  const rows = columns.rowOfKey.length;
  const counts = parts.map(() => sharedInt32(rows));
  await pool.sort(parts.map((part, p) => ({ kind: 'count-table', part, counts: counts[p]! })));
  const ptr = startsFromCounts(counts, rows);
  await pool.sort(parts.map((part, p) => ({ kind: 'scatter-table', part, next: counts[p]!, out })));
  return ptr;
}

/** Sorts entries by column, rows ascending within a column. @returns the column pointers, [columns + 1]. */
async function sortColumns(
  ptr: Int32Array,
  source: Entries,
  columns: number,
  out: Entries,
  pool: BuildPool,
): Promise<Int32Array> {
  const rows = ptr.length - 1;
  const parts = cutRows(ptr, partsFor(ptr[rows]!, pool)).map(([rowFrom, rowTo]) => ({
    ...source,
    ptr,
    rowFrom,
    rowTo,
  }));
  const counts = parts.map(() => sharedInt32(columns));
  await pool.sort(parts.map((part, p) => ({ kind: 'count-columns', part, counts: counts[p]! })));
  const ptrOut = startsFromCounts(counts, columns);
  await pool.sort(parts.map((part, p) => ({ kind: 'scatter-columns', part, next: counts[p]!, out })));
  return ptrOut;
}

/** Turns each part's counts into where its entries start in each row; returns where the rows start. */
function startsFromCounts(counts: readonly Int32Array[], rows: number): Int32Array {
  const ptr = sharedInt32(rows + 1);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    ptr[row] = at;
    for (const part of counts) {
      const here = part[row]!;
      part[row] = at;
      at += here;
    }
  }
  ptr[rows] = at;
  return ptr;
}

function partsFor(entries: number, pool: BuildPool): number {
  return Math.max(1, Math.min(pool.threads, Math.floor(entries / PART_ENTRIES_MIN)));
}

function cutEvenly(count: number, parts: number): [number, number][] {
  return Array.from({ length: parts }, (_, p) => [
    Math.floor((count * p) / parts),
    Math.floor((count * (p + 1)) / parts),
  ]);
}

/** Row ranges with about as many entries each. */
function cutRows(ptr: Int32Array, parts: number): [number, number][] {
  const rows = ptr.length - 1;
  const ranges: [number, number][] = [];
  let from = 0;
  for (let p = 1; p <= parts; p++) {
    let to = from;
    while (to < rows && (p === parts || ptr[to]! < (ptr[rows]! * p) / parts)) to++;
    ranges.push([from, to]);
    from = to;
  }
  return ranges;
}

function newEntries(count: number, hasValues: boolean, times: TimeColumn | undefined): Entries {
  return {
    idx: sharedInt32(count),
    values: hasValues ? sharedFloat32(count) : undefined,
    times: times === undefined ? undefined : newTimesLike(times, count),
  };
}
