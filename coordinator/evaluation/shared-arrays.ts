import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type { Csr } from '../../models/csr.js';

/** The same floats over a SharedArrayBuffer: the array itself where it lies over one already, else a copy. */
export function sharedFloats(array: Float32Array): Float32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = sharedFloat32(array.length);
  copy.set(array);
  return copy;
}

/** The same matrix over SharedArrayBuffers; arrays that lie over one already are not copied. */
export function sharedCsr(csr: Csr): Csr {
  return {
    rows: csr.rows,
    cols: csr.cols,
    ptr: sharedInts(csr.ptr),
    idx: sharedInts(csr.idx),
    values: csr.values === undefined ? undefined : sharedFloats(csr.values),
  };
}

export function sharedInts(array: Int32Array): Int32Array {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = sharedInt32(array.length);
  copy.set(array);
  return copy;
}
