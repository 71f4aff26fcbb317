// Tables of numbers in a file that Python, Rust and browsers read: https://huggingface.co/docs/safetensors.

import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { assert, CorruptError } from '../../common/errors.js';
import {
  DTYPE_BYTES,
  type Dtype,
  elementsOf,
  headerBytesOf,
  PREFIX_BYTES,
  parseHeader,
} from './safetensors-header.js';

// Typed arrays are written and read as they lie in memory.
assert(endianness() === 'LE', 'a little-endian machine');

/** Bytes hashed at a time: below 5 ms, so that the event loop stays responsive while a model is read. */
const HASH_STEP_BYTES = 4 << 20;

export interface Tensor {
  /** Row-major sizes; their product is the length of `data`. */
  shape: readonly number[];
  /** F32 or I32. */
  data: Float32Array | Int32Array;
}

export interface FileFacts {
  bytes: number;
  sha256: string;
}

/** Writes tensors in the order given. @returns size and checksum of the file, which is not synced. */
export async function writeSafetensors(
  file: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<FileFacts> {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let offset = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    assert(elementsOf(shape) === data.length, `tensor ${name} has the shape of its data`);
    const end = offset + data.byteLength;
    header[name] = { dtype: dtypeOf(data), shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  // The format asks for data aligned to eight bytes, by spaces at the end of the header.
  const headerBytes = Buffer.from(text.padEnd(text.length + ((8 - (Buffer.byteLength(text) % 8)) % 8)));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeBigUInt64LE(BigInt(headerBytes.length));
  const parts = [prefix, headerBytes, ...Object.values(tensors).map(({ data }) => bytesOf(data))];
  const hash = createHash('sha256');
  const handle = await open(file, 'w');
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; at += HASH_STEP_BYTES) {
        const piece = part.subarray(at, at + HASH_STEP_BYTES);
        hash.update(piece);
        await writeAll(handle, piece);
      }
    }
  } finally {
    await handle.close();
  }
  return { bytes: PREFIX_BYTES + headerBytes.length + offset, sha256: hash.digest('hex') };
}

/**
 * Reads all tensors, each into a SharedArrayBuffer of its own.
 *
 * @param expected size and checksum that the file must have; absent: only its inner lengths are checked.
 * @throws {CorruptError} `STOA_TORN`, `STOA_CHECKSUM`. Nothing is allocated before the header has been checked against
 *   the size of the file.
 */
export async function readSafetensors(file: string, expected?: FileFacts): Promise<Map<string, Tensor>> {
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (expected !== undefined && size !== expected.bytes) {
      throw new CorruptError(
        'STOA_TORN',
        `${file} has ${size} bytes instead of ${expected.bytes}; it was cut off or changed, restore it or train again`,
        { fields: { file } },
      );
    }
    const hash = createHash('sha256');
    const prefix = await readAll(handle, new Uint8Array(Math.min(PREFIX_BYTES, size)), 0);
    const header = new Uint8Array(headerBytesOf(prefix, size, file));
    await readAll(handle, header, PREFIX_BYTES);
    hash.update(prefix).update(header);
    const dataStart = PREFIX_BYTES + header.length;
    const tensors = new Map<string, Tensor>();
    for (const entry of parseHeader(Buffer.from(header).toString(), size - dataStart, file)) {
      const bytes = new Uint8Array(new SharedArrayBuffer(entry.end - entry.start));
      for (let at = 0; at < bytes.length; at += HASH_STEP_BYTES) {
        hash.update(
          await readAll(handle, bytes.subarray(at, at + HASH_STEP_BYTES), dataStart + entry.start + at),
        );
      }
      tensors.set(entry.name, { shape: entry.shape, data: typed(entry.dtype, bytes) });
    }
    if (expected !== undefined) requireChecksum(file, hash.digest('hex'), expected.sha256);
    return tensors;
  } finally {
    await handle.close();
  }
}

/** @throws {CorruptError} `STOA_CHECKSUM` naming the file. */
export function requireChecksum(file: string, actual: string, expected: string): void {
  if (actual === expected) return;
  throw new CorruptError(
    'STOA_CHECKSUM',
    `${file} is not what was written (its SHA-256 differs); restore it from a copy or train again`,
    { fields: { file } },
  );
}

function dtypeOf(data: Float32Array | Int32Array): Dtype {
  return data instanceof Float32Array ? 'F32' : 'I32';
}

function typed(dtype: Dtype, bytes: Uint8Array): Float32Array | Int32Array {
  const length = bytes.length / DTYPE_BYTES[dtype];
  return dtype === 'F32'
    ? new Float32Array(bytes.buffer, 0, length)
    : new Int32Array(bytes.buffer, 0, length);
}

function bytesOf(data: Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    at += (await handle.write(bytes, at, bytes.length - at)).bytesWritten;
  }
}

async function readAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, position + at);
    assert(bytesRead > 0, 'a file keeps its size while it is read');
    at += bytesRead;
  }
  return bytes;
}
