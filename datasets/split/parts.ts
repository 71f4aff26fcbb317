// Which part of a split each interaction goes to.

import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type { Csr } from '../../models/csr.js';
import { sharedFloat64 } from '../csr/time-column.js';

export const TRAIN = 0;
export const TEST = 1;
/** Known part of a held-out user's history. */
export const FOLD_IN = 2;
/** In no part. */
export const DROPPED = 3;

/** Users' rows of a whole dataset, times parallel to `csr.idx`. */
export interface TimedRows {
  csr: Csr;
  times?: Float64Array;
}

/** The entries of one part: same rows and columns, some rows empty. */
export function selectPart({ csr, times }: TimedRows, parts: Uint8Array, part: number): TimedRows {
  const { rows, cols, ptr, idx, values } = csr;
  const ptrOut = sharedInt32(rows + 1);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    for (let k = ptr[row]!; k < ptr[row + 1]!; k++) if (parts[k] === part) count++;
    ptrOut[row + 1] = count;
  }
  const idxOut = sharedInt32(count);
  const valuesOut = values === undefined ? undefined : sharedFloat32(count);
  const timesOut = times === undefined ? undefined : sharedFloat64(count);
  let at = 0;
  for (let k = 0; k < idx.length; k++) {
    if (parts[k] !== part) continue;
    idxOut[at] = idx[k]!;
    if (values !== undefined) valuesOut![at] = values[k]!;
    if (times !== undefined) timesOut![at] = times[k]!;
    at++;
  }
  return { csr: { rows, cols, ptr: ptrOut, idx: idxOut, values: valuesOut }, times: timesOut };
}
