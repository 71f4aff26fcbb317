/** Users or items: the two sides of the interaction matrix. */
export type Side = 'users' | 'items';

export function otherSide(side: Side): Side {
  return side === 'users' ? 'items' : 'users';
}

/**
 * Sparse rows. Example: rows {0: [2, 5], 1: [], 2: [0]} of 6 columns is
 * `ptr = [0, 2, 2, 3]`, `idx = [2, 5, 0]`.
 *
 * Invariants, checked where data enter: ptr[0] = 0, ptr ascends, idx strictly increasing within a row and
 * below `cols`; values finite and >= 0, one for each entry.
 */
export interface Csr {
  readonly rows: number;
  readonly cols: number;
  /** [rows + 1]. */
  readonly ptr: Int32Array;
  /** [ptr[rows]]. */
  readonly idx: Int32Array;
  /** [ptr[rows]]; absent means every value is 1. */
  readonly values?: Float32Array;
}

/** Rows `rowStart` (in) to `rowEnd` (out) as a CSR of their own: `ptr` is copied and rebased, the rest is a view. */
export function csrSlice(csr: Csr, rowStart: number, rowEnd: number): Csr {
  const from = csr.ptr[rowStart]!;
  const to = csr.ptr[rowEnd]!;
  const ptr = new Int32Array(new SharedArrayBuffer((rowEnd - rowStart + 1) * 4));
  for (let row = rowStart; row <= rowEnd; row++) ptr[row - rowStart] = csr.ptr[row]! - from;
  return {
    rows: rowEnd - rowStart,
    cols: csr.cols,
    ptr,
    idx: csr.idx.subarray(from, to),
    values: csr.values?.subarray(from, to),
  };
}
