// Small interactions with taste in them, as files: two kinds of users, each with items of its kind.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { createRandom } from '../../common/random.js';

export interface SmallData {
  users: number;
  /** Even. */
  items: number;
  /** Interactions of each user, at most half of `items`. */
  perUser: number;
}

/** `user_id,item_id,time` lines, every pair once; user u takes items of kind u mod 2, the low numbers more often. */
export function smallCsv({ users, items, perUser }: SmallData): string {
  const random = createRandom(5);
  const lines = ['user_id,item_id,time'];
  for (let user = 0; user < users; user++) {
    const taken = new Set<number>();
    while (taken.size < perUser) {
      taken.add(2 * Math.floor((random.next() ** 2 * items) / 2) + (user % 2));
    }
    [...taken].forEach((item, n) => {
      lines.push(`u${user},i${item},${1000 + user + 10 * n}`);
    });
  }
  return `${lines.join('\n')}\n`;
}

/** Writes the CSV into a folder and answers its path. */
export async function writeSmallCsv(folder: string, data: SmallData): Promise<string> {
  const file = path.join(folder, 'interactions.csv');
  await writeFile(file, smallCsv(data));
  return file;
}

/** Makes a temporary folder; `remove` takes it away with all in it. */
export async function temporaryFolder(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
