// Typed arrays over SharedArrayBuffer, so that blocks and tables reach threads without a copy.

/** f32 zeros that threads can share. */
export function sharedFloat32(length: number): Float32Array {
  return new Float32Array(sharedMemory(length * 4));
}

/** i32 zeros that threads can share. */
export function sharedInt32(length: number): Int32Array {
  return new Int32Array(sharedMemory(length * 4));
}

/** Bytes that threads can share. */
export function sharedBytes(length: number): Uint8Array {
  return new Uint8Array(sharedMemory(length));
}

/** Smaller pieces do not add up to anything before the small objects around them are collected anyway. */
const COUNTED_BYTES_MIN = 64 * 1024;

/**
 * V8 collects garbage by the memory that it knows of, and shared memory it does not count (Node 20): results of blocks
 * would pile up by the hundred megabytes. A buffer as large that lives as long is counted; as nobody touches it, it
 * takes no memory itself.
 */
const counted = new WeakMap<SharedArrayBuffer, Buffer>();

function sharedMemory(bytes: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(bytes);
  if (bytes >= COUNTED_BYTES_MIN) counted.set(memory, Buffer.allocUnsafeSlow(bytes));
  return memory;
}
