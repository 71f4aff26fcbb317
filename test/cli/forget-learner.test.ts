// What `stoa forget` does in the folders of a participant, cut off and repeated, and what it refuses before it does any.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { forgetLearner } from '../../cli/forget-learner.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { openModel, writeModel } from '../../coordinator/registry/model-folder.js';
import { openDataset } from '../../datasets/dataset.js';
import { forgetUser } from '../../datasets/forget-user.js';
import { PendingErasures } from '../../federation/erasure/pending-erasures.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';

const LEARNER = 'u0000004';
const FACTORS = 3;
const { folder: root, remove } = await temporaryFolder();
afterAll(remove);

let n = 0;
let dir: string;
const at = (...names: string[]): string => path.join(dir, ...names);
const now = () => new Date('2026-03-01T10:00:00Z');
const forget = (userId = LEARNER) =>
  forgetLearner({ userId, identity: at('identity'), datasets: [at('data')], models: [], now });

beforeEach(async () => {
  dir = path.join(root, String(++n));
  const csr = randomInteractions({ users: 9, items: 8, perUser: 4, hasValues: true });
  await writeInteractions(at('data'), csr);
  const dataset = await openDataset(at('data'));
  for (const run of ['run-1', 'run-2']) {
    await writeModel(at('identity', 'models', run), {
      version: run,
      runId: run,
      createTime: now(),
      config: parseRunConfig({ model: 'ials', 'ials.factors': FACTORS }),
      datasetFingerprint: dataset.fingerprint,
      synthetic: true,
      userIds: await dataset.userIds(),
      items: await dataset.items(),
      userFactors: Float32Array.from({ length: 9 * FACTORS }, (_, k) => k),
      itemFactors: Float32Array.from({ length: 8 * FACTORS }, (_, k) => -k),
      history: csr,
      metrics: { 'recall@20': 0.5 },
    });
  }
});

describe('forgetLearner', () => {
  it('takes the row out of every model, and leaves the others as they were', async () => {
    const before = await openModel(at('identity', 'models', 'run-2'));
    expect((await forget()).models).toEqual(['run-1', 'run-2'].map((run) => at('identity', 'models', run)));
    const after = await openModel(at('identity', 'models', 'run-2'));
    expect(after.userIds).toEqual(before.userIds.filter((id) => id !== LEARNER));
    expect([...after.userFactors]).toEqual([...before.userFactors].filter((_, k) => k < 12 || k >= 15));
    expect(after.itemFactors).toEqual(before.itemFactors);
    expect(after.itemsTable).toEqual(before.itemsTable);
    expect(after.manifest).toMatchObject({ ...before.manifest, counts: after.manifest.counts, files: {} });
    const taken = (model: typeof before, row: number) => {
      const { ptr, idx, values } = model.history;
      return [idx, values!].map((all) => [...all.subarray(ptr[row], ptr[row + 1])]);
    };
    for (let row = 0; row < after.users; row++) {
      expect(taken(after, row)).toEqual(taken(before, row < 4 ? row : row + 1));
    }
    for (const item of taken(before, 4)[0]!)
      expect(after.itemCounts[item]).toBe(before.itemCounts[item]! - 1);
  });

  it('cut off after the dataset, ends the models when it is repeated, with the same salt', async () => {
    const begun = await (await PendingErasures.open(at('identity'))).begin(LEARNER, now());
    await forgetUser(at('data'), LEARNER);
    const { erasure, models, interactions } = await forget();
    expect(erasure).toEqual({ ...begun, erase_time: now().toISOString() });
    expect(models).toHaveLength(2);
    expect(interactions).toBe(0);
    expect((await PendingErasures.open(at('identity'))).all).toEqual([erasure]);
  });

  it('removes what cut off writes left, and rejected rows that name the learner', async () => {
    const left = at('identity', 'models', '.run-0.0123456789ab.tmp');
    await mkdir(left);
    await writeFile(path.join(left, 'users.parquet'), LEARNER);
    await writeFile(at('data.rejects.csv'), `row,${LEARNER}\n`);
    await writeFile(at('data.rejects-2.csv'), 'row,u0000005\n');
    expect((await forget()).rejects).toEqual([at('data.rejects.csv')]);
    expect((await readdir(at('identity', 'models'))).sort()).toEqual(['run-1', 'run-2']);
    expect((await readdir(dir)).sort()).toEqual(['data', 'data.rejects-2.csv', 'identity']);
  });

  it('keeps the id nowhere: what is pending names a salted hash', async () => {
    await forget();
    const text = await readFile(at('identity', 'erasures', 'pending.json'), 'utf8');
    expect(text).not.toContain(LEARNER);
    expect(JSON.parse(text).pending).toHaveLength(1);
  });

  it.each([
    ['nobody of that id', async () => {}, 'u0000010', 'STOA_NOT_FOUND_USER'],
    [
      'a damaged model',
      async () => {
        const file = at('identity', 'models', 'run-2', 'factors.safetensors');
        const bytes = await readFile(file);
        bytes[bytes.length - 1]! ^= 1;
        await writeFile(file, bytes);
      },
      LEARNER,
      'STOA_CHECKSUM',
    ],
    [
      'a damaged dataset',
      async () => {
        const file = at('data', 'by-item', '0001.arrow');
        const bytes = await readFile(file);
        bytes[bytes.length >> 1]! ^= 1;
        await writeFile(file, bytes);
      },
      LEARNER,
      'STOA_CHECKSUM',
    ],
    [
      'damaged notes of what is pending',
      async () => {
        await mkdir(at('identity', 'erasures'));
        await writeFile(at('identity', 'erasures', 'pending.json'), '{"format":');
      },
      LEARNER,
      'STOA_TORN',
    ],
  ])('refuses %s, and changes nothing', async (_, damage, userId, code) => {
    await damage();
    const files = async () => {
      const names = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((e) => e.isFile());
      const paths = names.map((entry) => path.join(entry.parentPath, entry.name)).sort();
      return Promise.all(paths.map(async (file) => [file, (await readFile(file)).toString('hex')]));
    };
    const before = await files();
    await expect(forget(userId)).rejects.toMatchObject({ code });
    expect(await files()).toEqual(before);
  });
});
