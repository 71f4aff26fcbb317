// The four ways to split: what each promises, that nothing is lost, and what is refused.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Dataset, openDataset } from '../../datasets/dataset.js';
import { resolveSplit } from '../../datasets/split/resolve-split.js';
import { type SplitOptions, splitDataset } from '../../datasets/split/split-dataset.js';
import { contentsOf, failureOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
const USERS = 400;
const rows: string[] = [];
for (let user = 0; user < USERS; user++) {
  const count = 1 + ((user * 7) % 23);
  for (let n = 0; n < count; n++)
    rows.push(`u${user},i${(user * 5 + n * n) % 61},${1 + (n % 4)},${(user * 31 + n * 17) % 500}`);
}
const file = await scratch.file('in.csv', `user_id,item_id,value,time\n${rows.join('\n')}\n`);
const whole = await scratch.import(file, { merge: 'max' });
const contents = await contentsOf(whole);
const timeless = await scratch.import(await scratch.file('timeless.csv', 'user_id,item_id\na,x\na,y\nb,x\n'));

async function split(options: Partial<SplitOptions> & Pick<SplitOptions, 'strategy'>) {
  const out = scratch.freshOut();
  const report = await splitDataset({ dataset: whole.dir, out, ...options });
  const resolved = await resolveSplit(out);
  const open = async (dir: string | undefined) =>
    dir === undefined ? undefined : openDataset(dir, { verify: 'all' });
  return {
    out,
    report,
    train: (await open(resolved.train))!,
    test: (await open(resolved.test))!,
    foldIn: await open(resolved.foldIn),
  };
}

/** Every interaction of the whole is in exactly one part, with its value and time, at the same rows. */
async function expectDivided(parts: (Dataset | undefined)[]): Promise<void> {
  const seen: Record<string, Record<string, unknown>> = {};
  let count = 0;
  for (const part of parts) {
    if (part === undefined) continue;
    expect(await part.userIds()).toEqual(await whole.userIds());
    expect(await part.itemIds()).toEqual(await whole.itemIds());
    for (const [user, items] of Object.entries(await contentsOf(part))) {
      seen[user] = { ...seen[user], ...items };
      count += Object.keys(items).length;
    }
  }
  expect(seen).toEqual(contents);
  expect(count).toBe(whole.manifest.interactions);
}

const countsOf = async (dataset: Dataset) => [...(await dataset.rowCounts('users'))];

describe('random', () => {
  it('holds out the share of each user, on average exactly, and leaves everyone one', async () => {
    const { train, test, report } = await split({ strategy: 'random', testFraction: 0.3, seed: 5 });
    await expectDivided([train, test]);
    const all = await countsOf(whole);
    const held = await countsOf(test);
    all.forEach((count, user) => {
      expect(held[user]).toBeGreaterThanOrEqual(Math.min(Math.floor(count * 0.3), count - 1));
      expect(held[user]).toBeLessThanOrEqual(Math.min(Math.floor(count * 0.3) + 1, count - 1));
    });
    const share = report.test.interactions / whole.manifest.interactions;
    expect(Math.abs(share - 0.3)).toBeLessThan(0.02);
  });

  it('holds out early and late entries of a row alike', async () => {
    const positions = new Array<number>(4).fill(0);
    for (let seed = 0; seed < 12; seed++) {
      const { test } = await split({ strategy: 'random', testFraction: 0.25, seed });
      const [csr, held] = [await whole.loadCsr('users'), await test.loadCsr('users')];
      for (let u = 0; u < USERS; u++) {
        const items = csr.idx.subarray(csr.ptr[u], csr.ptr[u + 1]);
        if (items.length < 8) continue;
        for (const item of held.idx.subarray(held.ptr[u], held.ptr[u + 1])) {
          positions[Math.floor((4 * items.indexOf(item)) / items.length)]! += 1 / items.length;
        }
      }
    }
    // Quarters of rows whose length is no multiple of 4 differ a little in size.
    const mean = positions.reduce((sum, n) => sum + n, 0) / 4;
    for (const quarter of positions) expect(Math.abs(quarter / mean - 1)).toBeLessThan(0.15);
  });

  it('is the same again with the same seed, and another with another', async () => {
    const [a, b, c] = [
      await split({ strategy: 'random', seed: 3 }),
      await split({ strategy: 'random', seed: 3 }),
      await split({ strategy: 'random', seed: 4 }),
    ];
    expect(b.report.train).toEqual(a.report.train);
    expect(readFileSync(path.join(b.out, 'split.json'))).toEqual(
      readFileSync(path.join(a.out, 'split.json')),
    );
    expect(c.report.test.fingerprint).not.toBe(a.report.test.fingerprint);
  });
});

describe('leave-last-out', () => {
  it('holds out the latest of each user who has two; of equal times, the one with the greatest item row', async () => {
    const { train, test } = await split({ strategy: 'leave-last-out' });
    await expectDivided([train, test]);
    const held = await contentsOf(test);
    const itemIds = await whole.itemIds();
    for (const [user, items] of Object.entries(contents)) {
      const entries = Object.entries(items);
      const latest = Math.max(...entries.map(([, [, time]]) => time!));
      const candidates = entries
        .filter(([, [, time]]) => time === latest)
        .map(([item]) => itemIds.indexOf(item));
      const expected = entries.length < 2 ? [] : [itemIds[Math.max(...candidates)]];
      expect(Object.keys(held[user]!)).toEqual(expected);
    }
  });

  it('keeps --min-train for training', async () => {
    const { train, test } = await split({ strategy: 'leave-last-out', minTrain: 6 });
    const [kept, held] = [await countsOf(train), await countsOf(test)];
    held.forEach((count, user) => {
      if (count > 0) expect(kept[user]).toBeGreaterThanOrEqual(6);
    });
    expect(Math.max(...held)).toBe(1);
  });

  it('of data without times is refused, with what to do', async () => {
    const out = scratch.freshOut();
    const error = await failureOf(splitDataset({ dataset: timeless.dir, out, strategy: 'leave-last-out' }));
    expect(error).toMatchObject({ name: 'UsageError', exitCode: 2 });
    expect(error.message).toBe(
      `the dataset ${timeless.dir} has no times, so a leave-last-out split cannot tell what came last; import it with --time-col COLUMN, or use --strategy random`,
    );
    expect(readdirSync(scratch.folder)).not.toContain(path.basename(out));
  });
});

describe('temporal', () => {
  it('at a moment: what came before trains, the rest tests', async () => {
    const { train, test, report } = await split({ strategy: 'temporal', at: 321 });
    await expectDivided([train, test]);
    expect(Math.max(...(await train.loadTimes('users'))!)).toBeLessThan(321);
    expect(Math.min(...(await test.loadTimes('users'))!)).toBeGreaterThanOrEqual(321);
    expect(report).toMatchObject({ at: 321, dropped: 0 });
  });

  it('at a share: the moment is found', async () => {
    const { report } = await split({ strategy: 'temporal', testFraction: 0.25 });
    const times = [...(await whole.loadTimes('users'))!];
    expect(report.test.interactions).toBe(times.filter((time) => time >= report.at!).length);
    expect(Math.abs(report.test.interactions / times.length - 0.25)).toBeLessThan(0.01);
  });

  it('with --min-train: later interactions of newcomers are in no part', async () => {
    const { train, test, report } = await split({ strategy: 'temporal', at: 321, minTrain: 3 });
    const [kept, held] = [await countsOf(train), await countsOf(test)];
    held.forEach((count, user) => {
      if (count > 0) expect(kept[user]).toBeGreaterThanOrEqual(3);
    });
    expect(report.dropped).toBeGreaterThan(0);
    expect(report.train.interactions + report.test.interactions + report.dropped).toBe(
      whole.manifest.interactions,
    );
  });
});

describe('strong generalisation', () => {
  it('holds out whole users, whose history is partly folded in', async () => {
    const { train, test, foldIn, report } = await split({
      strategy: 'strong',
      heldOutUsers: 60,
      testFraction: 0.4,
    });
    await expectDivided([train, test, foldIn]);
    const [trained, held, folded] = [await countsOf(train), await countsOf(test), await countsOf(foldIn!)];
    expect(held.filter((count) => count > 0)).toHaveLength(60);
    held.forEach((count, user) => {
      expect(count > 0).toBe(folded[user]! > 0);
      expect(count > 0).toBe(trained[user] === 0);
    });
    expect(report.foldIn!.users).toBe(60);
  });

  it('holds out as many users as qualify when more are asked for', async () => {
    const { test } = await split({ strategy: 'strong', heldOutUsers: USERS - 1, minTrain: 15 });
    const qualified = (await countsOf(whole)).filter((count) => count > 15).length;
    expect((await countsOf(test)).filter((count) => count > 0)).toHaveLength(qualified);
  });
});

describe('a split folder', () => {
  it('says in each part what it is part of, and is resolved; a plain dataset trains as it is', async () => {
    const { out, train } = await split({ strategy: 'random' });
    expect(train.manifest.split).toMatchObject({
      strategy: 'random',
      role: 'train',
      of: whole.fingerprint,
      seed: 1,
    });
    expect(train.manifest.source).toEqual(whole.manifest.source);
    expect(await resolveSplit(out)).toEqual({ train: path.join(out, 'train'), test: path.join(out, 'test') });
    expect(await resolveSplit(whole.dir)).toEqual({ train: whole.dir });
  });

  it('opened as a dataset names the datasets in it', async () => {
    const { out } = await split({ strategy: 'random' });
    const error = await failureOf(openDataset(out));
    expect(error.code).toBe('STOA_NOT_FOUND_DATASET');
    expect(error.message).toContain(
      `it is a split, with the datasets ${path.join(out, 'train')} and ${path.join(out, 'test')}`,
    );
  });

  it.each([0, 1, -0.5, Number.NaN])('is refused for a test share of %s', async (testFraction) => {
    const error = await failureOf(split({ strategy: 'random', testFraction }));
    expect(error).toMatchObject({ name: 'UsageError', exitCode: 2 });
    expect(error.message).toContain(`--test-fraction ${testFraction} is not a share`);
  });

  it('with an empty part is refused, and nothing is left', async () => {
    const before = readdirSync(scratch.folder);
    const error = await failureOf(split({ strategy: 'temporal', at: 1e9 }));
    expect(error).toMatchObject({ name: 'DataError', code: 'STOA_DATA_EMPTY' });
    expect(error.message).toContain('the test part of');
    expect(readdirSync(scratch.folder)).toEqual(before);
    const noMoment = await failureOf(split({ strategy: 'temporal', at: Number.NaN }));
    expect(noMoment.message).toContain('--at is not a moment');
  });
});
