import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { crc32c as crc32cOf } from '@node-rs/crc32';

/** CRC-32C (Castagnoli) of bytes, unsigned. `initial` continues an earlier checksum. */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  return crc32cOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), initial);
}

/** SHA-256 of bytes or text, hexadecimal. */
export function sha256(data: Uint8Array | string): string {
  return createHash('sha256').update(data).digest('hex');
}

/** SHA-256 of a file, hexadecimal, read in pieces. Errors are those of `fs`. */
export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
