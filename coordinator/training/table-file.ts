// One table at one clock on disk: its rows, f32 row-major, then its packed Gram, f64, where the model has one; little-endian, no header. What it
// must hold stands in the manifests that name it.

import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { explainDisk } from '../../common/atomic-files.js';
import { crc32c } from '../../common/checksums.js';
import { assert, CorruptError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';

// Typed arrays are written and read as they lie in memory.
assert(endianness() === 'LE', 'a little-endian machine');

/** Bytes with a checksum of their own, and written at a time: half a millisecond of the event loop. */
const PIECE_BYTES = 4 << 20;

export interface TableFacts {
  bytes: number;
  /** CRC-32C of every `PIECE_BYTES`. */
  crc32c: number[];
}

/**
 * Writes a table and makes it durable (the folder's entry is up to the caller). A file that is there is written anew.
 *
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_DISK_FAILED`, `STOA_ACCESS`.
 */
export async function writeTable(file: string, rows: Float32Array, gram: Float64Array): Promise<TableFacts> {
  try {
    const handle = await open(file, 'w');
    try {
      const checksums: number[] = [];
      let bytes = 0;
      for (const part of [bytesOf(rows), bytesOf(gram)]) {
        for (let at = 0; at < part.length; at += PIECE_BYTES) {
          const piece = part.subarray(at, at + PIECE_BYTES);
          checksums.push(crc32c(piece));
          await writeAll(handle, piece);
          bytes += piece.length;
        }
      }
      await handle.datasync();
      return { bytes, crc32c: checksums };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainDisk(error, file);
  }
}

/**
 * Reads a table into `rows` and `gram`.
 *
 * @throws {CorruptError} `STOA_TORN`: another size or no such file; `STOA_CHECKSUM`: names file and bytes. `rows` and
 *   `gram` are spoilt then.
 */
export async function readTable(
  file: string,
  facts: TableFacts,
  rows: Float32Array,
  gram: Float64Array,
): Promise<void> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CorruptError('STOA_TORN', `${file} is missing`, { fields: { file } });
  });
  try {
    const { size } = await handle.stat();
    if (size !== facts.bytes || size !== rows.byteLength + gram.byteLength) {
      throw new CorruptError('STOA_TORN', `${file} has ${size} bytes instead of ${facts.bytes}`, {
        fields: { file },
      });
    }
    let position = 0;
    let n = 0;
    for (const part of [bytesOf(rows), bytesOf(gram)]) {
      for (let at = 0; at < part.length; at += PIECE_BYTES) {
        const piece = part.subarray(at, at + PIECE_BYTES);
        await readAll(handle, piece, position, file);
        if (crc32c(piece) !== facts.crc32c[n]) {
          throw new CorruptError(
            'STOA_CHECKSUM',
            `${file} is not what was written: bytes ${position} to ${position + piece.length} have another CRC-32C`,
            { fields: { file } },
          );
        }
        position += piece.length;
        n++;
      }
    }
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}

async function readAll(handle: FileHandle, bytes: Uint8Array, position: number, file: string): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, position + at);
    if (bytesRead === 0) {
      throw new CorruptError('STOA_TORN', `${file} ends at byte ${position + at}`, { fields: { file } });
    }
    at += bytesRead;
  }
}
