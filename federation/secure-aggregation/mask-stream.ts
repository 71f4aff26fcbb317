// Masks: the key stream of ChaCha20 (RFC 8439, section 2.4) from counter 0 and nonce 0, as little-endian 64-bit words.

import { createCipheriv } from 'node:crypto';
import { assert } from '../../common/errors.js';
import { wipe } from './secrets.js';

/** Bytes of a block of ChaCha20. */
const BLOCK_BYTES = 64;
/** Words of a mask that are in memory at a time: 64 KiB stay in the second level of the cache. */
const PIECE_WORDS = 8192;
/** Words that the 32-bit block counter reaches: 256 GiB, far above any sum. */
const WORDS_MAX = 2 ** 35;

const ZEROS = new Uint8Array(8 * PIECE_WORDS + BLOCK_BYTES);

/** A mask and how it stands in a sum. */
export interface Mask {
  /** 32 bytes, used for one mask only: that is why the nonce may be 0. */
  readonly key: Uint8Array;
  readonly sign: 1 | -1;
}

/**
 * Adds a piece of a mask to words, or takes it away: `words[n] ± mask[wordStart + n]` modulo 2^64.
 *
 * A smaller ring takes the lower bits of the result: modulo 2^k they are those of the sum of the lower bits.
 *
 * @param words     mutated.
 * @param wordStart of the piece within the mask.
 */
export function applyMask(words: BigUint64Array, wordStart: number, { key, sign }: Mask): void {
  assert(wordStart >= 0 && wordStart + words.length <= WORDS_MAX, 'the block counter reaches the words');
  const skipBytes = (8 * wordStart) % BLOCK_BYTES;
  const iv = new Uint8Array(16);
  new DataView(iv.buffer).setUint32(0, (8 * wordStart - skipBytes) / BLOCK_BYTES, true);
  const cipher = createCipheriv('chacha20', key, iv);
  if (skipBytes > 0) wipe(cipher.update(ZEROS.subarray(0, skipBytes)));
  for (let start = 0; start < words.length; start += PIECE_WORDS) {
    const piece = words.subarray(start, start + PIECE_WORDS);
    const stream = cipher.update(ZEROS.subarray(0, piece.byteLength));
    const mask = wordsOf(stream);
    if (sign === 1) addWords(piece, mask);
    else subtractWords(piece, mask);
    wipe(stream, mask);
  }
  cipher.final();
}

/** Adds words modulo 2^64. BigInt64 arithmetic that is stored at once stays in machine words: 0.7 ns a word. */
export function addWords(sum: BigUint64Array, words: BigUint64Array): void {
  for (let n = 0; n < words.length; n++) sum[n] = sum[n]! + words[n]!;
}

export function subtractWords(sum: BigUint64Array, words: BigUint64Array): void {
  for (let n = 0; n < words.length; n++) sum[n] = sum[n]! - words[n]!;
}

/** Bytes as words, without a copy where they lie at a multiple of 8. */
function wordsOf(bytes: Uint8Array): BigUint64Array {
  if (bytes.byteOffset % 8 === 0) {
    return new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  }
  return new BigUint64Array(new Uint8Array(bytes).buffer);
}
