// Evaluation at the end of a run: held-out items of trained users, and of users who were never trained.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Csr } from '../../models/csr.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const settings = { 'ials.factors': 8, 'train.epochs': 2 };

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  cluster = await TrainingCluster.start(folder);
  cluster.addWorker();
});

afterEach(async () => {
  await cluster.close();
  await remove();
});

/** The entries that are kept, rows and columns staying what they are. */
function keep(csr: Csr, isKept: (user: number, position: number) => boolean): Csr {
  const ptr = new Int32Array(csr.rows + 1);
  const idx: number[] = [];
  for (let user = 0; user < csr.rows; user++) {
    for (let at = csr.ptr[user]!; at < csr.ptr[user + 1]!; at++) {
      if (isKept(user, at - csr.ptr[user]!)) idx.push(csr.idx[at]!);
    }
    ptr[user + 1] = idx.length;
  }
  return { rows: csr.rows, cols: csr.cols, ptr, idx: Int32Array.from(idx) };
}

async function parts(data: Csr, rules: Record<string, (user: number, position: number) => boolean>) {
  for (const [name, rule] of Object.entries(rules))
    await writeInteractions(path.join(folder, name), keep(data, rule));
}

it('users who were never trained are folded in from their histories', async () => {
  const data = randomInteractions({ users: 200, items: 60, perUser: 12 });
  await parts(data, {
    train: (user) => user >= 40,
    'fold-in': (user, position) => user < 40 && position % 2 === 0,
    test: (user, position) => user < 40 && position % 2 === 1,
  });
  const dir = path.join(folder, 'run');
  const common = { dataset: path.join(folder, 'train'), test: path.join(folder, 'test'), settings };
  const runId = await cluster.submit({ ...common, foldIn: path.join(folder, 'fold-in'), runDir: dir });
  const { metrics } = await cluster.coordinator.result(runId);
  // Users 0 and 1 have one interaction, which is history.
  expect(metrics).toMatchObject({ users_evaluated: 38 });
  expect(metrics!['recall@20']).toBeGreaterThan(0);
  const report = await readFile(path.join(dir, 'report.html'), 'utf8');
  expect(report).toContain(runId);
  expect(JSON.parse(await readFile(path.join(dir, 'evaluation.json'), 'utf8'))).toMatchObject({
    usersEvaluated: 38,
  });

  // Without their histories they have no factors, and every item ties.
  const without = await cluster.submit({ ...common, runDir: path.join(folder, 'without') });
  const plain = await cluster.coordinator.result(without);
  expect(plain.metrics!['recall@20']).not.toBe(metrics!['recall@20']);
});

it('a run that is stopped while it is evaluated can be resumed, and trains nothing again', async () => {
  const data = randomInteractions({ users: 3000, items: 400, perUser: 20 });
  await parts(data, {
    train: (_user, position) => position > 1,
    test: (_user, position) => position <= 1,
  });
  const dir = path.join(folder, 'run');
  const request = { dataset: path.join(folder, 'train'), test: path.join(folder, 'test'), runDir: dir };
  const runId = await cluster.submit({ ...request, settings });
  for await (const { phase } of cluster.coordinator.watch(runId)) if (phase === 'evaluating') break;
  await cluster.coordinator.stopRun(runId);
  await expect(cluster.coordinator.result(runId)).rejects.toMatchObject({ code: 'STOA_INTERRUPTED' });
  const lines = await readFile(path.join(dir, 'metrics.jsonl'), 'utf8');
  await cluster.submit({ dataset: request.dataset, runDir: dir, resume: true });
  const result = await cluster.coordinator.result(runId);
  expect(result.metrics).toHaveProperty('baselines.itemknn');
  expect(result.epoch_seconds).toHaveLength(2);
  expect(await readFile(path.join(dir, 'metrics.jsonl'), 'utf8')).toBe(lines);
});
