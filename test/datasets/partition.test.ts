// Learners spread over institutions: each in one, with all rows; the parts together are the whole.

import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../datasets/dataset.js';
import { assignInstitutions } from '../../datasets/partition/assign-institutions.js';
import { partitionDataset, rowsOf } from '../../datasets/partition/partition-dataset.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';

const data = randomInteractions({ users: 900, items: 30, perUser: 5 });

let folder: string;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  await writeInteractions(path.join(folder, 'whole'), data);
});
afterAll(() => remove());

function sizes(owners: Int32Array, count: number): number[] {
  return Array.from({ length: count }, (_, n) => rowsOf(owners, n).length);
}

describe('learners', () => {
  it('by-user are spread evenly, and by the seed alone', () => {
    const owners = assignInstitutions(data, 5, { kind: 'by-user' }, 7);
    for (const size of sizes(owners, 5)) expect(Math.abs(size - 180)).toBeLessThan(60);
    expect(assignInstitutions(data, 5, { kind: 'by-user' }, 7)).toEqual(owners);
    expect(assignInstitutions(data, 5, { kind: 'by-user' }, 8)).not.toEqual(owners);
  });

  it('skewed halve from one institution to the next', () => {
    const [first, second, third] = sizes(assignInstitutions(data, 3, { kind: 'skewed' }, 7), 3);
    expect(first! / second!).toBeGreaterThan(1.5);
    expect(second! / third!).toBeGreaterThan(1.5);
    expect(first! + second! + third!).toBe(900);
  });

  it('by a column of the items go where most of their items are, and values stay together', () => {
    const values = Array.from({ length: 30 }, (_, item) => (item === 29 ? null : `school ${item % 7}`));
    const owners = assignInstitutions(data, 4, { kind: 'by-column', column: 'school', values }, 7);
    const homes = new Map<string, Set<number>>();
    for (let user = 0; user < data.rows; user++) {
      const taken = new Map<string, number>();
      for (let e = data.ptr[user]!; e < data.ptr[user + 1]!; e++) {
        const school = values[data.idx[e]!] ?? '';
        taken.set(school, (taken.get(school) ?? 0) + 1);
      }
      const most = Math.max(...taken.values());
      const [home] = [...taken]
        .filter(([, n]) => n === most)
        .map(([school]) => school)
        .sort();
      homes.set(home!, (homes.get(home!) ?? new Set()).add(owners[user]!));
    }
    for (const [home, institutions] of homes) expect(institutions.size, home).toBe(1);
    expect(new Set(owners).size).toBe(4);
  });
});

describe('a dataset that is spread', () => {
  it('has every interaction in one part, under the ids of the whole', async () => {
    const folders = [1, 2, 3].map((n) => path.join(folder, `part-${n}`));
    const { owners } = await partitionDataset({
      dataset: path.join(folder, 'whole'),
      folders,
      partition: 'skewed',
      seed: 3,
    });
    const whole = await openDataset(path.join(folder, 'whole'));
    const ids = await whole.userIds();
    const found: string[][] = [];
    for (const [n, dir] of folders.entries()) {
      const part = await openDataset(dir, { verify: 'all' });
      expect(await part.itemIds()).toEqual(await whole.itemIds());
      const own = await part.userIds();
      expect(own).toEqual(Array.from(rowsOf(owners, n), (row) => ids[row]));
      const csr = await part.loadCsr('users');
      for (let user = 0; user < csr.rows; user++) {
        found.push([own[user]!, ...Array.from(csr.idx.subarray(csr.ptr[user], csr.ptr[user + 1]), String)]);
      }
    }
    found.sort((a, b) => (a[0]! < b[0]! ? -1 : 1));
    const expected = ids.map((id, row) => [
      id,
      ...Array.from(data.idx.subarray(data.ptr[row], data.ptr[row + 1]), String),
    ]);
    expect(found).toEqual(expected);
  });

  it.each([
    ['by-collumn', 'expected by-user, skewed, or by-column:NAME'],
    ['by-column:school', 'the items have no column "school"; there are none'],
  ])('refuses --partition %s', async (partition, message) => {
    const options = { dataset: path.join(folder, 'whole'), folders: [path.join(folder, 'x')], seed: 1 };
    await expect(partitionDataset({ ...options, partition })).rejects.toThrow(message);
  });
});
