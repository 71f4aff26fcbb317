// The DuckDB table function that reads a file, and how its columns are called in it.

import type { RejectTables } from './bad-rows.js';
import { sqlName, sqlPath, sqlText } from './duckdb-session.js';
import type { FileShape } from './file-shape.js';

/** Twice the longest line that DuckDB takes. Its default of 32 MB reads slower here, out of the processor's cache. */
const CSV_BUFFER_BYTES = 4_000_000;

export interface SourceOptions {
  /** Columns that will be asked for. */
  wanted: readonly string[];
  /** Type that a column of text is read as. */
  typeOf: (column: string) => string;
  /** Where refused rows of delimited text are kept. */
  rejects: RejectTables;
}

/**
 * The table function, with nothing left to guess. Columns of delimited text are called `c0`, `c1`, …, since headers
 * may repeat a name.
 */
export function tableSource(shape: FileShape, { wanted, typeOf, rejects }: SourceOptions): string {
  const file = sqlPath(shape.file.path);
  if (shape.file.format === 'parquet') return `read_parquet(${file}, hive_partitioning = false)`;
  if (shape.fields === undefined) {
    const names = [...new Set(wanted)].filter((name) => !(name in shape.file.partitions));
    const types = names.map((name) => `${sqlText(name)}: '${typeOf(name)}'`).join(', ');
    return `read_json(${file}, format = 'newline_delimited', ignore_errors = true, compression = '${shape.file.isGzip ? 'gzip' : 'uncompressed'}', hive_partitioning = false, columns = {${types}})`;
  }
  const { fields } = shape;
  const types = fields.map(
    (name, at) => `c${at}: '${fields.indexOf(name) === at ? typeOf(name) : 'VARCHAR'}'`,
  );
  return `read_csv(${file}, auto_detect = false, header = true, delim = ${sqlText(shape.delimiter!)}, quote = '"', escape = '"', nullstr = '', buffer_size = ${CSV_BUFFER_BYTES}, store_rejects = true, rejects_scan = '${rejects.scans}', rejects_table = '${rejects.errors}', compression = '${shape.file.isGzip ? 'gzip' : 'none'}', hive_partitioning = false, columns = {${types.join(', ')}})`;
}

/** A column of the table function, or the text of a partition folder. */
export function columnOf(shape: FileShape, name: string): string {
  if (name in shape.file.partitions) {
    const text = shape.file.partitions[name];
    return text === null || text === undefined ? 'NULL::VARCHAR' : sqlText(text);
  }
  return shape.fields === undefined ? sqlName(name) : `c${shape.fields.indexOf(name)}`;
}
