// Memory for the rows of blocks, used over and over: as many megabytes of garbage an epoch as the tables have would
// have V8 collect without end, on the cores that the kernels compute on.

import { sharedFloat32 } from '../common/shared-memory.js';

/** Buffers that are kept: those of the blocks in flight come back, more are let go. */
const KEPT_MAX = 16;
/** Capacities are multiples of this many numbers, so that blocks of about one size fit in each other's buffers. */
const CAPACITY_STEP = 1 << 17;

export class RowMemory {
  /** Ascending by length. */
  readonly #kept: Float32Array[] = [];

  /** Numbers of any content, [length]: the smallest buffer that has room for them. */
  take(length: number): Float32Array {
    const at = this.#kept.findIndex((buffer) => buffer.length >= length);
    const capacity = Math.ceil(length / CAPACITY_STEP) * CAPACITY_STEP;
    const buffer = at < 0 ? sharedFloat32(capacity) : this.#kept.splice(at, 1)[0]!;
    return buffer.subarray(0, length);
  }

  /** Gives back what nobody reads or writes any more. Of arrays that share memory, one may be given. */
  give(array: Float32Array): void {
    const isWhole = array.byteOffset === 0 && array.buffer instanceof SharedArrayBuffer;
    if (!isWhole) return;
    const buffer = new Float32Array(array.buffer);
    const at = this.#kept.findIndex((other) => other.length >= buffer.length);
    this.#kept.splice(at < 0 ? this.#kept.length : at, 0, buffer);
    // The small ones go: large ones serve small blocks too.
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
  }
}
