// Decides how a set of files will be read, from their headers, types and first rows.

import { access } from 'node:fs/promises';
import path from 'node:path';
import { DataError, UsageError } from '../../common/errors.js';
import type { MergeRule } from '../manifest.js';
import { type ChosenColumns, type ColumnFlags, chooseColumns } from './choose-columns.js';
import type { DuckdbSession } from './duckdb-session.js';
import { type FileShape, inspectFile } from './file-shape.js';
import type { InputFile } from './input-files.js';
import { piecesFor, type ScanPlan, timeKindOf } from './scan-query.js';

export interface ImportPlan extends ScanPlan {
  shapes: FileShape[];
  merge: MergeRule;
  /** A guess, rather too high. */
  rowsEstimate: number;
  /** Made by `data synthesize`. */
  isSynthetic: boolean;
}

export interface PlanFlags extends ColumnFlags {
  merge?: MergeRule;
  synthetic?: boolean;
}

/** A file of this name beside a text file says that the data are made up. */
export function syntheticMark(file: string): string {
  return `${file}.synthetic.json`;
}

/** @throws {DataError} `STOA_DATA_*`; {UsageError} `STOA_USAGE`: a merge rule that needs a value. */
export async function planImport(
  files: readonly InputFile[],
  flags: PlanFlags,
  session: DuckdbSession,
): Promise<ImportPlan> {
  const shapes: FileShape[] = [];
  for (const file of files) shapes.push(await inspectFile(file, session));
  const columns = chooseColumns(shapes[0]!.columns, flags, shapes[0]!.file.name);
  for (const shape of shapes) requireColumns(shape, columns, shapes[0]!);
  const merge = chooseMerge(flags.merge, columns, shapes[0]!.file.name);
  if (merge === 'count') columns.value = undefined;
  const { user, item, time } = columns;
  return {
    shapes,
    columns,
    merge,
    timeKind: time === undefined ? undefined : oneTimeKind(shapes, time),
    userPieces: Math.max(...shapes.map((shape) => piecesFor(shape.sample[user] ?? []))),
    itemPieces: Math.max(...shapes.map((shape) => piecesFor(shape.sample[item] ?? []))),
    rowsEstimate: shapes.reduce((sum, shape) => sum + shape.rowsEstimate, 0),
    isSynthetic: flags.synthetic === true || (await anyMarked(shapes)),
  };
}

function requireColumns(shape: FileShape, columns: ChosenColumns, first: FileShape): void {
  for (const column of Object.values(columns)) {
    if (column === undefined || shape.columns.includes(column)) continue;
    throw new DataError(
      'STOA_DATA_COLUMN',
      `${shape.file.name} has no column "${column}", which ${first.file.name} has (its columns are ${shape.columns
        .map((name) => `"${name}"`)
        .join(', ')}); import files of one kind together`,
      { fields: { file: shape.file.path, field: column, found: shape.columns } },
    );
  }
}

function chooseMerge(named: MergeRule | undefined, { value }: ChosenColumns, file: string): MergeRule {
  if (named === undefined) return value === undefined ? 'one' : 'sum';
  if (value !== undefined || named === 'count' || named === 'one') return named;
  throw new UsageError(
    'STOA_USAGE',
    `--merge ${named} needs values, and ${file} has no value column that is known by its name; name it with --value-col COLUMN, or use --merge count`,
    { fields: { field: '--merge' } },
  );
}

function oneTimeKind(shapes: readonly FileShape[], time: string): 'number' | 'timestamp' {
  const first = timeKindOf(shapes[0]!, time);
  const other = shapes.find((shape) => timeKindOf(shape, time) !== first);
  if (other === undefined) return first;
  throw new DataError(
    'STOA_DATA_COLUMN',
    `column "${time}" holds ${first}s in ${shapes[0]!.file.name} but not in ${other.file.name}; import them apart, or make them alike`,
    { fields: { file: other.file.path, field: time } },
  );
}

async function anyMarked(shapes: readonly FileShape[]): Promise<boolean> {
  if (shapes.some((shape) => shape.isSynthetic)) return true;
  const marks = await Promise.all(
    shapes.map(({ file }) =>
      access(syntheticMark(path.resolve(file.path))).then(
        () => true,
        () => false,
      ),
    ),
  );
  return marks.includes(true);
}
