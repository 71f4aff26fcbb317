// Imports a set and hides one interaction of each user.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { NotFoundError } from '../../common/errors.js';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { splitDataset } from '../../datasets/split/split-dataset.js';
import type { CourseSet } from './course-sets.js';

export interface HiddenSplit {
  /** Dataset folders. */
  train: string;
  test: string;
}

/**
 * @param data folder of the data sets.
 * @param work folder to make the datasets in.
 * @throws {NotFoundError} the set's file is not there.
 */
export async function prepareSet(set: CourseSet, data: string, work: string): Promise<HiddenSplit> {
  const file = path.join(data, set.file);
  if (!existsSync(file)) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `${file} is not there; name the folder with --data`);
  }
  const out = path.join(work, 'whole');
  const columns = { userCol: 'user_id', itemCol: 'item_id' };
  if (set.orderCol === undefined) {
    const drawn = `${work}-drawn.csv`;
    await addDraw(file, drawn);
    await importInteractions({ files: [drawn], out, ...columns, timeCol: 'draw' });
  } else {
    await importInteractions({ files: [file], out, ...columns, timeCol: set.orderCol });
  }
  return hideLast(out, path.join(work, 'split'));
}

/** Hides each user's last interaction, where one remains to train on. */
export async function hideLast(dataset: string, out: string): Promise<HiddenSplit> {
  await splitDataset({ dataset, out, strategy: 'leave-last-out' });
  return { train: path.join(out, 'train'), test: path.join(out, 'test') };
}

/** Copies a file with one more column, a number drawn from user and item: the greatest is a random one of a user's. */
async function addDraw(file: string, out: string): Promise<void> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run(`
    COPY (SELECT *, md5_number_lower(user_id || '/' || item_id) % 1000000007 AS draw
          FROM read_csv(${quoted(file)}, all_varchar = true))
    TO ${quoted(out)} (HEADER)`);
  connection.closeSync();
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
