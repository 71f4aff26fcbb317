// Writing and hashing of files as tasks. The default export is the entry of the threads that do it.

import { createHash } from 'node:crypto';
import { closeSync, createReadStream, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Csr, Side } from '../models/csr.js';
import type { TimeColumn } from './csr/time-column.js';
import type { FileEntry } from './manifest.js';
import { encodeShard } from './shard-file.js';

/** Arrays are over SharedArrayBuffers. */
export type FileTask =
  | { kind: 'write-shard'; file: string; side: Side; csr: Csr; times?: TimeColumn }
  | { kind: 'hash-file'; file: string; isGzip: boolean };

/** A file that was written or read. */
export interface FileFacts extends FileEntry {
  /** Least and greatest of what a shard holds; absent when it holds none. */
  valueRange?: [number, number];
  timeRange?: [number, number];
  /** A compressed file that was cut off or changed. */
  isDamaged?: boolean;
}

/** Small enough to stay in the processor's cache between reading and hashing. */
const HASH_PIECE_BYTES = 1 << 18;

export default async function runFileTask(task: FileTask): Promise<FileFacts> {
  if (task.kind === 'hash-file') return task.isGzip ? hashGzip(task.file) : hashPlain(task.file);
  return {
    ...writeSynced(task.file, await encodeShard(task.side, task.csr, task.times)),
    valueRange: rangeOf(task.csr.values),
    timeRange: rangeOf(task.times),
  };
}

/** Synced here, where the disk's time passes beside the work of other threads. */
function writeSynced(file: string, pieces: readonly Uint8Array[]): FileEntry {
  const hash = createHash('sha256');
  let bytes = 0;
  const descriptor = openSync(file, 'wx');
  try {
    for (const piece of pieces) {
      hash.update(piece);
      for (let at = 0; at < piece.length; ) at += writeSync(descriptor, piece, at);
      bytes += piece.length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { bytes, sha256: hash.digest('hex') };
}

function rangeOf(numbers: Float32Array | TimeColumn | undefined): [number, number] | undefined {
  if (numbers === undefined || numbers.length === 0) return undefined;
  let least = numbers[0]!;
  let greatest = numbers[0]!;
  for (let k = 1; k < numbers.length; k++) {
    if (numbers[k]! < least) least = numbers[k]!;
    if (numbers[k]! > greatest) greatest = numbers[k]!;
  }
  return [least, greatest];
}

function hashPlain(file: string): FileFacts {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafeSlow(HASH_PIECE_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    let bytes = 0;
    for (;;) {
      const read = readSync(descriptor, piece);
      if (read === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(read === piece.length ? piece : piece.subarray(0, read));
      bytes += read;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Decompresses on the way, because DuckDB takes a file that was cut off for a shorter one. */
async function hashGzip(file: string): Promise<FileFacts> {
  const hash = createHash('sha256');
  let bytes = 0;
  const source = createReadStream(file, { highWaterMark: HASH_PIECE_BYTES });
  source.on('data', (piece) => {
    hash.update(piece);
    bytes += piece.length;
  });
  try {
    await pipeline(source, createGunzip(), new Writable({ write: (_piece, _encoding, done) => done() }));
    return { bytes, sha256: hash.digest('hex') };
  } catch (error) {
    if (!String((error as NodeJS.ErrnoException).code).startsWith('Z_')) throw error;
    return { bytes: 0, sha256: '', isDamaged: true };
  }
}
