// A model on disk: written whole or not at all, read only when every byte is what was written.
//
//   model.json            schema version, config, counts, checksums, lineage
//   factors.safetensors   user_factors [users, K] f32, item_factors [items, K] f32
//   history.safetensors   ptr [users + 1] i32, idx [interactions] i32, values [interactions] f32 (optional):
//                         the items that each user took in training, as CSR
//   users.parquet         row, id
//   items.parquet         row, id, title, category, interactions, attribute:NAME…

import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder, writeFileAtomic } from '../../common/atomic-files.js';
import { sha256File } from '../../common/checksums.js';
import { assert, CorruptError, NotFoundError, NumericError } from '../../common/errors.js';
import { finishReplacement } from '../../common/replace-folder.js';
import type { ItemsTable } from '../../datasets/dataset.js';
import type { Csr } from '../../models/csr.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import { columnsOf, type RunConfig } from '../plan/run-config.js';
import { countItems, readHistory, writeHistory } from './history-file.js';
import { layoutOf } from './model-layout.js';
import {
  MODEL_FILES,
  MODEL_SCHEMA_VERSION,
  type ModelManifest,
  parseManifest,
  renderManifest,
} from './model-manifest.js';
import { disagrees, namedTensor } from './named-tensor.js';
import { type FileFacts, readSafetensors, requireChecksum, writeSafetensors } from './safetensors.js';

export const MANIFEST_FILE = 'model.json';

export interface ModelContents {
  /** Name of the model in the registry and in answers. */
  version: string;
  runId: string;
  createTime: Date;
  config: RunConfig;
  /** SHA-256 of the training dataset's manifest. */
  datasetFingerprint: string;
  /** True when the interactions were made by `stoa data synthesize`. */
  synthetic: boolean;
  /** Row → id. */
  userIds: string[];
  items: ItemsTable;
  /** f32, row-major, [users, K]. */
  userFactors: Float32Array;
  /** f32, row-major, [items, K]. */
  itemFactors: Float32Array;
  /** Users' rows: what each user took in training. */
  history: Csr;
  metrics?: Record<string, unknown>;
  /** What it was trained on. @default not known */
  devices?: DeviceFacts[];
}

export interface LoadedModel {
  /** Absolute path of the folder with model.json. */
  dir: string;
  manifest: ModelManifest;
  version: string;
  users: number;
  items: number;
  /** K. */
  factors: number;
  userIds: string[];
  itemsTable: ItemsTable;
  /** f32, row-major, [users, K], over a SharedArrayBuffer as all tables here. */
  userFactors: Float32Array;
  /** f32, row-major, [items, K]. */
  itemFactors: Float32Array;
  /** What each user took in training. */
  history: Csr;
  /** [items] how many users took each item in training. */
  itemCounts: Int32Array;
  synthetic: boolean;
}

/**
 * Writes a model folder whole or not at all.
 *
 * @throws {StateError} `STOA_EXISTS`: the folder is there and not empty.
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: a factor is NaN or infinite; names side and row.
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`.
 */
export async function writeModel(dir: string, contents: ModelContents): Promise<void> {
  const { userIds, items, userFactors, itemFactors, history } = contents;
  const factors = columnsOf(contents.config);
  assert(userFactors.length === userIds.length * factors, 'user factors have one row a user');
  assert(itemFactors.length === items.ids.length * factors, 'item factors have one row an item');
  assert(history.rows === userIds.length && history.cols === items.ids.length, 'history is users by items');
  requireFinite(userFactors, factors, 'user', dir);
  requireFinite(itemFactors, factors, 'item', dir);
  await publishFolder(dir, (folder) => fillModelFolder(folder, contents));
}

/** Writes the files of a model into an empty folder; the caller checked the contents and makes it appear whole. */
export async function fillModelFolder(folder: string, contents: ModelContents): Promise<void> {
  const { userIds, items, userFactors, itemFactors, history } = contents;
  const factors = columnsOf(contents.config);
  const file = (name: keyof typeof MODEL_FILES) => path.join(folder, MODEL_FILES[name]);
  const factorsFacts = await writeSafetensors(
    file('factors'),
    {
      user_factors: { shape: [userIds.length, factors], data: userFactors },
      item_factors: { shape: [items.ids.length, factors], data: itemFactors },
    },
    { format: 'stoa-model', version: contents.version },
  );
  const historyFacts = await writeHistory(file('history'), history);
  const { writeItemsParquet, writeUsersParquet } = await idTables();
  await writeUsersParquet(file('users'), userIds);
  await writeItemsParquet(file('items'), items, countItems(history));
  const manifest: ModelManifest = {
    format: 'stoa-model',
    schemaVersion: MODEL_SCHEMA_VERSION,
    version: contents.version,
    createTime: contents.createTime.toISOString(),
    synthetic: contents.synthetic,
    config: contents.config,
    counts: {
      users: userIds.length,
      items: items.ids.length,
      interactions: history.idx.length,
      factors,
    },
    ...layoutOf(contents.config),
    lineage: {
      runId: contents.runId,
      datasetFingerprint: contents.datasetFingerprint,
      ...(contents.devices === undefined ? {} : { devices: contents.devices }),
    },
    ...(contents.metrics === undefined ? {} : { metrics: contents.metrics }),
    files: {
      [MODEL_FILES.factors]: factorsFacts,
      [MODEL_FILES.history]: historyFacts,
      [MODEL_FILES.users]: await factsOf(file('users')),
      [MODEL_FILES.items]: await factsOf(file('items')),
    },
  };
  await writeFileAtomic(path.join(folder, MANIFEST_FILE), renderManifest(manifest));
}

/**
 * Opens a model folder, or the model of a run folder, and checks all of it.
 *
 * @throws {NotFoundError} `STOA_NOT_FOUND_MODEL`: there is no model.
 * @throws {StateError} `STOA_VERSION`: another schema version.
 * @throws {CorruptError} `STOA_CHECKSUM`, `STOA_TORN`: names the file.
 */
export async function openModel(dir: string): Promise<LoadedModel> {
  const { folder, text } = await findManifest(path.resolve(dir));
  const manifest = parseManifest(text, path.join(folder, MANIFEST_FILE));
  const { users, items, interactions, factors } = manifest.counts;
  const file = (name: keyof typeof MODEL_FILES) => path.join(folder, MODEL_FILES[name]);
  const expected = (name: keyof typeof MODEL_FILES) => manifest.files[MODEL_FILES[name]]!;
  for (const name of Object.keys(MODEL_FILES) as (keyof typeof MODEL_FILES)[]) {
    await requireSize(file(name), expected(name).bytes);
  }
  const tables = await readSafetensors(file('factors'), expected('factors'));
  const userFactors = namedTensor(tables, 'user_factors', Float32Array, [users, factors], file('factors'));
  const itemFactors = namedTensor(tables, 'item_factors', Float32Array, [items, factors], file('factors'));
  requireFinite(userFactors, factors, 'user', file('factors'));
  requireFinite(itemFactors, factors, 'item', file('factors'));
  const history = await readHistory(file('history'), expected('history'), { users, items, interactions });
  requireChecksum(file('users'), await sha256File(file('users')), expected('users').sha256);
  requireChecksum(file('items'), await sha256File(file('items')), expected('items').sha256);
  const { readItemsParquet, readUsersParquet } = await idTables();
  const userIds = await readUsersParquet(file('users'));
  const { items: itemsTable, counts } = await readItemsParquet(file('items'));
  if (userIds.length !== users) throw disagrees(file('users'), `${userIds.length} rows for ${users} users`);
  if (itemsTable.ids.length !== items) {
    throw disagrees(file('items'), `${itemsTable.ids.length} rows for ${items} items`);
  }
  return {
    dir: folder,
    manifest,
    version: manifest.version,
    users,
    items,
    factors,
    userIds,
    itemsTable,
    userFactors,
    itemFactors,
    history,
    itemCounts: counts,
    synthetic: manifest.synthetic,
  };
}

/** Reads and checks model.json alone: for lists of models. Errors as `openModel`. */
export async function readManifest(dir: string): Promise<ModelManifest> {
  const { folder, text } = await findManifest(path.resolve(dir));
  return parseManifest(text, path.join(folder, MANIFEST_FILE));
}

async function findManifest(dir: string): Promise<{ folder: string; text: string }> {
  for (const folder of [dir, path.join(dir, 'model')]) {
    const text = await readFile(path.join(folder, MANIFEST_FILE), 'utf8').catch(
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        throw error;
      },
    );
    if (text !== undefined) return { folder, text };
    if (await finishReplacement(folder)) return findManifest(dir);
  }
  const isRun = await stat(path.join(dir, 'run.json')).then(
    () => true,
    () => false,
  );
  const remedy = isRun
    ? 'its training has not ended with one; see "stoa runs show", or go on with "stoa resume"'
    : 'give the folder of a model (with model.json) or of a run that has ended';
  throw new NotFoundError('STOA_NOT_FOUND_MODEL', `there is no model in ${dir}: ${remedy}`, {
    fields: { file: dir },
  });
}

function requireFinite(table: Float32Array, factors: number, side: string, where: string): void {
  for (let at = 0; at < table.length; at++) {
    if (Number.isFinite(table[at])) continue;
    const row = Math.floor(at / factors);
    throw new NumericError(
      'STOA_NUMERIC_NOT_FINITE',
      `${where}: the factors of ${side} row ${row} are not finite; train again with a larger regularization`,
      { fields: { file: where, row } },
    );
  }
}

async function requireSize(file: string, bytes: number): Promise<void> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found?.size === bytes) return;
  const what = found === undefined ? 'is missing' : `has ${found.size} bytes instead of ${bytes}`;
  throw new CorruptError('STOA_TORN', `${file} ${what}; restore it from a copy or train again`, {
    fields: { file },
  });
}

async function factsOf(file: string): Promise<FileFacts> {
  return { bytes: (await stat(file)).size, sha256: await sha256File(file) };
}

/** DuckDB takes a tenth of a second to load; a coordinator without a promoted model starts without it. */
function idTables() {
  return import('./id-tables.js');
}
