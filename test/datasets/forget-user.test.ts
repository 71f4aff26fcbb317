// A user is removed from a dataset: the rest is what an import without them would give, whatever happens meanwhile.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../datasets/dataset.js';
import { forgetUser } from '../../datasets/forget-user.js';
import { importInteractions } from '../../datasets/import/import-interactions.js';
import { splitDataset } from '../../datasets/split/split-dataset.js';
import { contentsOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const HEADER = 'user_id,item_id,value,time\n';
const OTHERS = Array.from(
  { length: 40 },
  (_, n) => `u${n % 13},i${(7 * n) % 11},${1 + (n % 4)},${500 + n}\n`,
);
/** The first, a middle and the last row of the users. */
const LEARNERS = ['a-first', 'u5x', 'z-last'];
const rowsOf = (learner: string) => [`${learner},i3,2,499\n`, `${learner},only,9,9999\n`];

async function imported(name: string, rows: readonly string[]): Promise<string> {
  const file = await scratch.file(`${name}.csv`, HEADER + rows.join(''));
  await importInteractions({ files: [file], out: scratch.path(name), valueCol: 'value', timeCol: 'time' });
  return scratch.path(name);
}

async function bytesOf(dir: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(dir, { recursive: true })).filter((name) => name.endsWith('.arrow')).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(dir, name))] as const)),
  );
}

const besides = async (dir: string) =>
  (await readdir(path.dirname(dir))).filter((name) => name.startsWith(`.${path.basename(dir)}.`));

const canMount = process.getuid?.() === 0 && process.platform === 'linux' && tryMount();

function mountSmallDisk(folder: string): void {
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', folder], { stdio: 'ignore' });
}

function tryMount(): boolean {
  try {
    mountSmallDisk(scratch.path('probe'));
    execFileSync('umount', [scratch.path('probe')]);
    return true;
  } catch {
    return false;
  }
}

describe('forgetUser', () => {
  it.each(LEARNERS)('leaves the bytes of an import without %s', async (learner) => {
    const own = await imported(`with-${learner}`, [...OTHERS, ...rowsOf(learner)]);
    const never = await imported(`without-${learner}`, OTHERS);
    expect(await forgetUser(own, learner)).toEqual({ interactions: 2, items: 1 });
    expect(await bytesOf(own)).toEqual(await bytesOf(never));
    const [left, right] = [await openDataset(own, { verify: 'all' }), await openDataset(never)];
    expect(await contentsOf(left)).toEqual(await contentsOf(right));
    for (const field of ['users', 'items', 'interactions', 'timeRange', 'valueRange', 'files'] as const) {
      expect(left.manifest[field], field).toEqual(right.manifest[field]);
    }
    expect(await besides(own)).toEqual([]);
    expect(await forgetUser(own, learner)).toBeUndefined();
  });

  it('keeps the items of a catalogue: where some were taken by nobody, one more does not tell', async () => {
    const dir = await imported('catalogue', [...OTHERS, ...rowsOf('one'), 'two,of-two,1,1\n']);
    const rest = await openDataset(dir);
    expect(await forgetUser(dir, 'two')).toEqual({ interactions: 1, items: 1 });
    // As a split leaves it: all items, though some were taken in the other part alone.
    await splitDataset({ dataset: dir, out: scratch.path('parts'), strategy: 'leave-last-out' });
    const train = scratch.path('parts/train');
    const { items } = (await openDataset(train)).manifest;
    expect(items).toBe(rest.manifest.items - 1);
    expect(await forgetUser(train, 'one')).toMatchObject({ items: 0 });
    expect((await openDataset(train)).manifest.items).toBe(items);
  });

  it('leaves a dataset of nobody when the last user goes', async () => {
    const dir = await imported('alone', rowsOf('alone'));
    expect(await forgetUser(dir, 'alone')).toEqual({ interactions: 2, items: 2 });
    expect((await openDataset(dir, { verify: 'all' })).manifest).toMatchObject({ users: 0, interactions: 0 });
  });

  it('refuses a damaged dataset and touches nothing', async () => {
    const dir = await imported('damaged', [...OTHERS, ...rowsOf('one')]);
    const file = path.join(dir, 'by-item', '0002.arrow');
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);
    const before = await bytesOf(dir);
    await expect(forgetUser(dir, 'one')).rejects.toMatchObject({ code: 'STOA_CHECKSUM', fields: { file } });
    expect(await bytesOf(dir)).toEqual(before);
  });

  it('refuses a folder with files of somebody else, which would be lost', async () => {
    const dir = await imported('shared', [...OTHERS, ...rowsOf('one')]);
    await writeFile(path.join(dir, 'notes.txt'), 'ours');
    await expect(forgetUser(dir, 'one')).rejects.toMatchObject({ code: 'STOA_ERASURE' });
    expect(await readFile(path.join(dir, 'notes.txt'), 'utf8')).toBe('ours');
    expect(await (await openDataset(dir)).userIds()).toContain('one');
  });

  it.each([
    ['while the new one is filled', true, ['filling']],
    ['before the old one is moved away', true, ['next']],
    ['between the two renames', false, ['gone', 'next']],
    ['before the old one is removed', false, ['gone']],
  ] as const)(
    'cut off %s, it is the old or the new dataset, and a repeat ends it',
    async (name, isOld, left) => {
      const dir = await imported(`cut-${left.join('-')}`, [...OTHERS, ...rowsOf('one')]);
      const old = scratch.path(`old-${left.join('-')}`);
      await cp(dir, old, { recursive: true });
      await forgetUser(dir, 'one');
      const fresh = scratch.path(`fresh-${left.join('-')}`);
      await cp(dir, fresh, { recursive: true });
      const beside = (ending: string) => scratch.path(`.${path.basename(dir)}.${ending}`);
      for (const ending of left)
        await cp(ending === 'gone' ? old : fresh, beside(ending), { recursive: true });
      if (name === 'while the new one is filled') await rm(path.join(beside('filling'), 'manifest.json'));
      await rm(dir, { recursive: true });
      if (isOld) await rename(old, dir);
      else if (left.length === 1) await cp(fresh, dir, { recursive: true });

      const ids = await (await openDataset(dir, { verify: 'all' })).userIds();
      expect(ids.includes('one')).toBe(isOld);
      await forgetUser(dir, 'one');
      expect(await bytesOf(dir)).toEqual(await bytesOf(fresh));
      expect(await besides(dir)).toEqual([]);
    },
  );

  it.skipIf(!canMount)(
    'on a full disk says so and leaves the old dataset (skipped where a tmpfs cannot be mounted)',
    async () => {
      const disk = scratch.path('disk');
      mountSmallDisk(disk);
      try {
        const dir = path.join(disk, 'data');
        await cp(await imported('full', [...OTHERS, ...rowsOf('one')]), dir, { recursive: true });
        await writeFile(path.join(disk, 'ballast'), Buffer.alloc(1 << 20)).catch(() => {});
        await expect(forgetUser(dir, 'one')).rejects.toMatchObject({ code: 'STOA_DISK_FULL' });
        expect(await (await openDataset(dir, { verify: 'all' })).userIds()).toContain('one');
        await rm(path.join(disk, 'ballast'));
        expect(await forgetUser(dir, 'one')).toEqual({ interactions: 2, items: 1 });
        expect(await besides(dir)).toEqual([]);
      } finally {
        execFileSync('umount', [disk]);
      }
    },
  );
});
