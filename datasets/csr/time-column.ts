// Times of interactions: most are whole numbers that fit 32 bits (seconds, days, positions), which halves what is
// sorted and written; others are f64.

import { sharedInt32 } from '../../common/shared-memory.js';

export type TimeColumn = Int32Array | Float64Array;

/** f64 zeros that threads can share. */
export function sharedFloat64(length: number): Float64Array {
  return new Float64Array(new SharedArrayBuffer(length * 8));
}

/** A column of the same kind. */
export function newTimesLike(times: TimeColumn, length: number): TimeColumn {
  return times instanceof Int32Array ? sharedInt32(length) : sharedFloat64(length);
}

/** Whether every time is a whole number of 32 bits. */
export function fitsInt32(times: Float64Array): boolean {
  for (let k = 0; k < times.length; k++) if (times[k]! !== (times[k]! | 0)) return false;
  return true;
}

/** The same times as 32-bit numbers where they all fit. */
export function narrowTimes(times: TimeColumn): TimeColumn {
  if (times instanceof Int32Array || !fitsInt32(times)) return times;
  const narrow = sharedInt32(times.length);
  narrow.set(times);
  return narrow;
}

/** The same times as f64. */
export function widenTimes(times: TimeColumn): Float64Array {
  if (times instanceof Float64Array) return times;
  const wide = sharedFloat64(times.length);
  wide.set(times);
  return wide;
}
