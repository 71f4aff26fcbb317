import { createCipheriv, randomBytes } from 'node:crypto';
import { RandomWords } from './random-words.js';

/** Words fetched at a time: 64 KiB of key stream, where a call into OpenSSL costs little beside its work. */
const WORDS_AT_A_TIME = 16_384;
/** Key streams end after 2^32 blocks of 64 bytes: a new key is drawn well before. */
const FILLS_MAX = 1 << 20;

/**
 * Random words for noise: the key stream of ChaCha20 (RFC 8439, by OpenSSL) under a key of the operating system's that
 * is used here alone and never leaves this process.
 *
 * @param drawKey 32 bytes. @default `randomBytes`; tests pass their own.
 */
export function chachaWords(drawKey: () => Uint8Array = () => randomBytes(32)): RandomWords {
  let cipher = keyStream(drawKey);
  let fills = 0;
  const zeros = Buffer.alloc(WORDS_AT_A_TIME * 4);
  return new RandomWords((words) => {
    if (fills++ === FILLS_MAX) {
      cipher = keyStream(drawKey);
      fills = 1;
    }
    const bytes = cipher.update(zeros);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < words.length; i++) words[i] = view.getUint32(i * 4, true);
    bytes.fill(0);
  }, WORDS_AT_A_TIME);
}

/** The nonce is zero, since no key serves twice: 16 bytes, of which the first four are the block counter. */
function keyStream(drawKey: () => Uint8Array): ReturnType<typeof createCipheriv> {
  const key = drawKey();
  const cipher = createCipheriv('chacha20', key, Buffer.alloc(16));
  key.fill(0);
  return cipher;
}
