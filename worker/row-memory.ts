// Memory for the rows of blocks, used over and over: as many megabytes of garbage an epoch as the tables have would
// have V8 collect without end, on the cores that the kernels compute on.

import { sharedFloat32 } from '../common/shared-memory.js';

/** Buffers that are kept: those of the blocks in flight come back, more are let go. */
const KEPT_MAX = 16;

export class RowMemory {
  readonly #kept: Float32Array[] = [];

  /** Numbers of any content, [length]. */
  take(length: number): Float32Array {
    const at = this.#kept.findIndex((buffer) => buffer.length >= length);
    const buffer = at < 0 ? sharedFloat32(length) : this.#kept.splice(at, 1)[0]!;
    return buffer.subarray(0, length);
  }

  /** Gives back what nobody reads or writes any more. Of arrays that share memory, one may be given. */
  give(array: Float32Array): void {
    const isWhole = array.byteOffset === 0 && array.buffer instanceof SharedArrayBuffer;
    if (isWhole && this.#kept.length < KEPT_MAX) this.#kept.push(new Float32Array(array.buffer));
  }
}
