import { createReadStream } from 'node:fs';
import { crc32c } from '../../common/checksums.js';
import { CHUNK_BYTES_MAX } from '../../common/row-chunks.js';

/** Hands out a file in chunks with their checksums, no faster than `send` takes them. */
export async function sendFile(
  file: string,
  send: (chunk: { data: Buffer; crc32c: number }) => Promise<void>,
): Promise<void> {
  for await (const piece of createReadStream(file, { highWaterMark: CHUNK_BYTES_MAX })) {
    const data = piece as Buffer;
    await send({ data, crc32c: crc32c(data) });
  }
}
