// One table at one clock on disk: its rows, f32 row-major, then its packed Gram, f64, where the model has one; little-endian, no header. What it
// must hold stands in the manifests that name it.

import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { explainDisk } from '../../common/atomic-files.js';
import { crc32c } from '../../common/checksums.js';
import { assert, CorruptError } from '../../common/errors.js';
import { bytesOf } from '../../common/row-chunks.js';
import type { RowSource } from '../parameters/row-source.js';

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
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_DISK_FAILED`, `STOA_ACCESS`; errors of the source.
 */
export async function writeTable(file: string, rows: RowSource, gram: Float64Array): Promise<TableFacts> {
  try {
    const handle = await open(file, 'w');
    try {
      const checksums: number[] = [];
      let bytes = 0;
      for (const part of [rows.read(), [gram]]) {
        for await (const piece of cutPieces(part)) {
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
 * @throws {CorruptError} as `readPieces`. `rows` and `gram` are spoilt then.
 */
export async function readTable(
  file: string,
  facts: TableFacts,
  rows: Float32Array,
  gram: Float64Array,
): Promise<void> {
  const parts = [bytesOf(rows), bytesOf(gram)];
  let at = 0;
  for await (const piece of readPieces(file, facts, { rows: rows.byteLength, gram: gram.byteLength })) {
    if (at === parts[0]!.length) {
      parts.shift();
      at = 0;
    }
    parts[0]!.set(piece, at);
    at += piece.length;
  }
}

/** Checks all of a table, and reads its Gram. @throws {CorruptError} as `readPieces`. */
export async function readGram(
  file: string,
  facts: TableFacts & { rows: number },
  gram: Float64Array,
): Promise<void> {
  const rowBytes = facts.bytes - gram.byteLength;
  const out = bytesOf(gram);
  let at = 0;
  for await (const piece of readPieces(file, facts, { rows: rowBytes, gram: gram.byteLength })) {
    if (at >= rowBytes) out.set(piece, at - rowBytes);
    at += piece.length;
  }
}

/** The rows of a table, whole rows at a time; reading throws as `readPieces`. */
export function tableSource(file: string, facts: TableFacts & { rows: number }, factors: number): RowSource {
  const byteLength = facts.rows * factors * 4;
  return {
    byteLength,
    factors,
    read: () =>
      wholeRows(
        readPieces(file, facts, { rows: byteLength, gram: facts.bytes - byteLength }),
        byteLength,
        factors,
      ),
  };
}

/** Regroups the first `byteLength` bytes of pieces into whole rows. */
async function* wholeRows(
  pieces: AsyncIterable<Buffer>,
  byteLength: number,
  factors: number,
): AsyncGenerator<Float32Array, void, undefined> {
  const rowBytes = factors * 4;
  let rest = Buffer.alloc(0);
  let seen = 0;
  for await (const piece of pieces) {
    if (seen >= byteLength) return;
    seen += piece.length;
    const bytes = Buffer.concat([rest, piece]);
    const whole = bytes.length - (bytes.length % rowBytes);
    rest = Buffer.from(bytes.subarray(whole));
    // A fresh buffer of its own begins where numbers may begin.
    const rows = new Float32Array(whole / 4);
    bytes.copy(new Uint8Array(rows.buffer), 0, 0, whole);
    yield rows;
  }
}

/**
 * The bytes of a table, checked: those of its rows in pieces of `PIECE_BYTES`, then those of its Gram. A piece is valid
 * until the next one.
 *
 * @throws {CorruptError} `STOA_TORN`: another size or no such file; `STOA_CHECKSUM`: names file and bytes.
 */
export async function* readPieces(
  file: string,
  facts: TableFacts,
  bytes: { rows: number; gram: number },
): AsyncGenerator<Buffer, void, undefined> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CorruptError('STOA_TORN', `${file} is missing`, { fields: { file } });
  });
  try {
    const { size } = await handle.stat();
    if (size !== facts.bytes || size !== bytes.rows + bytes.gram) {
      throw new CorruptError('STOA_TORN', `${file} has ${size} bytes instead of ${facts.bytes}`, {
        fields: { file },
      });
    }
    const buffer = Buffer.allocUnsafe(Math.min(size, PIECE_BYTES));
    let position = 0;
    let n = 0;
    for (const length of [bytes.rows, bytes.gram]) {
      for (let at = 0; at < length; at += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, length - at));
        await readAll(handle, piece, position, file);
        if (crc32c(piece) !== facts.crc32c[n]) {
          throw new CorruptError(
            'STOA_CHECKSUM',
            `${file} is not what was written: bytes ${position} to ${position + piece.length} have another CRC-32C`,
            { fields: { file } },
          );
        }
        yield piece;
        position += piece.length;
        n++;
      }
    }
  } finally {
    await handle.close();
  }
}

/** The bytes of arrays, in order, in pieces of `PIECE_BYTES` and a last one; a piece is valid until the next one. */
async function* cutPieces(
  parts: AsyncIterable<Float32Array> | readonly Float64Array[],
): AsyncGenerator<Uint8Array, void, undefined> {
  let pending: Buffer | undefined;
  let filled = 0;
  for await (const part of parts) {
    const bytes = bytesOf(part);
    let at = 0;
    while (at < bytes.length) {
      if (filled === 0 && bytes.length - at >= PIECE_BYTES) {
        yield bytes.subarray(at, at + PIECE_BYTES);
        at += PIECE_BYTES;
        continue;
      }
      pending ??= Buffer.allocUnsafe(PIECE_BYTES);
      const count = bytes.copy(pending, filled, at, at + PIECE_BYTES - filled);
      filled += count;
      at += count;
      if (filled < PIECE_BYTES) continue;
      yield pending;
      filled = 0;
    }
  }
  if (filled > 0) yield pending!.subarray(0, filled);
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
