// Rows that cannot be used: noted while reading, then looked up in their file for the line number and the text.

import type { ChosenColumns } from './choose-columns.js';
import type { DuckdbSession } from './duckdb-session.js';
import { type FileShape, parseObject } from './file-shape.js';
import { type RecordRules, scanRecords, splitFields } from './text-records.js';

/** Most bytes of an id. */
export const ID_BYTES_MAX = 256;

/** Why the reader left a row out; the first that applies. */
export const BAD_REASONS = [
  'user-empty',
  'user-long',
  'item-empty',
  'item-long',
  'value-missing',
  'value-negative',
  'value-large',
  'time-missing',
] as const;
export type BadReason = (typeof BAD_REASONS)[number];

/** Most bad rows that are looked up and listed; all are counted. */
const LISTED_MAX = 100_000;
/** Most letters of a row that are kept. */
const ROW_TEXT_MAX = 1000;

/** A bad row as people see it. */
export interface BadRow {
  file: string;
  /** Line of the file from 1; row number for Parquet. */
  line: number;
  reason: string;
  /** The row's text; empty for Parquet. */
  text: string;
}

/** Bad rows of one file, as the reader met them: `ordinals[n]` counts the rows that DuckDB delivered, from 0. */
export class BadRowNotes {
  count = 0;
  readonly ordinals: number[] = [];
  readonly reasons: BadReason[] = [];

  add(ordinal: number, reason: BadReason): void {
    this.count++;
    if (this.ordinals.length >= LISTED_MAX) return;
    this.ordinals.push(ordinal);
    this.reasons.push(reason);
  }
}

/** Rows that DuckDB refused: wrong number of fields, quotes not closed, not UTF-8, a value that is no number. */
export interface RefusedRows {
  count: number;
  /** How many of them were not UTF-8. */
  notUtf8: number;
  /** By first byte in the decompressed file, ascending; the first 100 000. */
  rows: { byteStart: number; lines: number; reason: string; text: string }[];
}

/** Tables in which DuckDB keeps what `store_rejects` refused. */
export interface RejectTables {
  scans: string;
  errors: string;
}

/** Those of one file: its number among the input, or `items`. */
export function rejectTables(index: number | 'items'): RejectTables {
  return { scans: `reject_scans_${index}`, errors: `reject_errors_${index}` };
}

/**
 * Takes the refused rows of a file out of DuckDB.
 *
 * @param roleOfColumn what a column of numbers is called in messages, by its position in the file.
 */
export async function takeRefusedRows(
  session: DuckdbSession,
  { errors }: RejectTables,
  roleOfColumn: (position: number) => string,
): Promise<RefusedRows> {
  const byRow = `SELECT line_byte_position AS byte, first(error_type ORDER BY column_idx)::VARCHAR AS type,
      first(csv_line) AS text, first(error_message ORDER BY column_idx) AS message,
      first(column_idx ORDER BY column_idx) AS column
    FROM ${errors} GROUP BY line_byte_position`;
  const [total] = await session.rows(
    `SELECT count(*) AS count, count(*) FILTER (type = 'INVALID ENCODING') AS bytes FROM (${byRow})`,
  );
  const rows = await session.rows(`SELECT * FROM (${byRow}) ORDER BY byte LIMIT ${LISTED_MAX}`);
  return {
    count: Number(total!['count']),
    notUtf8: Number(total!['bytes']),
    rows: rows.map((row) => {
      const text = String(row['text'] ?? '');
      return {
        byteStart: Number(row['byte']) - 1,
        lines: text.replace(/\r?\n$|\r$/, '').split(/\r\n|\r|\n/).length,
        reason: refusal(String(row['type']), String(row['message']), () =>
          roleOfColumn(Number(row['column']) - 1),
        ),
        text,
      };
    }),
  };
}

function refusal(type: string, message: string, role: () => string): string {
  const fields = /Columns: (\d+) Found: (\d+)/.exec(message);
  if (fields !== null) return `${fields[2]} fields instead of ${fields[1]}`;
  const cast = /Could not convert string "([\s\S]*)" to/.exec(message);
  if (cast !== null) return `${role()} "${cast[1]}" is not a number`;
  if (type === 'INVALID ENCODING') return 'not UTF-8';
  if (type === 'UNQUOTED VALUE') return 'a quote that is not closed, or letters after it';
  if (type === 'LINE SIZE OVER MAXIMUM') return 'longer than 2 MB';
  return type.toLowerCase();
}

/** Looks up the bad rows of one file, in file order. Reads text files once more, only as far as the last of them. */
export async function locateBadRows(
  shape: FileShape,
  columns: ChosenColumns,
  notes: BadRowNotes,
  refused: RefusedRows,
): Promise<BadRow[]> {
  if (notes.count + refused.count === 0) return [];
  const file = shape.file.name;
  if (shape.file.format === 'parquet') {
    return notes.ordinals.map((ordinal, n) => {
      return { file, line: ordinal + 1, reason: explain(notes.reasons[n]!, null), text: '' };
    });
  }
  return scanForBadRows(shape, columns, notes, refused);
}

async function scanForBadRows(
  shape: FileShape,
  columns: ChosenColumns,
  notes: BadRowNotes,
  refused: RefusedRows,
): Promise<BadRow[]> {
  const found: BadRow[] = [];
  const refusedAt = new Map(refused.rows.map((row) => [row.byteStart, row]));
  const reasonOf = new Map(notes.ordinals.map((ordinal, n) => [ordinal, notes.reasons[n]!]));
  const wanted = refusedAt.size + reasonOf.size;
  const file = shape.file.name;
  let ordinal = shape.fields === undefined ? 0 : -1;
  for await (const { byteStart, line, bytes } of scanRecords(shape.file, recordRules(shape, refused))) {
    if (found.length >= Math.min(wanted, LISTED_MAX)) break;
    const refusal = refusedAt.get(byteStart);
    if (refusal !== undefined) {
      found.push({ file, line, reason: refusal.reason, text: clip(bytes.toString('utf8')) });
      continue;
    }
    if (bytes.length === 0 || (shape.fields === undefined && bytes.toString('utf8').trim() === '')) continue;
    const reason = reasonOf.get(ordinal++);
    if (reason === undefined) continue;
    const field = readField(shape, bytes, columns[roleOf(reason)]!);
    found.push({ file, line, reason: explain(reason, field), text: clip(bytes.toString('utf8')) });
  }
  return found;
}

function recordRules(shape: FileShape, refused: RefusedRows): RecordRules {
  return {
    delimiter: shape.delimiter?.charCodeAt(0),
    endsWithReturn: shape.endsWithReturn,
    broken: new Map(refused.rows.map((row) => [row.byteStart, row.lines])),
  };
}

/** A column of a record as text; undefined when the record is no object. */
function readField(shape: FileShape, record: Buffer, column: string): string | undefined {
  if (column in shape.file.partitions) return shape.file.partitions[column] ?? '';
  if (shape.fields !== undefined) {
    return splitFields(record, shape.delimiter!)[shape.fields.indexOf(column)] ?? '';
  }
  const value = parseObject(record)?.[column];
  if (parseObject(record) === null) return undefined;
  return value === undefined || value === null
    ? ''
    : typeof value === 'string'
      ? value
      : JSON.stringify(value);
}

function roleOf(reason: BadReason): keyof ChosenColumns {
  return reason.split('-')[0] as keyof ChosenColumns;
}

/** @param field the text of the column that is wrong; null when it is not known, undefined when there is no object. */
function explain(reason: BadReason, field: string | null | undefined): string {
  if (field === undefined) return 'not a JSON object';
  const role = roleOf(reason);
  const shown = field === null ? '' : ` "${clip(field)}"`;
  switch (reason) {
    case 'user-empty':
    case 'item-empty':
      return field === null || field === ''
        ? `${role} id is empty`
        : `${role} id${shown} is not text or a number`;
    case 'user-long':
    case 'item-long':
      return `${role} id is longer than ${ID_BYTES_MAX} bytes`;
    case 'value-missing':
      return field === '' ? 'value is empty' : `value${shown} is not a number`;
    case 'value-negative':
      return `value${shown} is negative`;
    case 'value-large':
      return `value${shown} is infinite or beyond 3.4e38`;
    case 'time-missing':
      return field === '' ? 'time is empty' : `time${shown} is not a number or a date`;
  }
}

function clip(text: string): string {
  return text.length > ROW_TEXT_MAX ? `${text.slice(0, ROW_TEXT_MAX)}…` : text;
}
