// Blocks that two workers compute: a worker that is wrong in one bit is found out, and the model is that of the others.

import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { alteredDevice } from '../support/altered-device.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const settings = { 'ials.factors': 12, 'train.epochs': 3 };

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let cluster: TrainingCluster;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 900, items: 150, perUser: 12 }));
  cluster = await TrainingCluster.start(path.join(folder, 'cluster'));
});

afterAll(async () => {
  await cluster.close();
  await remove();
});

const itemsOf = async (dir: string) => sha256(bytesOf((await openModel(dir)).itemFactors));

it('a worker whose rows are off by one bit changes nothing where all blocks are computed twice', async () => {
  const straight = path.join(folder, 'straight');
  await cluster.train({ dataset, runDir: straight, settings }, { workers: 1 });
  const dir = path.join(folder, 'audited');
  const audited = { ...settings, 'train.audit_share': 1 };
  const runId = await cluster.submit({ dataset, runDir: dir, settings: audited, expectedWorkers: 3 });
  let spoiled = 0;
  cluster.addWorker({
    name: 'off',
    openDevice: async (name, { threads }) => {
      const device = await alteredDevice(threads, {
        afterBlock: ({ rows }) => {
          const bits = new Int32Array(rows.buffer, rows.byteOffset, rows.length);
          bits[0] = bits[0]! ^ 1;
          spoiled++;
        },
      });
      return { name, device, reason: 'for a test', passedOver: [] };
    },
  });
  for (const name of ['one', 'two']) cluster.addWorker({ name });
  await cluster.coordinator.result(runId);
  expect(spoiled).toBeGreaterThan(0);
  expect(await itemsOf(dir)).toBe(await itemsOf(straight));
});
