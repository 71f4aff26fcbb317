// Workers as real processes that are killed and frozen while they train. STOA_TEST_LOG=debug shows the coordinator.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { formatAddress } from '../../common/addresses.js';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { runWorker } from '../../worker/worker.js';
import { untilGone } from '../support/child-processes.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { type StoaProcess, startStoa } from '../support/stoa-process.js';
import { quietLog, TrainingCluster } from '../support/training-cluster.js';

// Phases of about half a second on two workers: long enough to be hit in the middle of one.
const settings = { 'ials.factors': 48, 'train.epochs': 4 };

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let expected: string;
let cluster: TrainingCluster;
let processes: StoaProcess[] = [];
let runs = 0;

const runDir = () => path.join(folder, `run-${++runs}`);
const itemsOf = async (dir: string) => sha256(bytesOf((await openModel(dir)).itemFactors));

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 6000, items: 700, perUser: 20 }));
  const reference = await TrainingCluster.start(path.join(folder, 'reference'));
  const dir = runDir();
  await reference.train({ dataset, runDir: dir, settings }, { workers: 1, threads: 2 });
  expected = await itemsOf(dir);
  await reference.close();
});

afterAll(() => remove());

beforeEach(async () => {
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
});

afterEach(async () => {
  for (const { child } of processes) child.kill('SIGKILL');
  await Promise.all(processes.map(({ ended }) => ended));
  processes = [];
  await cluster.close();
});

function startWorker(name: string): StoaProcess {
  const worker = startStoa([
    'worker',
    '--coordinator',
    formatAddress(cluster.coordinator.address),
    '--name',
    name,
    '--threads',
    '1',
    // As the reference, whose bits are expected; and slow enough to be hit in the middle of a phase.
    '--device',
    'portable',
    '--cache',
    path.join(folder, 'cache'),
  ]);
  processes.push(worker);
  return worker;
}

it('with a worker killed and another joining in mid-run the bytes are those of one worker', async () => {
  const dir = runDir();
  const runId = await cluster.submit({ dataset, runDir: dir, settings, expectedWorkers: 2 });
  const victim = startWorker('victim');
  startWorker('survivor');
  await cluster.untilBlocks(runId, 'victim', 2);
  victim.child.kill('SIGKILL');
  startWorker('late');
  const result = await cluster.coordinator.result(runId);
  expect(Object.keys(result.peak_rss_by_process).sort()).toEqual([
    'coordinator',
    'late',
    'survivor',
    'victim',
  ]);
  expect(await itemsOf(dir)).toBe(expected);
});

it("a frozen worker's blocks are leased again within 5 s, and when it thaws it joins again", async () => {
  // Without backup leases nothing but the end of the session frees the blocks.
  await cluster.close();
  const timing = { backupMsMin: 600_000 };
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`), { timing });
  const dir = runDir();
  const runId = await cluster.submit({ dataset, runDir: dir, settings, expectedWorkers: 2 });
  const frozen = startWorker('frozen');
  startWorker('other');
  await cluster.untilBlocks(runId, 'frozen', 2);
  frozen.child.kill('SIGSTOP');
  const stoppedMs = performance.now();
  await cluster.untilGone(runId, 'frozen');
  expect(performance.now() - stoppedMs).toBeLessThan(5000);
  expect(await cluster.phasesDone(runId)).toBeLessThan(8);
  frozen.child.kill('SIGCONT');
  await frozen.saying(/the session has ended/);
  await frozen.saying(/joined[\s\S]*joined/);
  await cluster.coordinator.result(runId);
  expect(await itemsOf(dir)).toBe(expected);
});

it('with all workers killed the run waits, says so, and goes on with the next one', async () => {
  const dir = runDir();
  const runId = await cluster.submit({ dataset, runDir: dir, settings });
  const victim = startWorker('victim');
  await cluster.untilBlocks(runId, 'victim', 1);
  victim.child.kill('SIGKILL');
  for await (const { phase } of cluster.coordinator.watch(runId)) if (phase === 'waiting for workers') break;
  startWorker('next');
  await cluster.coordinator.result(runId);
  expect(await itemsOf(dir)).toBe(expected);
});

it('SIGTERM makes a worker give its leases back and leave, and the run goes on', async () => {
  const runId = await cluster.submit({ dataset, runDir: runDir(), settings, expectedWorkers: 2 });
  const leaving = startWorker('leaving');
  startWorker('staying');
  await cluster.untilBlocks(runId, 'leaving', 1);
  leaving.child.kill('SIGTERM');
  const { exitCode } = await leaving.ended;
  expect(exitCode).toBe(0);
  await untilGone([leaving.child.pid!], 1000);
  await cluster.coordinator.result(runId);
});

it('a coordinator that cannot be reached is named', async () => {
  const port = cluster.coordinator.address.port;
  await cluster.close();
  await expect(
    runWorker({
      coordinators: [{ host: '127.0.0.1', port }],
      name: 'lonely',
      threads: 1,
      device: 'portable',
      tls: {},
      cacheDir: path.join(folder, 'cache'),
      log: quietLog,
      signal: new AbortController().signal,
      reconnectForMs: 400,
    }),
  ).rejects.toMatchObject({
    code: 'STOA_UNREACHABLE',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  });
});

it('a worker finds its coordinator again after it was away', async () => {
  const { address } = cluster.coordinator;
  cluster.addWorker({ name: 'faithful' });
  await sleep(300);
  await cluster.coordinator.shutdown();
  await sleep(500);
  const again = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`), { listen: address });
  const dir = runDir();
  const runId = await again.submit({ dataset, runDir: dir, settings: { ...settings, 'train.epochs': 1 } });
  const result = await again.coordinator.result(runId);
  expect(Object.keys(result.peak_rss_by_process)).toContain('faithful');
  await again.close();
});
