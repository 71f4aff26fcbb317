import type { Csr } from '../../models/csr.js';

/** Some rows of a matrix, in the given order, as a matrix of their own. */
export function gatherRows(csr: Csr, rows: Int32Array): Csr {
  const ptr = new Int32Array(rows.length + 1);
  rows.forEach((row, r) => {
    ptr[r + 1] = ptr[r]! + csr.ptr[row + 1]! - csr.ptr[row]!;
  });
  const idx = new Int32Array(ptr[rows.length]!);
  const values = csr.values === undefined ? undefined : new Float32Array(idx.length);
  rows.forEach((row, r) => {
    idx.set(csr.idx.subarray(csr.ptr[row]!, csr.ptr[row + 1]!), ptr[r]!);
    values?.set(csr.values!.subarray(csr.ptr[row]!, csr.ptr[row + 1]!), ptr[r]!);
  });
  return { rows: rows.length, cols: csr.cols, ptr, idx, values };
}
