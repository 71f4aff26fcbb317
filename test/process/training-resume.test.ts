// Stop and resume: the same bytes as a run that nobody stopped.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

// cg starts from the rows of the clock before: what a checkpoint must keep for it is more than for cholesky.
const settings = { 'ials.factors': 11, 'ials.solver': 'cg', 'train.epochs': 40, 'train.loss': true };

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let uninterrupted: { items: string; loss: number[] };
let cluster: TrainingCluster;
let runs = 0;

const runDir = () => path.join(folder, `run-${++runs}`);

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 500, items: 150, perUser: 12 }));
  const reference = await TrainingCluster.start(path.join(folder, 'reference'));
  const { result, model } = await reference.train({ dataset, runDir: runDir(), settings }, { workers: 1 });
  uninterrupted = { items: sha256(bytesOf(model.itemFactors)), loss: result.loss! };
  await reference.close();
});

afterAll(() => remove());

beforeEach(async () => {
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
});

afterEach(() => cluster.close());

/** Trains on two workers and stops in the middle. */
async function stoppedRun(dir: string): Promise<void> {
  const runId = await cluster.submit({ dataset, runDir: dir, settings });
  cluster.addWorker();
  cluster.addWorker();
  await cluster.untilPhases(runId, 9);
  await cluster.coordinator.stopRun(runId);
  await expect(cluster.coordinator.result(runId)).rejects.toMatchObject({ code: 'STOA_INTERRUPTED' });
  const { state, phases_done } = JSON.parse(await readFile(path.join(dir, 'run.json'), 'utf8'));
  expect(state).toBe('stopped');
  expect(phases_done).toBeGreaterThanOrEqual(9);
  expect(phases_done).toBeLessThan(80);
}

async function resumed(dir: string, workers: number) {
  const runId = await cluster.submit({ dataset, runDir: dir, resume: true });
  const fleet = Array.from({ length: workers }, () => cluster.addWorker());
  const result = await cluster.coordinator.result(runId);
  await Promise.all(fleet.map((worker) => worker.leave()));
  return { result, items: sha256(bytesOf((await openModel(dir)).itemFactors)) };
}

it('a run that was stopped goes on to the same bytes on another coordinator with more workers', async () => {
  const dir = runDir();
  await stoppedRun(dir);
  await cluster.close();
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
  const { result, items } = await resumed(dir, 3);
  expect(items).toBe(uninterrupted.items);
  expect(result.loss).toEqual(uninterrupted.loss);
  expect(result.epoch_seconds).toHaveLength(40);
  const lines = (await readFile(path.join(dir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).phase)).toEqual(Array.from({ length: 80 }, (_, n) => n));
  await expect(cluster.submit({ dataset, runDir: dir, resume: true })).rejects.toMatchObject({
    code: 'STOA_RUN_STATE',
    message: expect.stringContaining('nothing to resume'),
  });
});

it('a damaged checkpoint is passed over for the one before, and the bytes are still the same', async () => {
  const dir = runDir();
  await stoppedRun(dir);
  const folder = path.join(dir, 'checkpoints');
  const names = (await readdir(folder)).sort();
  const manifests = names.filter((name) => name.endsWith('.json'));
  expect(manifests).toHaveLength(2);
  const { users, items } = JSON.parse(
    (await readFile(path.join(folder, manifests[1]!), 'utf8')).split('\n')[0]!,
  );
  const before = JSON.parse((await readFile(path.join(folder, manifests[0]!), 'utf8')).split('\n')[0]!);
  const file = path.join(folder, users.file === before.users.file ? items.file : users.file);
  const bytes = await readFile(file);
  bytes[bytes.length - 100]! ^= 1;
  await writeFile(file, bytes);
  expect((await resumed(dir, 1)).items).toBe(uninterrupted.items);
});

it('a setting that was changed after the first phases is refused by its name; one about checkpoints is not', async () => {
  const dir = runDir();
  await stoppedRun(dir);
  const file = path.join(dir, 'config.yaml');
  const settled = await readFile(file, 'utf8');
  await writeFile(file, settled.replace('ials.regularization: 0.01', 'ials.regularization: 0.02'));
  await expect(cluster.submit({ dataset, runDir: dir, resume: true })).rejects.toMatchObject({
    code: 'STOA_RUN_STATE',
    message: expect.stringContaining('ials.regularization'),
  });
  await writeFile(file, settled.replace('train.checkpoint_keep: 2', 'train.checkpoint_keep: 5'));
  expect((await resumed(dir, 1)).items).toBe(uninterrupted.items);
});

it('a run is refused on other data than it was started on, and nothing is touched', async () => {
  const dir = runDir();
  await stoppedRun(dir);
  const other = path.join(folder, `data-${++runs}`);
  await writeInteractions(other, randomInteractions({ users: 400, items: 150, perUser: 12 }));
  const before = await readFile(path.join(dir, 'run.json'), 'utf8');
  await expect(cluster.submit({ dataset: other, runDir: dir, resume: true })).rejects.toMatchObject({
    code: 'STOA_RUN_STATE',
  });
  expect(await readFile(path.join(dir, 'run.json'), 'utf8')).toBe(before);
});

it('a folder that is no run, and a folder that is not empty, are refused by name', async () => {
  await expect(cluster.submit({ dataset, runDir: runDir(), resume: true })).rejects.toMatchObject({
    code: 'STOA_NOT_FOUND_RUN',
  });
  await expect(cluster.submit({ dataset, runDir: dataset })).rejects.toMatchObject({ code: 'STOA_EXISTS' });
});

it('a run that is stopped while it waits for workers starts from the beginning when it is resumed', async () => {
  const dir = runDir();
  const runId = await cluster.submit({ dataset, runDir: dir, settings });
  await cluster.coordinator.stopRun(runId);
  expect((await resumed(dir, 2)).items).toBe(uninterrupted.items);
});

it('a run without workers says that it waits for them', async () => {
  const runId = await cluster.submit({ dataset, runDir: runDir(), settings });
  for await (const { phase, state } of cluster.coordinator.watch(runId)) {
    expect(state).not.toBe('RUN_STATE_FAILED');
    if (phase === 'waiting for workers') break;
  }
});
