// Bytes that are hashed, signed or bound to a key: every field has a fixed length or says its own, so that no two
// meanings give the same bytes.

import { createHash } from 'node:crypto';

/** 0 to 2^32 − 1, big-endian. */
export function u32be(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** 0 to 2^64 − 1, big-endian. */
export function u64be(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** UTF-8 without a length: for labels of our own that no other label begins with. */
export function label(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** UTF-8 behind its length. */
export function textField(text: string): Uint8Array {
  const bytes = label(text);
  return joinBytes([u32be(bytes.length), bytes]);
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** SHA-256 of the parts one behind the other. */
export function hashOf(parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}
