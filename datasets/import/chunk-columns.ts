// Columns of a DuckDB chunk as typed arrays over DuckDB's own memory, valid as long as the chunk is held.
//
// The package offers values one by one, which costs more than reading the file. The arrays beneath are fields of its
// vector classes; the layout of a string (length, then 12 bytes, or 4 bytes and a pointer) is that of `duckdb_string_t`
// in duckdb.h.

import type { DuckDBDataChunk } from '@duckdb/node-api';
import { assert } from '../../common/errors.js';

/** A VARCHAR or BLOB column: 4 words for each row, see id-encoder.ts. The column must have no nulls. */
export function stringWords(chunk: DuckDBDataChunk, column: number): Int32Array {
  const view: unknown = Reflect.get(chunk.getColumnVector(column), 'dataView');
  assert(view instanceof DataView, `column ${column} of the chunk is not a string column`);
  return new Int32Array(view.buffer, view.byteOffset, chunk.rowCount * 4);
}

/** A DOUBLE column. The column must have no nulls. */
export function doubles(chunk: DuckDBDataChunk, column: number): Float64Array {
  const items: unknown = Reflect.get(chunk.getColumnVector(column), 'items');
  assert(items instanceof Float64Array, `column ${column} of the chunk is not a DOUBLE column`);
  return items;
}
