// users.parquet and items.parquet: what each row of a model is. Ids are written and read exactly as they are.

import path from 'node:path';
import {
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBType,
  type DuckDBValue,
  FLOAT,
  INTEGER,
  LIST,
  listValue,
  VARCHAR,
} from '@duckdb/node-api';
import { assert } from '../../common/errors.js';
import type { ItemsTable } from '../../datasets/dataset.js';

/** Rows of one DuckDB data chunk. */
const CHUNK_ROWS = 2048;
/** Columns of the items file that are neither id, title nor category are kept under this prefix. */
const ATTRIBUTE_PREFIX = 'attribute:';

interface Column {
  name: string;
  type: DuckDBType;
  value: (row: number) => DuckDBValue;
}

/** Writes `row`, `id`. */
export async function writeUsersParquet(file: string, ids: readonly string[]): Promise<void> {
  await writeParquet(file, ids.length, idColumns(ids));
}

/** Writes `row`, `id`, `title`, `category`, `interactions` and the other columns as `attribute:NAME`. */
export async function writeItemsParquet(file: string, items: ItemsTable, counts: Int32Array): Promise<void> {
  const columns: Column[] = [
    ...idColumns(items.ids),
    { name: 'title', type: VARCHAR, value: (row) => items.titles?.[row] ?? null },
    { name: 'category', type: VARCHAR, value: (row) => items.categories?.[row] ?? null },
    { name: 'interactions', type: INTEGER, value: (row) => counts[row]! },
  ];
  for (const [name, values] of Object.entries(items.columns)) {
    columns.push({ name: ATTRIBUTE_PREFIX + name, type: VARCHAR, value: (row) => values[row] ?? null });
  }
  await writeParquet(file, items.ids.length, columns);
}

/** Writes `row`, `id`, `factors`: a list of K floats. */
export async function writeFactorsParquet(
  file: string,
  ids: readonly string[],
  table: Float32Array,
  factors: number,
): Promise<void> {
  const row = (at: number) => Array.from(table.subarray(at * factors, (at + 1) * factors));
  await writeParquet(file, ids.length, [
    ...idColumns(ids),
    { name: 'factors', type: LIST(FLOAT), value: (at) => listValue(row(at)) },
  ]);
}

/** Ids by row. */
export async function readUsersParquet(file: string): Promise<string[]> {
  const [ids = []] = await readColumns(file, ['id']);
  return ids as string[];
}

/** The items table and how many users took each item in training. */
export async function readItemsParquet(file: string): Promise<{ items: ItemsTable; counts: Int32Array }> {
  return withConnection(async (connection) => {
    const reader = await connection.runAndReadAll(`SELECT * FROM ${source(file)} ORDER BY "row"`);
    const names = reader.columnNames();
    const columns = new Map(reader.getColumns().map((values, at) => [names[at]!, values]));
    const text = (name: string): (string | null)[] => columns.get(name) as (string | null)[];
    const attributes = names.filter((name) => name.startsWith(ATTRIBUTE_PREFIX));
    const items: ItemsTable = {
      ids: text('id') as string[],
      titles: someOf(text('title')),
      categories: someOf(text('category')),
      columns: Object.fromEntries(
        attributes.map((name) => [name.slice(ATTRIBUTE_PREFIX.length), text(name)]),
      ),
    };
    return { items, counts: Int32Array.from(columns.get('interactions') as number[]) };
  });
}

/** Writes columns to a Parquet file, rows in order. */
async function writeParquet(file: string, rows: number, columns: readonly Column[]): Promise<void> {
  await withConnection(async (connection) => {
    const declared = columns.map(({ name, type }) => `${identifier(name)} ${type.toString()}`);
    await connection.run(`CREATE TABLE staging (${declared.join(', ')})`);
    const appender = await connection.createAppender('staging');
    for (let start = 0; start < rows; start += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, rows - start);
      const chunk = DuckDBDataChunk.create(
        columns.map(({ type }) => type),
        count,
      );
      columns.forEach(({ value }, at) => {
        chunk.setColumnValues(
          at,
          Array.from({ length: count }, (_, offset) => value(start + offset)),
        );
      });
      appender.appendDataChunk(chunk);
    }
    appender.closeSync();
    await connection.run(`COPY staging TO ${literal(file)} (FORMAT parquet, COMPRESSION zstd)`);
  });
}

function idColumns(ids: readonly string[]): Column[] {
  return [
    { name: 'row', type: INTEGER, value: (row) => row },
    { name: 'id', type: VARCHAR, value: (row) => ids[row]! },
  ];
}

async function readColumns(file: string, names: readonly string[]): Promise<DuckDBValue[][]> {
  return withConnection(async (connection) => {
    const list = names.map(identifier).join(', ');
    const reader = await connection.runAndReadAll(`SELECT ${list} FROM ${source(file)} ORDER BY "row"`);
    return reader.getColumns();
  });
}

/** A column without any value is as good as none. */
function someOf(values: (string | null)[]): (string | null)[] | undefined {
  return values.some((value) => value !== null) ? values : undefined;
}

async function withConnection<T>(use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  // One thread keeps the rows in order; the limit keeps a server's memory where it is planned.
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '1GB' });
  const connection = await instance.connect();
  try {
    return await use(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The file as it is named: no glob characters, and no columns taken from folders like `seed=1`. */
function source(file: string): string {
  const exact = path.resolve(file).replace(/[*?[]/g, '[$&]');
  return `read_parquet(${literal(exact)}, hive_partitioning = false)`;
}

function literal(text: string): string {
  assert(!text.includes('\0'), 'a path without NUL');
  return `'${text.replaceAll("'", "''")}'`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
