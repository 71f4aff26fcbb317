// Records of delimited text: the header and a sample before the import, and the lines of bad rows after it.
// The import itself reads with DuckDB; this only has to agree with it on where a well-formed record ends.

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createGunzip, gunzipSync, constants as zlib } from 'node:zlib';
import { DataError } from '../../common/errors.js';
import type { InputFile } from './input-files.js';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const QUOTE = 0x22;

/** Bytes read from the start of a file for its header and a guess of its types and row lengths. */
const SAMPLE_BYTES = 1 << 19;

/**
 * The first bytes of a text file, decompressed, without a byte order mark.
 *
 * @returns `bytes`, whether they are the whole file, and how many of the file's own bytes they took.
 * @throws {DataError} `STOA_DATA_ENCODING`: UTF-16, or binary; `STOA_DATA_FILE`: not gzip.
 */
export async function readSample(
  file: InputFile,
): Promise<{ bytes: Buffer; isWhole: boolean; taken: number }> {
  const handle = await open(file.path);
  let raw: Buffer;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(SAMPLE_BYTES), 0, SAMPLE_BYTES, 0);
    raw = buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
  const isWhole = raw.length === file.bytes;
  const bytes = file.isGzip ? inflate(raw, file) : raw;
  if (
    bytes.length >= 2 &&
    ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff))
  ) {
    throw notUtf8(file, 'it starts with the mark of UTF-16');
  }
  if (bytes.subarray(0, 4096).includes(0)) throw notUtf8(file, 'it has zero bytes, as binary files do');
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return { bytes: hasMark ? bytes.subarray(3) : bytes, isWhole, taken: raw.length };
}

function inflate(raw: Buffer, file: InputFile): Buffer {
  try {
    return gunzipSync(raw, { finishFlush: zlib.Z_SYNC_FLUSH });
  } catch (error) {
    throw notWholeGzip(file, error);
  }
}

export function notWholeGzip(file: InputFile, cause?: unknown): DataError {
  return new DataError(
    'STOA_DATA_FILE',
    `${file.name} is not a gzip file, was cut off or damaged; compress it again`,
    { fields: { file: file.path }, cause },
  );
}

export function notUtf8(file: InputFile, why: string): DataError {
  return new DataError(
    'STOA_DATA_ENCODING',
    `${file.name} is not UTF-8 text: ${why}; convert it, for example with iconv -t UTF-8`,
    { fields: { file: file.path } },
  );
}

export interface TextRecord {
  /** From the start of the decompressed file. */
  byteStart: number;
  /** Of the record's first line in the file, from 1. */
  line: number;
  /** Without its line end. */
  bytes: Buffer;
}

export interface RecordRules {
  /** Byte between fields; undefined: every line is a record (JSON Lines). */
  delimiter?: number;
  /** Records end with a carriage return alone (old Macintosh) instead of a line feed. */
  endsWithReturn?: boolean;
  /** Records that break the rules, by their first byte: how many lines each takes. */
  broken?: ReadonlyMap<number, number>;
}

/** A quote that is not closed within so many bytes is taken for a letter. DuckDB refuses longer lines, too. */
const RECORD_BYTES_MAX = 2_000_000;

/** Finds the ends of records in pieces of a file. A line end within a quoted field does not end a record. */
export class RecordScanner {
  private rest: Buffer = Buffer.alloc(0);
  private byteStart = 0;
  private line = 1;
  private readonly rules: RecordRules;
  private readonly lineEnd: number;

  constructor(rules: RecordRules) {
    this.rules = rules;
    this.lineEnd = rules.endsWithReturn === true ? RETURN : NEWLINE;
  }

  /** The records that end in `piece`; with `isLast` also what is left without a line end. */
  *push(piece: Buffer, isLast: boolean): Generator<TextRecord> {
    const bytes = this.rest.length === 0 ? piece : Buffer.concat([this.rest, piece]);
    let start = 0;
    for (;;) {
      let end = this.recordEnd(bytes, start);
      if (end < 0 && bytes.length - start > RECORD_BYTES_MAX) end = bytes.indexOf(this.lineEnd, start);
      if (end < 0) {
        if (!isLast || start === bytes.length) break;
        end = bytes.length;
      }
      const record = bytes.subarray(start, bytes[end - 1] === RETURN && end > start ? end - 1 : end);
      yield { byteStart: this.byteStart, line: this.line, bytes: record };
      this.line += 1 + countLineEnds(record, this.lineEnd);
      const next = Math.min(end + 1, bytes.length);
      this.byteStart += next - start;
      start = next;
    }
    this.rest = Buffer.from(bytes.subarray(start));
  }

  /** Where the record that starts at `start` ends, or -1 when its end is not in `bytes`. */
  private recordEnd(bytes: Buffer, start: number): number {
    const { delimiter, broken } = this.rules;
    const brokenLines = broken?.get(this.byteStart);
    if (brokenLines !== undefined) return this.lineEndAfter(bytes, start, brokenLines);
    if (delimiter === undefined) return bytes.indexOf(this.lineEnd, start);
    let isFieldStart = true;
    for (let at = start; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === this.lineEnd) return at;
      if (byte === QUOTE && isFieldStart) {
        at = closingQuote(bytes, at + 1);
        if (at < 0) return -1;
      }
      isFieldStart = byte === delimiter;
    }
    return -1;
  }

  private lineEndAfter(bytes: Buffer, start: number, lines: number): number {
    let end = start - 1;
    for (let n = 0; n < lines; n++) {
      end = bytes.indexOf(this.lineEnd, end + 1);
      if (end < 0) return -1;
    }
    return end;
  }
}

function closingQuote(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from); at >= 0; at = bytes.indexOf(QUOTE, at + 2)) {
    if (bytes[at + 1] !== QUOTE) return at;
  }
  return -1;
}

function countLineEnds(bytes: Buffer, lineEnd: number): number {
  let count = 0;
  for (let at = bytes.indexOf(lineEnd); at >= 0; at = bytes.indexOf(lineEnd, at + 1)) count++;
  return count;
}

/** The fields of one record, without their quotes. */
export function splitFields(record: Buffer, delimiter: string): string[] {
  const text = record.toString('utf8');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    let field = '';
    if (text[at] === '"') {
      let close = at + 1;
      for (;;) {
        close = text.indexOf('"', close);
        if (close < 0) close = text.length;
        if (text[close + 1] !== '"') break;
        close += 2;
      }
      field = text.slice(at + 1, close).replaceAll('""', '"');
      at = close + 1;
    }
    const end = text.indexOf(delimiter, at);
    field += text.slice(at, end < 0 ? text.length : end);
    fields.push(field);
    if (end < 0) return fields;
    at = end + delimiter.length;
  }
}

/** All records of a text file, decompressed, in order. */
export async function* scanRecords(file: InputFile, rules: RecordRules): AsyncGenerator<TextRecord> {
  const scanner = new RecordScanner(rules);
  const raw = createReadStream(file.path, { highWaterMark: 1 << 20 });
  const source = file.isGzip ? raw.pipe(createGunzip()) : raw;
  try {
    for await (const piece of source) yield* scanner.push(piece as Buffer, false);
    yield* scanner.push(Buffer.alloc(0), true);
  } catch (error) {
    throw String((error as NodeJS.ErrnoException).code).startsWith('Z_') ? notWholeGzip(file, error) : error;
  } finally {
    raw.destroy();
  }
}
