// Models for other programs: numpy, safetensors, Parquet.

import { copyFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder } from '../../common/atomic-files.js';
import { UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import { writeFactorsParquet } from './id-tables.js';
import { type LoadedModel, openModel } from './model-folder.js';
import { MODEL_FILES } from './model-manifest.js';
import { writeNpy } from './npy-file.js';

export const EXPORT_FORMATS = ['npy', 'safetensors', 'parquet'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

export interface ExportReport {
  out: string;
  format: ExportFormat;
  /** Names of the files in `out`. */
  files: string[];
  users: number;
  items: number;
  factors: number;
}

/**
 * Writes a model's factors and ids into a new folder, whole or not at all.
 *
 *   npy          user_factors.npy, item_factors.npy: f32, [rows, K]; users.csv, items.csv: `row,id`
 *   safetensors  factors.safetensors (user_factors, item_factors) and the two csv files
 *   parquet      users.parquet, items.parquet: row, id, factors (list of float)
 *
 * Ids are written exactly, also those that a spreadsheet would take for a formula (`=`, `+`, `-`, `@` in front):
 * they must come back as they were, so open the csv files with a program that does not evaluate cells.
 *
 * @throws {StateError} `STOA_EXISTS`: `out` is there and not empty. Errors of `openModel`.
 */
export async function exportModel(
  modelDir: string,
  format: ExportFormat,
  out: string,
): Promise<ExportReport> {
  if (!EXPORT_FORMATS.includes(format)) {
    const known = EXPORT_FORMATS.join(', ');
    throw new UsageError(
      'STOA_USAGE',
      `--format "${format}" is none of ${known}${suggestion(format, EXPORT_FORMATS)}`,
      {
        fields: { field: '--format' },
      },
    );
  }
  const model = await openModel(modelDir);
  const files = await publishFolder(out, (folder) => WRITERS[format](model, folder));
  const { users, items, factors } = model;
  return { out, format, files, users, items, factors };
}

const WRITERS: Record<ExportFormat, (model: LoadedModel, folder: string) => Promise<string[]>> = {
  npy: async (model, folder) => {
    const { users, items, factors } = model;
    await writeNpy(path.join(folder, 'user_factors.npy'), model.userFactors, users, factors);
    await writeNpy(path.join(folder, 'item_factors.npy'), model.itemFactors, items, factors);
    return ['user_factors.npy', 'item_factors.npy', ...(await writeIds(model, folder))];
  },
  safetensors: async (model, folder) => {
    await copyFile(path.join(model.dir, MODEL_FILES.factors), path.join(folder, MODEL_FILES.factors));
    return [MODEL_FILES.factors, ...(await writeIds(model, folder))];
  },
  parquet: async (model, folder) => {
    const { userIds, itemsTable, userFactors, itemFactors, factors } = model;
    await writeFactorsParquet(path.join(folder, MODEL_FILES.users), userIds, userFactors, factors);
    await writeFactorsParquet(path.join(folder, MODEL_FILES.items), itemsTable.ids, itemFactors, factors);
    return [MODEL_FILES.users, MODEL_FILES.items];
  },
};

async function writeIds(model: LoadedModel, folder: string): Promise<string[]> {
  await writeFile(path.join(folder, 'users.csv'), idsCsv(model.userIds));
  await writeFile(path.join(folder, 'items.csv'), idsCsv(model.itemsTable.ids));
  return ['users.csv', 'items.csv'];
}

/** `row,id` with the quoting of RFC 4180 and a line feed after each row, as tools on Unix expect. */
export function idsCsv(ids: readonly string[]): string {
  return ['row,id', ...ids.map((id, row) => `${row},${csvCell(id)}`), ''].join('\n');
}

/** Quoted where a reader could otherwise split, trim or take the cell for a missing one. */
function csvCell(text: string): string {
  return /[",\r\n]|^\s|\s$|^$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
