// Upload, submit, watch, fetch, promote: the typed client against a coordinator over real sockets.

import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RecommendClient } from '../../client/recommend-client.js';
import { TrainingClient } from '../../client/training-client.js';
import { formatAddress } from '../../common/addresses.js';
import { crc32c, sha256 } from '../../common/checksums.js';
import { services } from '../../common/grpc-services.js';
import { bytesOf } from '../../common/row-chunks.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import type { UploadDatasetRequest } from '../../proto/generated/stoa/training/v1/UploadDatasetRequest.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const config = { 'ials.factors': 6, 'train.epochs': 2 };

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let test: string;
let state: string;
let cluster: TrainingCluster;
let client: TrainingClient;
let clusters = 0;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  test = path.join(folder, 'test');
  await writeInteractions(dataset, randomInteractions({ users: 90, items: 40, perUser: 6 }));
  await writeInteractions(test, randomInteractions({ users: 90, items: 40, perUser: 3, seed: 2 }));
});

afterAll(() => remove());

beforeEach(async () => {
  const own = path.join(folder, `cluster-${++clusters}`);
  state = path.join(own, 'state');
  cluster = await TrainingCluster.start(own);
  client = new TrainingClient({ address: cluster.coordinator.address });
});

afterEach(async () => {
  client.close();
  await cluster.close();
});

const startAgain = async () => {
  client.close();
  await cluster.close();
  cluster = await TrainingCluster.start(path.dirname(state));
  client = new TrainingClient({ address: cluster.coordinator.address });
};

async function lastStatus(runId: string) {
  let last: Awaited<ReturnType<TrainingClient['getRun']>> | undefined;
  for await (const status of client.watchRun(runId)) last = status;
  return last!;
}

describe('a run over the wire', () => {
  it('is uploaded, submitted, watched, fetched, promoted, served, and still there after a restart', async () => {
    cluster.addWorker();
    const datasetFingerprint = await client.uploadDataset(dataset);
    const testFingerprint = await client.uploadDataset(test);
    expect(datasetFingerprint).toBe(sha256(await readFile(path.join(dataset, 'manifest.json'))));
    const runId = await client.submitRun({ datasetFingerprint, testFingerprint, config });
    const last = await lastStatus(runId);
    expect(last).toMatchObject({ state: 'RUN_STATE_SUCCEEDED', epochs: 2, epochsDone: 2, error: '' });
    const result = JSON.parse(last.resultJson);
    expect(result).toMatchObject({ run_id: runId, users: 90, items: 40, factors: 6, device: 'portable' });
    expect(result.metrics).toHaveProperty('ndcg@10');
    expect(result.metrics).toHaveProperty('baselines.popular');

    const out = path.join(folder, 'fetched');
    const files = (await client.fetchRunFiles(runId, out)).map(({ file }) => file);
    expect(files).toEqual(
      expect.arrayContaining(['model/model.json', 'metrics.jsonl', 'report.html', 'plan.json']),
    );
    const fetched = await openModel(out);
    const local = await cluster.train(
      { dataset, runDir: path.join(folder, 'local'), settings: config },
      { workers: 1 },
    );
    expect(sha256(bytesOf(fetched.itemFactors))).toBe(sha256(bytesOf(local.model.itemFactors)));

    expect((await client.listModels()).map(({ version, isPromoted }) => [version, isPromoted])).toEqual([
      [runId, false],
    ]);
    await client.promote(runId);
    await expectServed(runId);
    await startAgain();
    await expectServed(runId);
    expect((await client.listRuns()).map((run) => [run.runId, run.state])).toEqual([
      [runId, 'RUN_STATE_SUCCEEDED'],
    ]);
    expect(JSON.parse((await client.getRun(runId)).resultJson)).toEqual(result);
  });

  it('that is cut off by the end of the coordinator goes on when it starts again', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const settings = { ...config, 'train.epochs': 20 };
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    const waiting = await client.submitRun({ datasetFingerprint, config });
    cluster.addWorker();
    await cluster.untilPhases(runId, 3);
    await startAgain();
    expect((await client.getRun(runId)).state).not.toBe('RUN_STATE_STOPPED');
    cluster.addWorker();
    expect((await lastStatus(runId)).state).toBe('RUN_STATE_SUCCEEDED');
    expect((await lastStatus(waiting)).state).toBe('RUN_STATE_SUCCEEDED');
    const fetched = path.join(folder, 'fetched-late');
    await client.fetchRunFiles(runId, fetched);
    const straight = { dataset, runDir: path.join(folder, 'straight'), settings };
    const { model } = await cluster.train(straight, { workers: 2 });
    expect(sha256(bytesOf((await openModel(fetched)).itemFactors))).toBe(sha256(bytesOf(model.itemFactors)));
  });

  it('lends nothing while it is paused, and then goes on to the same model', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const settings = { ...config, 'train.epochs': 60 };
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    const waiting = await client.submitRun({ datasetFingerprint, config });
    cluster.addWorker();
    await cluster.untilPhases(runId, 3);
    expect(await client.pauseRun(runId)).toMatchObject({ state: 'RUN_STATE_RUNNING', phase: 'paused' });
    expect(await client.pauseRun(runId)).toMatchObject({ phase: 'paused' });
    // What was lent is delivered within this time; then nothing moves.
    await sleep(500);
    const before = await client.getRun(runId);
    await sleep(500);
    const after = await client.getRun(runId);
    expect([after.epochsDone, after.blocksDone]).toEqual([before.epochsDone, before.blocksDone]);
    expect(after.epochsDone).toBeLessThan(60);
    await expect(client.pauseRun(waiting)).rejects.toMatchObject({ code: 'STOA_RUN_STATE' });
    expect((await client.resumeRun(runId)).phase).not.toBe('paused');
    expect((await lastStatus(runId)).state).toBe('RUN_STATE_SUCCEEDED');
    await expect(client.resumeRun(runId)).rejects.toMatchObject({ code: 'STOA_RUN_STATE' });
    const fetched = path.join(folder, 'fetched-paused');
    await client.fetchRunFiles(runId, fetched);
    const straight = { dataset, runDir: path.join(folder, 'never-paused'), settings };
    const { model } = await cluster.train(straight, { workers: 1 });
    expect(sha256(bytesOf((await openModel(fetched)).itemFactors))).toBe(sha256(bytesOf(model.itemFactors)));
  });

  it('is still paused when the coordinator starts again, and goes on when it is told to', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const settings = { ...config, 'train.epochs': 60 };
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    cluster.addWorker();
    await cluster.untilPhases(runId, 3);
    await client.pauseRun(runId);
    await startAgain();
    cluster.addWorker();
    for await (const { phase } of client.watchRun(runId)) if (phase === 'paused') break;
    const { epochsDone } = await client.getRun(runId);
    await sleep(500);
    expect(await client.getRun(runId)).toMatchObject({ phase: 'paused', epochsDone });
    expect((await client.resumeRun(runId)).phase).not.toBe('paused');
    expect((await lastStatus(runId)).state).toBe('RUN_STATE_SUCCEEDED');
    await startAgain();
    expect((await client.getRun(runId)).state).toBe('RUN_STATE_SUCCEEDED');
  });

  it('does not hold up the end of the coordinator, nor do workers and watchers that stay', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const runId = await client.submitRun({ datasetFingerprint, config: { ...config, 'train.epochs': 2000 } });
    const worker = cluster.addWorker();
    await cluster.untilPhases(runId, 2);
    const watcher = client.watchRun(runId, { reconnectMs: 0 });
    await watcher.next();
    const startedMs = performance.now();
    await cluster.coordinator.shutdown();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await worker.leave();
  });

  it('waits in line while another trains, and can be stopped there', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const first = await client.submitRun({ datasetFingerprint, config });
    const second = await client.submitRun({ datasetFingerprint, config });
    expect(await client.getRun(second)).toMatchObject({ state: 'RUN_STATE_QUEUED' });
    await expect(client.fetchRunFiles(second, path.join(folder, 'early'))).rejects.toMatchObject({
      code: 'STOA_RUN_STATE',
    });
    expect(await client.stopRun(second)).toMatchObject({ state: 'RUN_STATE_STOPPED' });
    expect(await client.stopRun(first)).toMatchObject({ state: 'RUN_STATE_STOPPED' });
    expect(await client.stopRun(first)).toMatchObject({ state: 'RUN_STATE_STOPPED' });
  });
});

async function expectServed(version: string): Promise<void> {
  const recommend = new RecommendClient({ address: cluster.coordinator.address });
  const { modelVersion, items } = await recommend.recommend({ userId: 'u0000007', limit: 3 });
  expect(modelVersion).toBe(version);
  expect(items).toHaveLength(3);
  recommend.close();
}

describe('submitting', () => {
  it('twice with one request id makes one run', async () => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    const submit = () => client.submitRun({ datasetFingerprint, config, requestId: 'once' });
    const [a, b] = await Promise.all([submit(), submit()]);
    expect(b).toBe(a);
    expect(await submit()).toBe(a);
    expect(await client.listRuns()).toHaveLength(1);
  });

  it.each([
    [{ 'ials.factor': 3 }, 'STOA_USAGE_UNKNOWN_KEY', /ials\.factors/],
    [{ 'ials.factors': 0 }, 'STOA_USAGE', /ials\.factors/],
    [{ 'ials.weights': 'value' }, 'STOA_USAGE', /ials\.weights/],
  ])('with %j is refused and leaves nothing', async (bad, code, message) => {
    const datasetFingerprint = await client.uploadDataset(dataset);
    await expect(client.submitRun({ datasetFingerprint, config: bad })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await readdir(path.join(state, 'runs'))).toEqual([]);
  });

  it('with a dataset that is not there, or something that is no fingerprint, is refused', async () => {
    await expect(client.submitRun({ datasetFingerprint: 'a'.repeat(64), config })).rejects.toMatchObject({
      code: 'STOA_NOT_FOUND_DATASET',
    });
    for (const datasetFingerprint of ['../../etc', '', 'A'.repeat(64), `${'a'.repeat(64)}/..`]) {
      await expect(client.submitRun({ datasetFingerprint, config })).rejects.toMatchObject({
        code: 'STOA_USAGE',
      });
    }
  });

  it('with test data of other items is refused', async () => {
    const other = path.join(folder, `other-${clusters}`);
    await writeInteractions(other, randomInteractions({ users: 90, items: 41, perUser: 3 }));
    const datasetFingerprint = await client.uploadDataset(dataset);
    const testFingerprint = await client.uploadDataset(other);
    await expect(client.submitRun({ datasetFingerprint, testFingerprint, config })).rejects.toMatchObject({
      code: 'STOA_DATA_MISMATCH',
    });
  });
});

describe('an upload', () => {
  const datasets = async () => readdir(path.join(state, 'datasets')).catch(() => []);

  it('with a flipped byte in a file is refused and leaves nothing', async () => {
    const damaged = path.join(folder, `damaged-${clusters}`);
    await cp(dataset, damaged, { recursive: true });
    const file = path.join(damaged, 'by-user/0002.arrow');
    const bytes = await readFile(file);
    bytes[bytes.length - 9]! ^= 4;
    await writeFile(file, bytes);
    await expect(client.uploadDataset(damaged)).rejects.toMatchObject({
      code: 'STOA_CHECKSUM',
      message: expect.stringContaining('by-user/0002.arrow'),
    });
    expect(await datasets()).toEqual([]);
  });

  it('that stops in the middle is refused and leaves nothing', async () => {
    const manifest = await readFile(path.join(dataset, 'manifest.json'));
    await expect(upload([{ file: 'manifest.json' }, chunkOf(manifest)])).rejects.toMatchObject({
      code: status.DATA_LOSS,
    });
    expect(await datasets()).toEqual([]);
  });

  it('with a chunk that was damaged on the way is refused', async () => {
    const manifest = await readFile(path.join(dataset, 'manifest.json'));
    const { chunk } = chunkOf(manifest);
    const damaged = { chunk: { ...chunk, crc32c: chunk.crc32c ^ 1 } };
    await expect(upload([{ file: 'manifest.json' }, damaged])).rejects.toMatchObject({
      code: status.DATA_LOSS,
    });
  });

  it.each([
    '../escaped',
    '/tmp/escaped',
    'by-user/../../escaped',
    'manifest.json',
    'not-in-the-manifest.arrow',
  ])('of a file called %s is refused, and nothing is written', async (name) => {
    const manifest = await readFile(path.join(dataset, 'manifest.json'));
    const parts = [{ file: 'manifest.json' }, chunkOf(manifest), { file: name }, chunkOf(Buffer.from('x'))];
    await expect(upload(parts)).rejects.toMatchObject({ code: status.DATA_LOSS });
    expect(await datasets()).toEqual([]);
  });

  it('may be repeated', async () => {
    expect(await client.uploadDataset(dataset)).toBe(await client.uploadDataset(dataset));
    expect(await datasets()).toHaveLength(1);
    const files = await readdir(dataset, { recursive: true, withFileTypes: true });
    const parts: UploadDatasetRequest[] = [];
    const names = files
      .filter((file) => file.isFile())
      .map((file) => path.relative(dataset, path.join(file.parentPath, file.name)));
    for (const name of ['manifest.json', ...names.filter((other) => other !== 'manifest.json')]) {
      parts.push({ file: name }, chunkOf(await readFile(path.join(dataset, name))));
    }
    expect(await upload(parts)).toBe(sha256(await readFile(path.join(dataset, 'manifest.json'))));
  });
});

function chunkOf(data: Buffer) {
  return { chunk: { data, crc32c: crc32c(data) } };
}

/** Sends messages as they are; rejects with the gRPC error. */
async function upload(parts: readonly UploadDatasetRequest[]): Promise<string> {
  const target = formatAddress(cluster.coordinator.address);
  const raw = new services.training.v1.TrainingService(target, credentials.createInsecure());
  try {
    const { fingerprint } = await answered<{ fingerprint: string }>((done) => {
      const call = raw.UploadDataset(done);
      for (const part of parts) call.write(part);
      call.end();
    });
    return fingerprint;
  } finally {
    raw.close();
  }
}
