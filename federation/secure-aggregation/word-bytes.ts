// Words of the ring as they travel: little-endian, k / 8 bytes each.

import { assert, ShapeError } from '../../common/errors.js';
import type { Ring } from './ring.js';

/** Bytes of so many words on the wire. */
export function wireBytes(wordCount: number, ring: Ring): number {
  return wordCount * (ring.bits / 8);
}

/** The lower k bits of each word. A copy. */
export function packWords(words: BigUint64Array, ring: Ring): Uint8Array {
  const all = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  const width = ring.bits / 8;
  if (width === 8) return new Uint8Array(all);
  const packed = new Uint8Array(words.length * width);
  for (let n = 0; n < words.length; n++) {
    for (let byte = 0; byte < width; byte++) packed[width * n + byte] = all[8 * n + byte]!;
  }
  return packed;
}

/**
 * Reads what `packWords` wrote; the bits above k are zero.
 *
 * @param words written; `bytes` must be just as many.
 * @throws {ShapeError} `STOA_SHAPE` otherwise.
 */
export function unpackWords(bytes: Uint8Array, ring: Ring, words: BigUint64Array): void {
  const width = ring.bits / 8;
  assert(words.length > 0, 'there are words to read');
  if (bytes.length !== words.length * width) {
    throw new ShapeError(
      'STOA_SHAPE',
      `${bytes.length} bytes are not ${words.length} words of ${ring.bits} bits`,
    );
  }
  const all = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (width === 8) {
    all.set(bytes);
    return;
  }
  all.fill(0);
  for (let n = 0; n < words.length; n++) {
    for (let byte = 0; byte < width; byte++) all[8 * n + byte] = bytes[width * n + byte]!;
  }
}
