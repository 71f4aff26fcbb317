// Arrays where a thread sees them without a copy.

import type { Csr } from '../../models/csr.js';

/** The same numbers over shared memory; a copy only when they are not there already. */
export function shareArray<T extends Float32Array | Float64Array | Int32Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const Copy = array.constructor as new (buffer: SharedArrayBuffer) => T;
  const copy = new Copy(new SharedArrayBuffer(array.byteLength));
  copy.set(array);
  return copy;
}

export function shareCsr(csr: Csr): Csr {
  return {
    rows: csr.rows,
    cols: csr.cols,
    ptr: shareArray(csr.ptr),
    idx: shareArray(csr.idx),
    values: csr.values === undefined ? undefined : shareArray(csr.values),
  };
}
