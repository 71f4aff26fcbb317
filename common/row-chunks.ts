// Factors and Grams as they travel: little-endian, each piece with its CRC-32C.

import type { RowsChunk__Output } from '../proto/generated/stoa/parameters/v1/RowsChunk.js';
import type { RowsEncoding__Output as RowsEncoding } from '../proto/generated/stoa/parameters/v1/RowsEncoding.js';
import { fromBfloat16, toBfloat16 } from './bfloat16.js';
import { crc32c } from './checksums.js';
import { assert, CorruptError, ShapeError } from './errors.js';

assert(new Uint8Array(new Uint16Array([1]).buffer)[0] === 1, 'Stoa runs on little-endian machines');

/** Most bytes of rows in one message: large enough for full speed, small enough that other calls get through. */
export const CHUNK_BYTES_MAX = 1 << 20;

/** Most bytes of rows that one message says of an exchange file: a millisecond of copying and checking. */
const EXCHANGE_BYTES_MAX = 4 << 20;

export interface EncodedRows {
  rowStart: number;
  rows: Buffer;
  crc32c: number;
  encoding: RowsEncoding;
}

/** A chunk whose rows stand in the exchange file. */
export interface ExchangedRows {
  rowStart: number;
  exchangedRows: number;
  crc32c: number;
}

/** Rows of a chunk of `CHUNK_BYTES_MAX`, at least 1. */
export function rowsPerChunk(factors: number, encoding: RowsEncoding = 'ROWS_ENCODING_F32'): number {
  return Math.max(1, Math.floor(CHUNK_BYTES_MAX / (numberBytes(encoding) * factors)));
}

/** Bytes of a number. */
export function numberBytes(encoding: RowsEncoding): 2 | 4 {
  return encoding === 'ROWS_ENCODING_BF16' ? 2 : 4;
}

/** Rows of a chunk that goes through an exchange file, at least 1. */
export function rowsPerExchange(factors: number): number {
  return Math.max(1, Math.floor(EXCHANGE_BYTES_MAX / (4 * factors)));
}

/** What a message says of whole rows that were written into the exchange file. */
export function describeRows(rows: Float32Array, rowStart: number, factors: number): ExchangedRows {
  return { rowStart, exchangedRows: rows.length / factors, crc32c: crc32c(bytesOf(rows)) };
}

/** Checks rows that were read from an exchange file. @throws {CorruptError} `STOA_CHECKSUM`. */
export function checkRows(rows: Float32Array, chunk: { rowStart: number; crc32c: number }): void {
  checkBytes(bytesOf(rows), chunk.crc32c, `rows from ${chunk.rowStart}`);
}

/** Whole rows as a message. As f32 the bytes are a view of `rows`: send them before the rows change. */
export function encodeRows(
  rows: Float32Array,
  rowStart: number,
  encoding: RowsEncoding = 'ROWS_ENCODING_F32',
): EncodedRows {
  const bytes = bytesOf(encoding === 'ROWS_ENCODING_BF16' ? toBfloat16(rows) : rows);
  return { rowStart, rows: bytes, crc32c: crc32c(bytes), encoding };
}

type MessageRows = Pick<RowsChunk__Output, 'rowStart' | 'rows' | 'crc32c' | 'encoding'>;

/**
 * Rows of a message.
 *
 * @param out where to write them, from its start. @default a new array
 * @returns the part of `out` that was written.
 * @throws {CorruptError} `STOA_CHECKSUM`; @throws {ShapeError} not whole rows, or more than `out` has room for.
 */
export function decodeRows(chunk: MessageRows, factors: number, out?: Float32Array): Float32Array {
  checkBytes(chunk.rows, chunk.crc32c, `rows from ${chunk.rowStart}`);
  const size = numberBytes(chunk.encoding);
  if (chunk.rows.length === 0 || chunk.rows.length % (size * factors) !== 0) {
    throw new ShapeError(
      'STOA_SHAPE',
      `a chunk of ${chunk.rows.length} bytes is not whole rows of ${factors} factors`,
    );
  }
  const length = chunk.rows.length / size;
  const rows = out ?? new Float32Array(length);
  if (length > rows.length) {
    throw new ShapeError(
      'STOA_SHAPE',
      `${length / factors} rows came where at most ${rows.length / factors} were due`,
    );
  }
  if (size === 2) fromBfloat16(chunk.rows, rows);
  else new Uint8Array(rows.buffer, rows.byteOffset).set(chunk.rows);
  return rows.subarray(0, length);
}

/** A packed Gram as a message. */
export function encodeGram(gram: Float64Array): { gram: Buffer; crc32c: number } {
  const bytes = bytesOf(gram);
  return { gram: bytes, crc32c: crc32c(bytes) };
}

/** @throws {CorruptError} `STOA_CHECKSUM`; @throws {ShapeError} not the packed Gram of K factors. */
export function decodeGram(message: { gram: Uint8Array; crc32c: number }, factors: number): Float64Array {
  checkBytes(message.gram, message.crc32c, 'a Gram matrix');
  const length = (factors * (factors + 1)) / 2;
  if (message.gram.length !== 8 * length) {
    throw new ShapeError(
      'STOA_SHAPE',
      `a Gram of ${message.gram.length} bytes is not the lower triangle of ${factors} factors (${8 * length} bytes)`,
    );
  }
  const gram = new Float64Array(length);
  new Uint8Array(gram.buffer).set(message.gram);
  return gram;
}

/** The bytes of an array, without a copy. */
export function bytesOf(array: Float32Array | Float64Array | Uint16Array): Buffer {
  return Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength);
}

function checkBytes(bytes: Uint8Array, expected: number, what: string): void {
  if (crc32c(bytes) === expected) return;
  throw new CorruptError(
    'STOA_CHECKSUM',
    `${what} arrived damaged: their CRC-32C disagrees; they must be sent again`,
  );
}
