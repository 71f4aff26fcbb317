// Runs whose rows are in parameter processes: the same bytes as with the tables in the coordinator, over real sockets.

import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const SETTINGS = { 'ials.factors': 24, 'train.epochs': 3, 'train.loss': true };

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster | undefined;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 3000, items: 900, perUser: 20, hasValues: true }),
  );
});

afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
  await remove();
});

describe('a run of phases', () => {
  it('has the same bytes with its rows in two parameter processes as in the coordinator', async () => {
    const dataset = path.join(folder, 'data');
    cluster = await TrainingCluster.start(path.join(folder, 'here'));
    const here = await cluster.train(
      { dataset, runDir: path.join(folder, 'a'), settings: SETTINGS },
      { workers: 2 },
    );
    await cluster.close();
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 2 });
    for (const name of ['p1', 'p2']) cluster.addParameters(name);
    const there = await cluster.train(
      { dataset, runDir: path.join(folder, 'b'), settings: SETTINGS },
      { workers: 2 },
    );
    const [a, b] = [await openModel(path.join(folder, 'a')), await openModel(path.join(folder, 'b'))];
    expect(Buffer.compare(bytes(b.userFactors), bytes(a.userFactors))).toBe(0);
    expect(Buffer.compare(bytes(b.itemFactors), bytes(a.itemFactors))).toBe(0);
    expect(there.result.loss).toEqual(here.result.loss);
    expect(Object.keys(there.result.peak_rss_by_process)).toEqual(expect.arrayContaining(['p1', 'p2']));
  });
});

function bytes(rows: Float32Array): Buffer {
  return Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
}
