// A learner is forgotten: in datasets, in models, and durably, so that a receipt can be signed for it.

import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { NotFoundError } from '../common/errors.js';
import { clearReplacement, nameOfLeftover } from '../common/replace-folder.js';
import { forgetModelUser } from '../coordinator/registry/forget-user.js';
import { openModel } from '../coordinator/registry/model-folder.js';
import { openDataset } from '../datasets/dataset.js';
import { forgetUser } from '../datasets/forget-user.js';
import { type PendingErasure, PendingErasures } from '../federation/erasure/pending-erasures.js';

export interface ForgetOptions {
  userId: string;
  /** Folder of the participant; the caller holds its lock. */
  identity: string;
  /** Datasets that the learner may be in. */
  datasets: readonly string[];
  /** Models that the learner may be in, besides those of the identity folder. */
  models: readonly string[];
  now: () => Date;
}

export interface Forgotten {
  erasure: PendingErasure;
  /** Interactions, and items that nobody else took, that are gone from the datasets. */
  interactions: number;
  items: number;
  datasets: string[];
  /** Models that had the learner. */
  models: string[];
  /** Files of rows that imports refused, which named the learner. */
  rejects: string[];
  /** Names of files that the datasets were imported from: they may still have the learner. */
  sources: string[];
}

/**
 * Ids and damage are looked for everywhere before anything is changed. Cut off at any moment, a repeated call ends the work; until then the
 * participant takes no part.
 *
 * @throws {NotFoundError} `STOA_NOT_FOUND_USER`: nobody of that id is anywhere here.
 * @throws errors of `forgetUser`, `forgetModelUser`, `PendingErasures`.
 */
export async function forgetLearner(options: ForgetOptions): Promise<Forgotten> {
  const { userId, identity, now } = options;
  const erasures = await PendingErasures.open(identity);
  const models = [...(await modelsOf(path.join(identity, 'models'))), ...options.models];
  const sources = new Set<string>();
  let isKnown = false;
  for (const dir of options.datasets) {
    const dataset = await openDataset(dir, { verify: 'all' });
    for (const { name } of dataset.manifest.source.files) sources.add(name);
    isKnown = (await dataset.userIds()).includes(userId) || isKnown;
  }
  for (const dir of models) isKnown = (await openModel(dir)).userIds.includes(userId) || isKnown;
  const earlier = erasures.find(userId);
  if (!isKnown && earlier === undefined) throw unknown(options, models.length);

  // Ended before, and nobody came back: what was said then is said again.
  const isDone = !isKnown && earlier?.erase_time !== undefined;
  const begun = isDone ? earlier : await erasures.begin(userId, now());
  const forgotten: Omit<Forgotten, 'erasure'> = {
    interactions: 0,
    items: 0,
    datasets: [],
    models: [],
    rejects: [],
    sources: [...sources],
  };
  for (const dir of options.datasets) {
    const gone = await forgetUser(dir, userId);
    forgotten.rejects.push(...(await removeRejects(dir, userId)));
    if (gone === undefined) continue;
    forgotten.datasets.push(dir);
    forgotten.interactions += gone.interactions;
    forgotten.items += gone.items;
  }
  for (const dir of models) if (await forgetModelUser(dir, userId)) forgotten.models.push(dir);
  return { erasure: isDone ? begun : await erasures.end(begun, now()), ...forgotten };
}

/** The models of a folder, once what was cut off there is ended or removed. */
async function modelsOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const leftovers = new Set(entries.map(nameOfLeftover).filter((name) => name !== undefined));
  for (const name of leftovers) await clearReplacement(path.join(folder, name));
  return (await readdir(folder).catch(() => []))
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => path.join(folder, name));
}

/** Files that imports left beside a dataset, where they have the id anywhere: they are made again by an import. */
async function removeRejects(dataset: string, userId: string): Promise<string[]> {
  const { dir, base } = path.parse(path.resolve(dataset));
  const removed: string[] = [];
  for (const entry of await readdir(dir)) {
    const isRejects = entry.startsWith(`${base}.rejects`) && entry.endsWith('.csv');
    if (!isRejects || !(await readFile(path.join(dir, entry))).includes(userId)) continue;
    await rm(path.join(dir, entry));
    removed.push(path.join(dir, entry));
  }
  return removed;
}

function unknown({ datasets }: ForgetOptions, models: number): NotFoundError {
  return new NotFoundError(
    'STOA_NOT_FOUND_USER',
    `no learner of that id is in ${datasets.join(', ')} or in ${models} models; check the id, letter by letter`,
    { fields: { field: '--user' } },
  );
}
