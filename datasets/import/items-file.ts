// The items file: a row for each item, with its title, category and whatever else there is.

import { DataError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { TextColumn } from '../dictionary-file.js';
import { rejectTables, takeRefusedRows } from './bad-rows.js';
import type { DuckdbSession } from './duckdb-session.js';
import { type FileShape, inspectFile } from './file-shape.js';
import type { InputFile } from './input-files.js';
import { columnOf, tableSource } from './table-source.js';

export interface ItemsFile {
  /** Columns but the id. */
  names: string[];
  /** Id → its cells, in the order of `names`. The first row of an id counts. */
  rows: Map<string, (string | null)[]>;
  /** Rows that could not be read. */
  refused: number;
}

const ID_COLUMNS = ['item_id', 'itemid', 'id', 'course_id', 'courseid', 'id_site', 'item', 'course', 'code'];
/** Texts that stand for nothing in files that went through data tools. */
const NOTHING = new Set(['', 'NaN', 'nan', 'NULL', 'null', 'None', 'N/A']);
const REJECTS = rejectTables('items');

/**
 * Reads an items file. Lists (Parquet, JSON) become text joined with `|`; empty, `NaN` and `NULL` cells become null.
 *
 * @throws {DataError} as for interactions; `STOA_DATA_COLUMN`: no column has the id.
 */
export async function readItemsFile(
  session: DuckdbSession,
  file: InputFile,
  idCol: string | undefined,
): Promise<ItemsFile> {
  const shape = await inspectFile(file, session);
  const id = chooseId(shape, idCol);
  const names = shape.columns.filter((name) => name !== id);
  const source = tableSource(shape, {
    wanted: shape.columns,
    typeOf: () => (shape.fields === undefined ? 'JSON' : 'VARCHAR'),
    rejects: REJECTS,
  });
  const cells = [id, ...names].map((name) => cellText(shape, name));
  const result = await session.connection.stream(`SELECT ${cells.join(', ')} FROM ${source}`);
  const rows = new Map<string, (string | null)[]>();
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) break;
    const columns = chunk.getColumns() as (string | null)[][];
    columns[0]!.forEach((key, row) => {
      if (key === null || rows.has(key)) return;
      rows.set(
        key,
        columns.slice(1).map((column) => (NOTHING.has(column[row] ?? '') ? null : column[row]!)),
      );
    });
  }
  const refused =
    shape.fields === undefined ? 0 : (await takeRefusedRows(session, REJECTS, () => 'cell')).count;
  return { names, rows, refused };
}

/** The columns by item row, and how many items the file knows. */
export function matchItems(
  { names, rows }: ItemsFile,
  itemIds: readonly string[],
): { columns: Record<string, TextColumn>; matched: number } {
  const columns: Record<string, TextColumn> = {};
  names.forEach((name, at) => {
    columns[name] = itemIds.map((id) => rows.get(id)?.[at] ?? null);
  });
  return { columns, matched: itemIds.filter((id) => rows.has(id)).length };
}

function chooseId({ columns, file }: FileShape, idCol: string | undefined): string {
  const wanted = idCol === undefined ? ID_COLUMNS : [idCol];
  for (const name of wanted) {
    const found = columns.find(
      (column) => column === name || (idCol === undefined && column.toLowerCase() === name),
    );
    if (found !== undefined) return found;
  }
  const list = columns.map((column) => `"${column}"`).join(', ');
  throw new DataError(
    'STOA_DATA_COLUMN',
    idCol === undefined
      ? `the items file ${file.name} has no id column that is known by its name (its columns are ${list}); name it with --items-id-col COLUMN`
      : `the items file ${file.name} has no column "${idCol}"${suggestion(idCol, columns)}; its columns are ${list}`,
    { fields: { file: file.path, field: '--items-id-col', found: columns } },
  );
}

function cellText(shape: FileShape, name: string): string {
  const column = columnOf(shape, name);
  if (shape.file.format === 'jsonl') {
    return `CASE json_type(${column}) WHEN 'ARRAY' THEN array_to_string((${column})::VARCHAR[], '|') ELSE ${column}->>'$' END`;
  }
  const type = shape.types?.[name] ?? 'VARCHAR';
  return /\[\d*\]$/.test(type) ? `array_to_string(${column}::VARCHAR[], '|')` : `${column}::VARCHAR`;
}
