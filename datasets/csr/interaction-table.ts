// Interactions as columns in the order they were read, before they are sorted into rows.

import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import { fitsInt32, newTimesLike, type TimeColumn, widenTimes } from './time-column.js';

/** What one enlargement adds, as a factor, when the first guess of the row count was too small. */
const GROWTH = 1.5;
const CAPACITY_MIN = 4096;

/**
 * Growing columns over SharedArrayBuffers: `users[k]`, `items[k]`, `values[k]`, `times[k]` are the k-th interaction,
 * k < `length`. Capacity is virtual memory until it is written to, so a generous guess costs nothing.
 */
export class InteractionTable {
  length = 0;
  users: Int32Array;
  items: Int32Array;
  /** Rounded to f32, as the dataset holds them. */
  values?: Float32Array;
  /** 32-bit numbers until one does not fit. */
  times?: TimeColumn;

  constructor(options: { capacity: number; hasValues: boolean; hasTimes: boolean }) {
    const capacity = Math.max(CAPACITY_MIN, Math.ceil(options.capacity));
    this.users = sharedInt32(capacity);
    this.items = sharedInt32(capacity);
    if (options.hasValues) this.values = sharedFloat32(capacity);
    if (options.hasTimes) this.times = sharedInt32(capacity);
  }

  hasRoomFor(more: number): boolean {
    return this.length + more <= this.users.length;
  }

  /** Makes room for `more` interactions behind `length`; the columns are new arrays then. */
  reserve(more: number): void {
    if (this.hasRoomFor(more)) return;
    const needed = this.length + more;
    const capacity = Math.ceil(Math.max(needed, this.users.length * GROWTH));
    this.users = grown(this.users, sharedInt32(capacity), this.length);
    this.items = grown(this.items, sharedInt32(capacity), this.length);
    if (this.values !== undefined) this.values = grown(this.values, sharedFloat32(capacity), this.length);
    if (this.times !== undefined)
      this.times = grown(this.times, newTimesLike(this.times, capacity), this.length);
  }

  /** Writes the times of the interactions behind `length`, for which there is room. */
  writeTimes(times: Float64Array): void {
    if (this.times instanceof Int32Array && !fitsInt32(times)) this.times = widenTimes(this.times);
    this.times!.set(times, this.length);
  }
}

function grown<T extends Int32Array | Float32Array | Float64Array>(from: T, to: T, length: number): T {
  to.set(from.subarray(0, length));
  return to;
}
