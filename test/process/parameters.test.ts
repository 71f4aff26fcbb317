// Runs whose rows are in parameter processes: the same bytes as with the tables in the coordinator, over real sockets.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../common/addresses.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import type { GetRunSpecResponse__Output } from '../../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { delivery, RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { type StoaProcess, startStoa } from '../support/stoa-process.js';
import { TrainingCluster } from '../support/training-cluster.js';

const SETTINGS = { 'ials.factors': 20, 'train.epochs': 6, 'train.loss': true };

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster | undefined;
const processes: StoaProcess[] = [];

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 600, items: 240, perUser: 12, hasValues: true }),
  );
});

afterEach(async () => {
  for (const { child } of processes) child.kill('SIGCONT');
  await cluster?.close();
  cluster = undefined;
  for (const { child } of processes.splice(0)) child.kill('SIGKILL');
  await remove();
});

/** What an undisturbed run with its tables in the coordinator comes to. */
let expected: { users: Buffer; items: Buffer; loss: number[] | undefined } | undefined;

async function undisturbed() {
  if (expected !== undefined) return expected;
  const here = await TrainingCluster.start(path.join(folder, 'here'));
  const run = { dataset: path.join(folder, 'data'), runDir: path.join(folder, 'a'), settings: SETTINGS };
  const { result, model } = await here.train(run, { workers: 2 });
  await here.close();
  expected = { ...bytesOf(model), loss: result.loss };
  return expected;
}

/** `stoa parameters`, as a process. */
function parameters(name: string): StoaProcess {
  const address = formatAddress(cluster!.coordinator.address);
  const started = startStoa(['parameters', '--coordinator', address, '--name', name]);
  processes.push(started);
  return started;
}

function submit(expectedWorkers = 2): Promise<string> {
  const dataset = path.join(folder, 'data');
  return cluster!.submit({ dataset, runDir: path.join(folder, 'b'), settings: SETTINGS, expectedWorkers });
}

async function expectSameBytes(runId: string): Promise<void> {
  const { loss } = await cluster!.coordinator.result(runId);
  const wanted = await undisturbed();
  const { users, items } = bytesOf(await openModel(path.join(folder, 'b')));
  expect(Buffer.compare(users, wanted.users)).toBe(0);
  expect(Buffer.compare(items, wanted.items)).toBe(0);
  expect(loss).toEqual(wanted.loss);
}

describe('a run of phases', () => {
  it('has the same bytes with its rows in two parameter processes as in the coordinator', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 2 });
    for (const name of ['p1', 'p2']) cluster.addParameters(name);
    const runId = await submit();
    const spec = await specOf(runId);
    cluster.addWorker();
    cluster.addWorker();
    expect(spec.holders).toHaveLength(2);
    for (const side of ['users', 'items'] as const) {
      const shares = spec.holders.map((holder) =>
        holder[side].reduce((sum, { rowStart, rowEnd }) => sum + rowEnd - rowStart, 0),
      );
      expect(shares[0]! + shares[1]!).toBe(spec[side]);
      expect(Math.min(...shares)).toBeGreaterThan(spec[side] / 10);
    }
    await expectSameBytes(runId);
    const { peak_rss_by_process: peaks } = await cluster.coordinator.result(runId);
    expect(Object.keys(peaks)).toEqual(expect.arrayContaining(['p1', 'p2']));
  });

  it('goes back to its last checkpoint when a process is killed, and on when another is there', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 2 });
    const [victim] = [parameters('p1'), parameters('p2')];
    const runId = await submit();
    cluster.addWorker();
    cluster.addWorker();
    await cluster.untilPhases(runId, 3);
    victim.child.kill('SIGKILL');
    await victim.ended;
    parameters('p3');
    await expectSameBytes(runId);
  });

  it('goes on with those who are left when a process leaves, which stays until nothing needs it', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'));
    const [leaver, stayer] = [parameters('p1'), parameters('p2')];
    await Promise.all([leaver.saying(/joined/), stayer.saying(/joined/)]);
    const runId = await submit();
    cluster.addWorker();
    cluster.addWorker();
    await cluster.untilPhases(runId, 3);
    leaver.child.kill('SIGTERM');
    expect((await leaver.ended).exitCode).toBe(0);
    await expectSameBytes(runId);
  });

  it('goes back when a process is frozen for longer than its heartbeats may be missed, and takes it again', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'), {
      parameters: 2,
      timing: { heartbeatMs: 200, sessionTimeoutMs: 1000 },
    });
    const [frozen] = [parameters('p1'), parameters('p2')];
    const runId = await submit();
    cluster.addWorker();
    cluster.addWorker();
    await cluster.untilPhases(runId, 2);
    frozen.child.kill('SIGSTOP');
    await cluster.untilStage(runId, /waiting for parameter processes: 1 of 2/);
    frozen.child.kill('SIGCONT');
    await expectSameBytes(runId);
  });

  it('ends with a sentence that says what is missing when too few processes come', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'), {
      parameters: 2,
      parametersWaitMs: 500,
    });
    cluster.addParameters('p1');
    const outcome = cluster.coordinator.result(await submit());
    await expect(outcome).rejects.toMatchObject({
      code: 'STOA_NO_PARAMETERS',
      message: expect.stringMatching(/needs 2 parameter processes and 1 came/),
    });
  });
});

describe('a run that pushes and pulls', () => {
  const stepped = {
    model: 'bpr',
    'bpr.factors': 9,
    'train.epochs': 3,
    'train.steps': 3,
    'train.loss': true,
    'train.early_stopping': 5,
  };

  async function train(place: string, settings: Record<string, unknown>, parameters: number) {
    cluster = await TrainingCluster.start(path.join(folder, place), { parameters });
    for (let n = 1; n <= parameters; n++) cluster.addParameters(`p${n}`);
    const run = { dataset: path.join(folder, 'data'), runDir: path.join(folder, `${place}-run`), settings };
    const { result, model } = await cluster.train(run, { workers: 2 });
    await cluster.close();
    cluster = undefined;
    const { loss, validation, staleness } = result;
    return { ...bytesOf(model), loss, validation, staleness };
  }

  it.each([
    ['bpr, in step', { 'train.sync': 'bsp' }],
    ['bpr, with two steps on a copy of its own', { 'train.sync': 'local:2' }],
    ['mf', { model: 'mf', 'mf.factors': 7 }],
  ])('has the same bytes with its rows in two processes as in the coordinator: %s', async (name, change) => {
    const here = await train(`here ${name}`, { ...stepped, ...change }, 0);
    const there = await train(`there ${name}`, { ...stepped, ...change }, 2);
    expect(Buffer.compare(there.users, here.users)).toBe(0);
    expect(Buffer.compare(there.items, here.items)).toBe(0);
    const { loss, validation } = there;
    expect({ loss, validation }).toEqual({ loss: here.loss, validation: here.validation });
  });

  it.each(['ssp:2', 'asp'])('learns as well with its rows elsewhere in mode %s', async (sync) => {
    const here = await train('here', { ...stepped, 'train.sync': sync }, 0);
    const there = await train('there', { ...stepped, 'train.sync': sync }, 2);
    expect(there.validation!.at(-1)! / here.validation!.at(-1)!).toBeCloseTo(1, 1);
    if (sync === 'ssp:2') expect(there.staleness!.length).toBeLessThanOrEqual(3);
  });

  it('goes back to its last epoch when a process is killed, and on to the same bytes', async () => {
    const settings = { ...stepped, 'train.epochs': 6 };
    const here = await train('here', settings, 0);
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 2 });
    const [victim] = [parameters('p1'), parameters('p2')];
    const runDir = path.join(folder, 'b');
    const runId = await cluster.submit({
      dataset: path.join(folder, 'data'),
      runDir,
      settings,
      expectedWorkers: 2,
    });
    cluster.addWorker();
    cluster.addWorker();
    await cluster.untilEpochs(runId, 1);
    victim.child.kill('SIGKILL');
    parameters('p3');
    await cluster.coordinator.result(runId);
    const there = bytesOf(await openModel(runDir));
    expect(Buffer.compare(there.users, here.users)).toBe(0);
    expect(Buffer.compare(there.items, here.items)).toBe(0);
  });
});

describe('a result', () => {
  it('without its rows, or with a receipt that no process gave, does not count', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 1 });
    cluster.addParameters('p1');
    const runId = await submit(1);
    const raw = new RawWorker(cluster.coordinator.address);
    try {
      await raw.register();
      const [lease] = await raw.lease(1);
      const [{ header }, rows] = delivery(raw, lease!, SETTINGS['ials.factors']);
      await expect(raw.push([{ header }, rows])).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
      const [again] = await raw.lease(1);
      const [{ header: other }] = delivery(raw, again!, SETTINGS['ials.factors']);
      const receipt = { digest: 1, signature: Buffer.alloc(32) };
      const pushed = raw.push([{ header: { ...other, receipt } }]);
      await expect(pushed).rejects.toMatchObject({ code: status.ABORTED });
      expect(await cluster.phasesDone(runId)).toBe(0);
    } finally {
      raw.close();
    }
  });
});

/** Of a run that is ready. */
async function specOf(runId: string): Promise<GetRunSpecResponse__Output> {
  const raw = new RawWorker(cluster!.coordinator.address);
  try {
    for (;;) {
      const spec = await raw.spec(runId).catch(() => undefined);
      if (spec !== undefined) return spec;
      await sleep(20);
    }
  } finally {
    raw.close();
  }
}

function bytesOf({ userFactors, itemFactors }: LoadedModel): { users: Buffer; items: Buffer } {
  return { users: bytes(userFactors), items: bytes(itemFactors) };
}

function bytes(rows: Float32Array): Buffer {
  return Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
}
