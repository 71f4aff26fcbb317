// The two hot loops that turn a list of interactions into sorted rows: count how many entries each row gets, then put
// every entry where it belongs. Each call handles a part of the source, so that threads can share the work: with
// `next` made from the counts of the parts before it, a part writes exactly what one pass over all would have written.

import type { TimeColumn } from './time-column.js';

/** Entries on their way between orders; `idx` is the row of the other side. */
export interface Entries {
  idx: Int32Array;
  values?: Float32Array;
  times?: TimeColumn;
}

/** A part of the table: interactions `from` (in) to `to` (out), with the final row of each provisional id. */
export interface TablePart {
  /** Provisional ids: the key that rows are made by, and the other side's. */
  keys: Int32Array;
  others: Int32Array;
  rowOfKey: Int32Array;
  rowOfOther: Int32Array;
  values?: Float32Array;
  times?: TimeColumn;
  from: number;
  to: number;
}

/** Adds to `counts[row]` the interactions of the part that belong to `row`. */
export function countTable({ keys, rowOfKey, from, to }: TablePart, counts: Int32Array): void {
  for (let k = from; k < to; k++) counts[rowOfKey[keys[k]!]!]!++;
}

/** Puts each interaction of the part at `next[row]++` of `out`, in the part's order. */
export function scatterTable(part: TablePart, next: Int32Array, out: Entries): void {
  const { keys, others, rowOfKey, rowOfOther, values, times, from, to } = part;
  const { idx: idxOut, values: valuesOut, times: timesOut } = out;
  for (let k = from; k < to; k++) {
    const at = next[rowOfKey[keys[k]!]!]!++;
    idxOut[at] = rowOfOther[others[k]!]!;
    if (values !== undefined) valuesOut![at] = values[k]!;
    if (times !== undefined) timesOut![at] = times[k]!;
  }
}

/** Rows `rowFrom` (in) to `rowTo` (out) of a matrix by rows, to be put by column. */
export interface RowsPart extends Entries {
  ptr: Int32Array;
  rowFrom: number;
  rowTo: number;
}

/** Adds to `counts[column]` the entries of the part that lie in `column`. */
export function countColumns({ ptr, idx, rowFrom, rowTo }: RowsPart, counts: Int32Array): void {
  const to = ptr[rowTo]!;
  for (let k = ptr[rowFrom]!; k < to; k++) counts[idx[k]!]!++;
}

/** Puts each entry of the part at `next[column]++` of `out`, rows ascending: the transpose, sorted within each row. */
export function scatterColumns(part: RowsPart, next: Int32Array, out: Entries): void {
  const { ptr, idx, values, times, rowFrom, rowTo } = part;
  const { idx: idxOut, values: valuesOut, times: timesOut } = out;
  for (let row = rowFrom; row < rowTo; row++) {
    const end = ptr[row + 1]!;
    for (let k = ptr[row]!; k < end; k++) {
      const at = next[idx[k]!]!++;
      idxOut[at] = row;
      if (values !== undefined) valuesOut![at] = values[k]!;
      if (times !== undefined) timesOut![at] = times[k]!;
    }
  }
}
