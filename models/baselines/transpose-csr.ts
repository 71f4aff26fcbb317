import type { Csr } from '../csr.js';

/**
 * The other orientation of a matrix, without its values: row r of the answer lists, ascending, the rows of `csr` that
 * have an entry in column r. Arrays lie over SharedArrayBuffers. Cost: two passes over the entries.
 */
export function transposeCsr(csr: Csr): Csr {
  const { rows, cols, ptr, idx } = csr;
  const counts = columnCounts(csr);
  const turnedPtr = new Int32Array(new SharedArrayBuffer((cols + 1) * 4));
  for (let col = 0; col < cols; col++) turnedPtr[col + 1] = turnedPtr[col]! + counts[col]!;
  const next = turnedPtr.slice(0, cols);
  const turnedIdx = new Int32Array(new SharedArrayBuffer(ptr[rows]! * 4));
  for (let row = 0; row < rows; row++) {
    for (let e = ptr[row]!; e < ptr[row + 1]!; e++) {
      const col = idx[e]!;
      turnedIdx[next[col]!] = row;
      next[col]! += 1;
    }
  }
  return { rows: cols, cols: rows, ptr: turnedPtr, idx: turnedIdx };
}

/** Entries in each column. */
export function columnCounts(csr: Csr): Int32Array {
  const counts = new Int32Array(csr.cols);
  const entries = csr.ptr[csr.rows]!;
  for (let e = 0; e < entries; e++) counts[csr.idx[e]!]! += 1;
  return counts;
}
