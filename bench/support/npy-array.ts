// Arrays as numpy's .npy files, version 1.0 of the format: what the peers read and write.
// Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { readFileSync, writeFileSync } from 'node:fs';

const MAGIC = Buffer.from('\x93NUMPY\x01\x00', 'latin1');
/** Data begin at a multiple of this. */
const ALIGNMENT = 64;

/** Writes f32 or i32 numbers, row-major. @param shape its product is the array's length. */
export function writeNpyArray(
  file: string,
  array: Float32Array | Int32Array,
  shape: readonly number[],
): void {
  const type = array instanceof Float32Array ? '<f4' : '<i4';
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '${type}', 'fortran_order': False, 'shape': (${dims}), }`;
  const length = Math.ceil((MAGIC.length + 2 + text.length + 1) / ALIGNMENT) * ALIGNMENT;
  const header = Buffer.alloc(length, ' ');
  MAGIC.copy(header);
  header.writeUInt16LE(length - MAGIC.length - 2, MAGIC.length);
  header.write(`${text}`, MAGIC.length + 2, 'latin1');
  header.write('\n', length - 1, 'latin1');
  writeFileSync(file, Buffer.concat([header, Buffer.from(array.buffer, array.byteOffset, array.byteLength)]));
}

/** Reads i32 numbers in row-major order. @throws {Error} the file has something else. */
export function readNpyInt32(file: string): Int32Array {
  return new Int32Array(bodyOf(file, '<i4'));
}

/** Reads f32 numbers in row-major order. @throws {Error} the file has something else. */
export function readNpyFloat32(file: string): Float32Array {
  return new Float32Array(bodyOf(file, '<f4'));
}

function bodyOf(file: string, type: string): ArrayBuffer {
  const bytes = readFileSync(file);
  const start = MAGIC.length + 2 + bytes.readUInt16LE(MAGIC.length);
  const header = bytes.toString('latin1', MAGIC.length + 2, start);
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || !header.includes(type) || header.includes('True')) {
    throw new Error(`${file} is not a row-major array of ${type}: ${header.trim()}`);
  }
  return bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length) as ArrayBuffer;
}
