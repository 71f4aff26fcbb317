import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type { Csr } from '../../models/csr.js';

/**
 * The same entries by column. Rows are visited in order, so each row of the result is sorted.
 *
 * Example: {0: [2, 5], 1: [], 2: [0]} of 6 columns becomes {0: [2], 2: [0], 5: [0]} of 3 columns, other rows empty.
 * `times`, when given, are parallel to `csr.idx`; the result's are parallel to its `idx`. Cost: O(entries).
 */
export function transpose(csr: Csr, times?: Float64Array): { csr: Csr; times?: Float64Array } {
  const entries = csr.ptr[csr.rows]!;
  const ptr = countColumns(csr, entries);
  const idx = sharedInt32(entries);
  const values = csr.values === undefined ? undefined : sharedFloat32(entries);
  const timesOut = times === undefined ? undefined : new Float64Array(new SharedArrayBuffer(entries * 8));
  const next = ptr.slice(0, csr.cols);
  scatter(csr, next, idx);
  if (csr.values !== undefined) scatterParallel(csr, ptr.slice(0, csr.cols), csr.values, values!);
  if (times !== undefined) scatterParallel(csr, ptr.slice(0, csr.cols), times, timesOut!);
  return { csr: { rows: csr.cols, cols: csr.rows, ptr, idx, values }, times: timesOut };
}

function countColumns({ cols, idx }: Csr, entries: number): Int32Array {
  const ptr = sharedInt32(cols + 1);
  for (let k = 0; k < entries; k++) ptr[idx[k]! + 1]!++;
  for (let col = 0; col < cols; col++) ptr[col + 1]! += ptr[col]!;
  return ptr;
}

function scatter({ rows, ptr, idx }: Csr, next: Int32Array, out: Int32Array): void {
  for (let row = 0; row < rows; row++) {
    for (let k = ptr[row]!; k < ptr[row + 1]!; k++) out[next[idx[k]!]!++] = row;
  }
}

function scatterParallel<T extends Float32Array | Float64Array>(
  { rows, ptr, idx }: Csr,
  next: Int32Array,
  source: T,
  out: T,
): void {
  const entries = ptr[rows]!;
  for (let k = 0; k < entries; k++) out[next[idx[k]!]!++] = source[k]!;
}
