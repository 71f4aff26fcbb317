// The SQL that reads one file: `SELECT user, [its pieces], item, [its pieces], [value], [time]`, without nulls.
// What cannot be read becomes an empty id or NaN, which the reader counts as a bad row.

import { DataError } from '../../common/errors.js';
import type { RejectTables } from './bad-rows.js';
import type { ChosenColumns } from './choose-columns.js';
import type { FileShape } from './file-shape.js';
import { INLINE_BYTES } from './id-encoder.js';
import { columnOf, tableSource } from './table-source.js';

export type TimeKind = 'number' | 'timestamp';

export interface ScanPlan {
  columns: ChosenColumns;
  timeKind?: TimeKind;
  /** Pieces of 12 bytes that ids are read in; 0 when they are short. */
  userPieces: number;
  itemPieces: number;
}

/** Longer ids are rare, and take the slow path rather than more columns. */
const PIECES_MAX = 6;

/** How many pieces ids like these need. */
export function piecesFor(sample: readonly (string | null)[]): number {
  const longest = sample.reduce((most, text) => Math.max(most, Buffer.byteLength(text ?? '')), 0);
  return longest <= INLINE_BYTES ? 0 : Math.min(PIECES_MAX, Math.ceil(longest / INLINE_BYTES));
}

/** The query for one file. */
export function scanQuery(shape: FileShape, plan: ScanPlan, rejects: RejectTables): string {
  const { user, item, value, time } = plan.columns;
  const columns = [
    ...idColumns(idText(shape, user), plan.userPieces),
    ...idColumns(idText(shape, item), plan.itemPieces),
  ];
  if (value !== undefined) columns.push(`coalesce(${valueNumber(shape, value)}, 'NaN'::DOUBLE)`);
  if (time !== undefined) columns.push(`coalesce(${timeNumber(shape, time, plan.timeKind!)}, 'NaN'::DOUBLE)`);
  const source = tableSource(shape, {
    wanted: Object.values(plan.columns).filter((name) => name !== undefined),
    typeOf: (name) => textType(shape, name, plan),
    rejects,
  });
  return `SELECT ${columns.join(', ')} FROM ${source}`;
}

function idColumns(text: string, pieces: number): string[] {
  const columns = [text];
  for (let piece = 0; piece < pieces; piece++) {
    columns.push(`encode(${text})[${piece * INLINE_BYTES + 1}:${(piece + 1) * INLINE_BYTES}]`);
  }
  return columns;
}

/** Types that text is read as. */
function textType(shape: FileShape, name: string, { columns, timeKind }: ScanPlan): string {
  const isJson = shape.fields === undefined;
  if (name === columns.value) return 'DOUBLE';
  if (name === columns.time && timeKind === 'number') return 'DOUBLE';
  if (name === columns.time) return isJson ? 'VARCHAR' : 'TIMESTAMPTZ';
  return isJson ? 'JSON' : 'VARCHAR';
}

/** The id as text, '' when there is none. */
function idText(shape: FileShape, name: string): string {
  const column = columnOf(shape, name);
  if (name in shape.file.partitions || shape.fields !== undefined) return `coalesce(${column}, '')`;
  if (shape.types === undefined) return jsonIdText(column);
  const type = shape.types[name]!;
  if (/^(STRUCT|MAP|UNION)|\[\d*\]$|^BLOB$/.test(type)) {
    throw new DataError(
      'STOA_DATA_COLUMN',
      `column "${name}" of ${shape.file.name} is of type ${type} and cannot hold ids; name a column of text or numbers`,
      { fields: { file: shape.file.path, field: name } },
    );
  }
  if (type === 'DOUBLE' || type === 'FLOAT') {
    return `coalesce(CASE WHEN isfinite(${column}) THEN ${shortestNumber(column, `${column}::VARCHAR`)} END, '')`;
  }
  return `coalesce(${column}::VARCHAR, '')`;
}

/** Strings and numbers of JSON Lines; anything else is no id. Text that needs no look inside is not parsed again. */
function jsonIdText(column: string): string {
  const text = `${column}::VARCHAR`;
  const number = `CASE WHEN contains(${text}, '.') THEN ${shortestNumber(`TRY_CAST(${text} AS DOUBLE)`, text)} ELSE ${text} END`;
  // Not "IN (…)": DuckDB makes a join of it, which doubles the time.
  const none = ['[', '{', 't', 'f', 'n'].map((start) => `WHEN '${start}' THEN NULL`).join(' ');
  return `coalesce(CASE left(${text}, 1) WHEN '"' THEN ${column}->>'$' ${none} ELSE ${number} END, '')`;
}

/** 17 rather than 17.0: whole numbers become floats where a table had a gap. Beyond 10^15 they are not exact. */
function shortestNumber(number: string, otherwise: string): string {
  return `CASE WHEN ${number} = trunc(${number}) AND abs(${number}) < 1e15 THEN ${number}::BIGINT::VARCHAR ELSE ${otherwise} END`;
}

function valueNumber(shape: FileShape, name: string): string {
  const column = columnOf(shape, name);
  const isNumber = shape.types === undefined && !(name in shape.file.partitions);
  return isNumber ? column : `TRY_CAST(${column} AS DOUBLE)`;
}

/** Milliseconds since 1970 for timestamps; dates without a zone are UTC. */
function timeNumber(shape: FileShape, name: string, kind: TimeKind): string {
  if (kind === 'number') return valueNumber(shape, name);
  return `(epoch_us(TRY_CAST(${columnOf(shape, name)} AS TIMESTAMPTZ)) / 1000)`;
}

/** Whether a column holds numbers or dates, by its type or else by its first rows. */
export function timeKindOf(shape: FileShape, name: string): TimeKind {
  const type = shape.types?.[name];
  if (type !== undefined && type !== 'VARCHAR')
    return /^(TIMESTAMP|DATE)/.test(type) ? 'timestamp' : 'number';
  const texts = (shape.sample[name] ?? []).filter((text) => text !== null && text.trim() !== '');
  // A few bad rows at the start must not change what the column is.
  const numbers = texts.filter((text) => Number.isFinite(Number(text)));
  return numbers.length * 2 >= texts.length ? 'number' : 'timestamp';
}
