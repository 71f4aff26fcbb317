// Models that push and pull, trained by a coordinator and workers over real sockets: the same bits for any workers, for
// a killed one and for a run that was stopped; reads that keep the bound; early ends.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../common/addresses.js';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import { parseRunConfig, sgdSettingsOf } from '../../coordinator/plan/run-config.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import { leadMax, parseSyncMode } from '../../coordinator/schedule/sync/sync-mode.js';
import type { Csr } from '../../models/csr.js';
import type { PullStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import { nativeDevice } from '../../worker/devices/native.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { RawWorker } from '../support/raw-worker.js';
import { trainByBarriers } from '../support/sgd-problems.js';
import { temporaryFolder } from '../support/small-data.js';
import { type StoaProcess, startStoa } from '../support/stoa-process.js';
import { type SyncEvent, violations } from '../support/sync-oracle.js';
import { TrainingCluster } from '../support/training-cluster.js';

const native = await nativeDevice.probe();
const hint = native.ok ? '' : ` (not here: ${native.reason})`;

const USERS = 500;
const EPOCHS = 3;
const STEPS = 4;
const settings = {
  model: 'bpr',
  'bpr.factors': 9,
  'train.epochs': EPOCHS,
  'train.steps': STEPS,
  'train.loss': true,
};

interface EpochLine {
  validation?: number;
  staleness: number[];
  reads: [block: number, clock: number, seen: number][];
}

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let interactions: Csr;
let cluster: TrainingCluster;
let processes: StoaProcess[] = [];
let runs = 0;

const runDir = () => path.join(folder, `run-${++runs}`);
const bitsOf = ({ userFactors, itemFactors }: LoadedModel) =>
  sha256(Buffer.concat([bytesOf(userFactors), bytesOf(itemFactors)]));

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  interactions = randomInteractions({ users: USERS, items: 90, perUser: 12, hasValues: true });
  await writeInteractions(dataset, interactions);
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

async function train(change: Record<string, unknown>, workers = 2) {
  const dir = runDir();
  const trained = await cluster.train(
    { dataset, runDir: dir, settings: { ...settings, ...change } },
    { workers },
  );
  return { ...trained, dir };
}

async function epochsOf(dir: string): Promise<EpochLine[]> {
  const text = await readFile(path.join(dir, 'metrics.jsonl'), 'utf8');
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EpochLine);
}

/** The user rows at which the run's blocks begin, and the number of users. */
async function cutsOf(dir: string): Promise<number[]> {
  const { blocks } = JSON.parse(await readFile(path.join(dir, 'plan.json'), 'utf8')) as {
    blocks: { users: { rowStart: number }[] };
  };
  return [...blocks.users.map(({ rowStart }) => rowStart), USERS];
}

describe('bsp', () => {
  it('gives the bits of a training in one process for 1, 2 and 3 workers, as do ssp:0 and local:1', async () => {
    const outcomes: string[] = [];
    for (const workers of [1, 2, 3]) outcomes.push(bitsOf((await train({}, workers)).model));
    outcomes.push(bitsOf((await train({ 'train.sync': 'ssp:0' })).model));
    const last = await train({ 'train.sync': 'local:1' });
    outcomes.push(bitsOf(last.model));
    expect(new Set(outcomes).size).toBe(1);
    const config = parseRunConfig(settings);
    const cuts = await cutsOf(last.dir);
    expect(cuts.length).toBeGreaterThan(3);
    const alone = trainByBarriers(interactions, sgdSettingsOf(config, 0), { cuts, stdDev: 0.5 });
    expect(Buffer.from(bytesOf(last.model.userFactors)).equals(bytesOf(alone.users))).toBe(true);
    expect(Buffer.from(bytesOf(last.model.itemFactors)).equals(bytesOf(alone.items))).toBe(true);
    const samples = 0.98 * interactions.idx.length;
    alone.losses.forEach((loss, epoch) => {
      expect(last.result.loss![epoch]).toBeLessThan(loss / samples);
      expect(last.result.loss![epoch]! / (loss / interactions.idx.length)).toBeGreaterThan(0.999);
    });
  });

  it.skipIf(!native.ok)(`gives one pattern of bits for any workers with native kernels${hint}`, async () => {
    const outcomes = new Map<string, string>();
    for (const [workers, threads] of [
      [1, 1],
      [2, 2],
      [3, 1],
    ] as const) {
      const dir = runDir();
      const submitted = { dataset, runDir: dir, settings, expectedWorkers: workers };
      const runId = await cluster.submit(submitted);
      const fleet = Array.from({ length: workers }, () => cluster.addWorker({ threads, device: 'native' }));
      const result = await cluster.coordinator.result(runId);
      expect(result).toMatchObject({ device: 'native', solver: 'sgd' });
      await Promise.all(fleet.map((worker) => worker.leave()));
      outcomes.set(bitsOf(await openModel(dir)), dir);
    }
    expect(outcomes.size).toBe(1);
    // Other bits than those of TypeScript, and the same model.
    const [[bits, dir]] = outcomes as unknown as [[string, string]];
    const config = parseRunConfig(settings);
    const alone = trainByBarriers(interactions, sgdSettingsOf(config, 0), {
      cuts: await cutsOf(dir),
      stdDev: 0.5,
    });
    const { userFactors } = await openModel(dir);
    const greatest = Math.max(...alone.users.map(Math.abs));
    const apart = Math.max(...userFactors.map((value, n) => Math.abs(value - alone.users[n]!)));
    expect(apart / greatest).toBeLessThan(1e-5);
    expect(bits).not.toBe(sha256(Buffer.concat([bytesOf(alone.users), bytesOf(alone.items)])));
  });

  it('keeps its bits when a worker is killed in mid-run and another joins', async () => {
    const expected = bitsOf((await train({ 'train.epochs': 30 })).model);
    const dir = runDir();
    const submitted = {
      dataset,
      runDir: dir,
      settings: { ...settings, 'train.epochs': 30 },
      expectedWorkers: 2,
    };
    const runId = await cluster.submit(submitted);
    const victim = startWorker('victim');
    startWorker('survivor');
    await cluster.untilBlocks(runId, 'victim', 2);
    victim.child.kill('SIGKILL');
    startWorker('late');
    await cluster.coordinator.result(runId);
    expect(bitsOf(await openModel(dir))).toBe(expected);
  });

  it('keeps its bits and its losses when it is stopped and resumed on other workers', async () => {
    const change = { 'train.epochs': 40 };
    const whole = await train(change);
    const dir = runDir();
    const runId = await cluster.submit({ dataset, runDir: dir, settings: { ...settings, ...change } });
    cluster.addWorker();
    await cluster.untilEpochs(runId, 6);
    await cluster.coordinator.stopRun(runId);
    await expect(cluster.coordinator.result(runId)).rejects.toMatchObject({ code: 'STOA_INTERRUPTED' });
    const again = await cluster.submit({ dataset, runDir: dir, resume: true });
    cluster.addWorker();
    const result = await cluster.coordinator.result(again);
    expect(bitsOf(await openModel(dir))).toBe(bitsOf(whole.model));
    expect(result.loss).toEqual(whole.result.loss);
  });
});

describe.each(['bsp', 'ssp:2', 'asp', 'local:3'])('a run under %s', (sync) => {
  it('has a history that keeps the rules, and a staleness that is counted', async () => {
    const { dir, result } = await train({ 'train.sync': sync }, 3);
    const lines = await epochsOf(dir);
    const blocks = (await cutsOf(dir)).length - 1;
    const clocksOfEpoch = sync === 'local:3' ? 2 : STEPS;
    const history = lines.flatMap(({ reads }) => reads.flatMap((entry) => eventsOf(entry, blocks)));
    const staleness = leadMax(parseSyncMode(sync));
    expect(violations(history, { blocks, clocks: EPOCHS * clocksOfEpoch, staleness })).toEqual([]);
    const counted = lines.map((line) => line.staleness.reduce((sum, count) => sum + count, 0));
    expect(counted.every((count) => count >= blocks * clocksOfEpoch)).toBe(true);
    expect(result.staleness!.length).toBeLessThanOrEqual(staleness + 1);
    expect(result.loss!.at(-1)).toBeLessThan(result.loss![0]!);
    expect(result.sync).toBe(sync);
  });
});

describe('a read that comes too soon', () => {
  it('is held back until the others have come far enough', async () => {
    const runId = await cluster.submit({ dataset, runDir: runDir(), settings });
    const raw = new RawWorker(cluster.coordinator.address);
    await raw.register({ solvers: ['sgd'] });
    await raw.lease(1);
    const request = { runId, sessionId: raw.sessionId, block: 0, clock: 1, items: [0, 5], wantsUsers: false };
    let isAnswered = false;
    const parts: PullStepResponse__Output[] = [];
    const reading = (async () => {
      for await (const part of raw.parameters.PullStep(request)) {
        isAnswered = true;
        parts.push(part as PullStepResponse__Output);
      }
    })();
    await raw.heartbeat();
    expect(isAnswered).toBe(false);
    cluster.addWorker();
    await raw.heartbeat();
    // What it holds goes back: the worker does it, all blocks finish clock 0, and the read is served.
    await raw.worker.EndSession({ sessionId: raw.sessionId }, () => {});
    await reading;
    expect(parts[0]!.read).toEqual({ clock: 1, staleness: 0 });
    await cluster.coordinator.result(runId);
    raw.close();
  });
});

describe('mf', () => {
  it('learns ratings: scores are ratings with their mean and biases', async () => {
    const { model, result } = await train({ model: 'mf', 'mf.factors': 4, 'train.epochs': 12 });
    const { userFactors, itemFactors, factors, history } = model;
    expect(factors).toBe(6);
    expect(model.manifest.layout).toMatchObject({ factors: 4 });
    let squares = 0;
    let spread = 0;
    const mean = history.values!.reduce((sum, value) => sum + value, 0) / history.values!.length;
    for (let user = 0; user < history.rows; user++) {
      for (let e = history.ptr[user]!; e < history.ptr[user + 1]!; e++) {
        let score = 0;
        for (let k = 0; k < factors; k++) {
          score += userFactors[user * factors + k]! * itemFactors[history.idx[e]! * factors + k]!;
        }
        squares += (score - history.values![e]!) ** 2;
        spread += (mean - history.values![e]!) ** 2;
      }
    }
    // These ratings are noise: only memory, not the mean alone, gets below their variance.
    expect(squares).toBeLessThan(0.95 * spread);
    expect(result).toMatchObject({ model: 'mf', factors: 4, solver: 'sgd' });
  });

  it('without ratings is refused and says what to do', async () => {
    const bare = path.join(folder, 'bare');
    await writeInteractions(bare, randomInteractions({ users: 30, items: 20, perUser: 4 }));
    const submitted = cluster.submit({ dataset: bare, runDir: runDir(), settings: { model: 'mf' } });
    await expect(submitted).rejects.toThrow(/import it with --value-col or train bpr/);
  });
});

describe('early stopping', () => {
  it('ends a run whose held-out interactions are ranked no better, and says how many epochs it did', async () => {
    // Random data have nothing to learn: what is learnt by heart makes the rest worse.
    const change = { 'train.epochs': 200, 'train.early_stopping': 2, 'train.validation_share': 0.2 };
    const { result, dir } = await train(change);
    expect(result.epochs).toBeLessThan(200);
    expect(result.validation).toHaveLength(result.epochs);
    const lines = await epochsOf(dir);
    expect(lines.map(({ validation }) => validation)).toEqual(result.validation);
    const best = Math.min(...result.validation!.slice(0, -2));
    expect(result.validation!.slice(-2).every((loss) => loss >= best)).toBe(true);
  });

  it('ends with the model of the best epoch, also where it was stopped and resumed after it', async () => {
    const change = { 'train.epochs': 25, 'train.early_stopping': 20, 'train.validation_share': 0.2 };
    const whole = await train(change);
    const { validation = [], epoch_kept: kept = 0, epochs } = whole.result;
    expect(kept).toBe(1 + validation.indexOf(Math.min(...validation)));
    expect(kept).toBeLessThan(epochs);
    const short = await train({ ...change, 'train.epochs': kept });
    expect(bitsOf(whole.model)).toBe(bitsOf(short.model));

    const dir = runDir();
    const runId = await cluster.submit({ dataset, runDir: dir, settings: { ...settings, ...change } });
    cluster.addWorker();
    await cluster.untilEpochs(runId, kept + 3);
    await cluster.coordinator.stopRun(runId);
    await cluster.coordinator.result(runId).catch(() => {});
    const again = await cluster.submit({ dataset, runDir: dir, resume: true });
    cluster.addWorker();
    expect(await cluster.coordinator.result(again)).toMatchObject({ epochs, epoch_kept: kept });
    expect(bitsOf(await openModel(dir))).toBe(bitsOf(whole.model));
  });
});

function eventsOf([block, clock, seen]: [number, number, number], blocks: number): SyncEvent[] {
  if (seen < 0) return [{ type: 'applied', block, clock }];
  const upTo = (end: number) => Array.from({ length: end }, (_, stamp) => stamp);
  const stamps = Array.from({ length: blocks }, (_, from) => upTo(from === block ? clock : seen));
  return [
    { type: 'started', block, clock },
    { type: 'read', block, clock, staleness: clock - seen, seen: stamps },
  ];
}

function startWorker(name: string): StoaProcess {
  const address = formatAddress(cluster.coordinator.address);
  const cache = path.join(folder, 'cache');
  const worker = startStoa([
    'worker',
    '--coordinator',
    address,
    '--name',
    name,
    '--threads',
    '1',
    '--device',
    'portable',
    '--cache',
    cache,
  ]);
  processes.push(worker);
  return worker;
}
