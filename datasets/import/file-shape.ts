// What a file looks like before it is read: its columns, how its fields are divided, and a sample of its rows.

import { DataError } from '../../common/errors.js';
import { type DuckdbSession, sqlPath } from './duckdb-session.js';
import type { InputFile } from './input-files.js';
import { RecordScanner, readSample, splitFields } from './text-records.js';

export interface FileShape {
  file: InputFile;
  /** Names of its columns and of its partition folders, each once. */
  columns: string[];
  /** Header of delimited text, by position. */
  fields?: string[];
  /** DuckDB's type of each column of a Parquet file. */
  types?: Record<string, string>;
  /** Between the fields of delimited text. */
  delimiter?: string;
  /** Lines end with a carriage return alone. */
  endsWithReturn?: boolean;
  /** Texts of the first rows by column; null where a row has none. */
  sample: Record<string, (string | null)[]>;
  /** A guess, rather too high; exact for Parquet. */
  rowsEstimate: number;
  /** Made by `data synthesize`: the file itself says so. */
  isSynthetic: boolean;
}

const DELIMITERS = { csv: [',', ';', '\t', '|'], text: ['\t', ',', ';', '|'], tsv: ['\t'] } as const;
const SAMPLE_ROWS = 5000;
/** Guesses of row counts are raised by this, since enlarging a table afterwards costs a copy. */
const ESTIMATE_MARGIN = 1.3;
/** Key of a Parquet file's metadata that says the data are made up. */
export const SYNTHETIC_KEY = 'stoa.synthetic';

/** @throws {DataError} `STOA_DATA_EMPTY`, `STOA_DATA_FILE`, `STOA_DATA_ENCODING`. */
export async function inspectFile(file: InputFile, session: DuckdbSession): Promise<FileShape> {
  const shape =
    file.format === 'parquet'
      ? await inspectParquet(file, session)
      : file.format === 'jsonl'
        ? await inspectJsonLines(file)
        : await inspectDelimited(file, DELIMITERS[file.format]);
  const { partitions } = file;
  const sample = { ...shape.sample };
  for (const [name, text] of Object.entries(partitions)) sample[name] = [text];
  return { ...shape, sample, columns: [...new Set([...shape.columns, ...Object.keys(partitions)])] };
}

async function inspectDelimited(file: InputFile, delimiters: readonly string[]): Promise<FileShape> {
  const sample = await readSample(file);
  const endsWithReturn = sample.bytes.includes(0x0d) && !sample.bytes.includes(0x0a);
  const delimiter = chooseDelimiter(sample.bytes, delimiters, endsWithReturn);
  const scanner = new RecordScanner({ delimiter: delimiter.charCodeAt(0), endsWithReturn });
  const records = [...scanner.push(sample.bytes, sample.isWhole)].filter((record) => record.bytes.length > 0);
  const header = records[0];
  if (header === undefined) throw empty(file, 'has no header and no rows');
  if (records.length === 1 && sample.isWhole) throw empty(file, 'has a header but no rows');
  const columns = splitFields(header.bytes, delimiter);
  const rows = records.slice(1, 1 + SAMPLE_ROWS).map((record) => splitFields(record.bytes, delimiter));
  return {
    file,
    columns,
    fields: columns,
    delimiter,
    endsWithReturn,
    sample: Object.fromEntries(columns.map((name, at) => [name, rows.map((row) => row[at] ?? null)])),
    rowsEstimate: estimateRows(file, sample, records.length - 1),
    isSynthetic: false,
  };
}

/** The candidate that occurs most in the header, outside quotes. */
function chooseDelimiter(bytes: Buffer, candidates: readonly string[], endsWithReturn: boolean): string {
  const [header] = new RecordScanner({ endsWithReturn }).push(bytes, true);
  const bare = (header?.bytes.toString('utf8') ?? '').replace(/"[^"]*"/g, '');
  const counts = candidates.map((candidate) => bare.split(candidate).length);
  return candidates[counts.indexOf(Math.max(...counts))]!;
}

async function inspectJsonLines(file: InputFile): Promise<FileShape> {
  const sample = await readSample(file);
  const lines = [...new RecordScanner({}).push(sample.bytes, sample.isWhole)].filter(
    (record) => record.bytes.toString('utf8').trim() !== '',
  );
  if (lines.length === 0) throw empty(file, 'has no rows');
  const rows = lines.slice(0, SAMPLE_ROWS).map((record) => parseObject(record.bytes));
  const columns = [...new Set(rows.flatMap((row) => (row === null ? [] : Object.keys(row))))];
  if (columns.length === 0) {
    const isArray = lines[0]!.bytes.toString('utf8').trimStart().startsWith('[');
    throw new DataError(
      'STOA_DATA_FILE',
      `${file.name} is not JSON Lines: line ${lines[0]!.line} is not an object${
        isArray ? ' but the start of an array; write one object a line, for example with jq -c ".[]"' : ''
      }`,
      { fields: { file: file.path, line: lines[0]!.line } },
    );
  }
  return {
    file,
    columns,
    sample: Object.fromEntries(columns.map((name) => [name, rows.map((row) => jsonText(row?.[name]))])),
    rowsEstimate: estimateRows(file, sample, lines.length),
    isSynthetic: false,
  };
}

/** A line of JSON Lines; null when it is no object. */
export function parseObject(line: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function jsonText(value: unknown): string | null {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : null;
}

async function inspectParquet(file: InputFile, session: DuckdbSession): Promise<FileShape> {
  const source = sqlPath(file.path);
  try {
    const described = await session.rows(
      `DESCRIBE SELECT * FROM read_parquet(${source}, hive_partitioning = false)`,
    );
    const [counted] = await session.rows(`SELECT num_rows FROM parquet_file_metadata(${source})`);
    const marks = await session.rows(
      `SELECT key FROM parquet_kv_metadata(${source}) WHERE decode(key) = '${SYNTHETIC_KEY}'`,
    );
    const rows = Number(counted!['num_rows']);
    if (rows === 0) throw empty(file, 'has no rows');
    const types = Object.fromEntries(
      described.map((row) => [String(row['column_name']), String(row['column_type'])]),
    );
    const columns = Object.keys(types);
    const texts = await session.rows(
      `SELECT COLUMNS(*)::VARCHAR FROM read_parquet(${source}, hive_partitioning = false) LIMIT ${SAMPLE_ROWS}`,
    );
    return {
      file,
      columns,
      types,
      sample: Object.fromEntries(
        columns.map((name) => [name, texts.map((row) => row[name] as string | null)]),
      ),
      rowsEstimate: rows,
      isSynthetic: marks.length > 0,
    };
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError('STOA_DATA_FILE', `${file.name} is not a Parquet file, or damaged; write it again`, {
      fields: { file: file.path },
      cause: error,
    });
  }
}

function estimateRows(
  file: InputFile,
  sample: { bytes: Buffer; isWhole: boolean; taken: number },
  rows: number,
) {
  if (sample.isWhole) return rows;
  const fileBytes = file.isGzip ? (file.bytes / sample.taken) * sample.bytes.length : file.bytes;
  return Math.ceil((ESTIMATE_MARGIN * fileBytes * Math.max(rows, 1)) / sample.bytes.length);
}

function empty(file: InputFile, what: string): DataError {
  return new DataError('STOA_DATA_EMPTY', `${file.name} ${what}; give a file with interactions`, {
    fields: { file: file.path },
  });
}
