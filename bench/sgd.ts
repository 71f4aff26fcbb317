// Models by stochastic gradient descent: native kernels against TypeScript and, for bpr, against the implicit package.
//
//   npm run bench:sgd -- [--data DATASET | --mooc | --file FILE] [--factors 64] [--threads 1] [--repeats 5] [--alone]
//     [--json]
//
// An epoch goes through every interaction once. `alone`: the engine in one process, blocks one after the other.
// `stoa train`: with a coordinator and a worker, as a user gets it, bsp with one step an epoch. The runs take turns;
// medians, the least and the most; CPU time of all threads is what an epoch takes on cores that nothing else uses. `--alone` leaves `stoa train` out. Ratings of data without values are made up from their numbers.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { builtEntry } from '../common/package-root.js';
import { sharedFloat32 } from '../common/shared-memory.js';
import { openDataset } from '../datasets/dataset.js';
import type { Csr } from '../models/csr.js';
import type { SgdModel, SgdSettings } from '../models/sgd/sgd-settings.js';
import { nativeDevice } from '../worker/devices/native.js';
import { StepPool } from '../worker/steps/step-pool.js';
import { blockEpoch, type EpochTimes, type SgdProblem } from './sgd/block-epoch.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';
import { median } from './support/median.js';
import { writeNpyArray } from './support/npy-array.js';
import { peerVariables, pythonEnvironment } from './support/python-environment.js';
import { runJson } from './support/run-json.js';

const { values } = parseArgs({
  options: {
    ...DATA_OPTIONS,
    factors: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    repeats: { type: 'string', default: '5' },
    alone: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

/** As plans cut it for some tens of milliseconds of work. */
const BLOCK_INTERACTIONS = 60_000;
const TRAIN_EPOCHS = 6;
const IMPLICIT_ITERATIONS = 2;

interface Timed {
  model: SgdModel;
  engine: string;
  seconds: number[];
  /** Of all threads; of `stoa train` it is not known. */
  cpu: number[];
  /** Of engines that say so. */
  parts: EpochTimes[];
}

const threads = Number(values.threads);
const factors = Number(values.factors);
const python = pythonEnvironment();
const data = await benchData({ ...values, small: true });
const problem = await problemOf(data.train);
const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-sgd-'));
const timed = new Map<string, Timed>();
try {
  writeNpyArray(path.join(folder, 'ptr.npy'), problem.interactions.ptr, [problem.interactions.ptr.length]);
  writeNpyArray(path.join(folder, 'idx.npy'), problem.interactions.idx, [problem.interactions.idx.length]);
  for (let turn = 0; turn < Number(values.repeats); turn++) {
    console.error(`turn ${turn + 1} of ${values.repeats}…`);
    for (const model of ['bpr', 'mf'] as const) await alone(model);
    addImplicit();
    const devices = values.alone ? [] : ['native', 'portable'];
    for (const device of devices) add('bpr', `stoa train, ${device}`, trainSeconds(device));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
print();

/** One epoch of each engine that has both. */
async function alone(model: SgdModel): Promise<void> {
  const settings = settingsOf(model);
  const device = await nativeDevice.open({ threads });
  const pool = new StepPool(threads);
  for (const [engine, descent] of [
    ['native alone', device.descent!],
    ['TypeScript alone', pool],
  ] as const) {
    const times = await blockEpoch(descent, settings, problem, threads);
    add(model, engine, [times.seconds], [times.cpu]).parts.push(times);
  }
  await pool.close();
  await device.dispose();
}

function addImplicit(): void {
  const script = path.resolve('bench/sgd/bpr_epochs.py');
  const args = [script, folder, String(factors), String(threads), String(IMPLICIT_ITERATIONS)];
  const { seconds, cpu } = runJson<{ seconds: number; cpu: number }>(python, args, peerVariables(threads));
  add('bpr', 'implicit', [seconds], [cpu]);
}

/** The first epoch fetches the data, and is no part of it. */
function trainSeconds(device: string): number[] {
  const out = path.join(folder, 'run');
  const settings = { model: 'bpr', 'bpr.factors': factors, 'train.epochs': TRAIN_EPOCHS, 'train.steps': 1 };
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const where = ['--workers', '1', '--threads', String(threads), '--device', device, '--json'];
  const args = ['train', '--data', data.train, '--out', out, ...where, ...sets];
  const result = runJson<{ epoch_seconds: number[] }>(process.execPath, [
    new URL(builtEntry('cli/main.js')).pathname,
    ...args,
  ]);
  rmSync(out, { recursive: true, force: true });
  return result.epoch_seconds.slice(1);
}

function add(
  model: SgdModel,
  engine: string,
  seconds: readonly number[],
  cpu: readonly number[] = [],
): Timed {
  const key = `${model} ${engine}`;
  const entry = timed.get(key) ?? { model, engine, seconds: [], cpu: [], parts: [] };
  timed.set(key, entry);
  entry.seconds.push(...seconds);
  entry.cpu.push(...cpu);
  return entry;
}

async function problemOf(folder: string): Promise<SgdProblem> {
  const dataset = await openDataset(folder);
  const csr = await dataset.loadCsr('users');
  const interactions: Csr = { ...csr, values: csr.values ?? madeUpRatings(csr) };
  const itemCounts = new Int32Array(csr.cols);
  for (const item of csr.idx) itemCounts[item]!++;
  const cuts = [0];
  for (let row = 1; row <= csr.rows; row++) {
    const isFull = csr.ptr[row]! - csr.ptr[cuts.at(-1)!]! >= BLOCK_INTERACTIONS;
    if (isFull || row === csr.rows) cuts.push(row);
  }
  return { interactions, itemCounts, cuts };
}

function madeUpRatings({ idx }: Csr): Float32Array {
  const ratings = sharedFloat32(idx.length);
  for (let e = 0; e < idx.length; e++) ratings[e] = 1 + ((idx[e]! * 7 + e * 3) % 9) / 2;
  return ratings;
}

function settingsOf(model: SgdModel): SgdSettings {
  return {
    model,
    factors,
    learningRate: model === 'bpr' ? 0.05 : 0.01,
    schedule: 'constant',
    decay: 0,
    regularization: 0.01,
    negatives: 'uniform',
    popularityExponent: 0.75,
    seed: 1,
    epochs: 1,
    stepsPerEpoch: 1,
    mean: model === 'mf' ? 3 : 0,
  };
}

function print(): void {
  if (values.json) {
    console.log(
      JSON.stringify({
        machine: machineLine(),
        data: data.name,
        factors,
        threads,
        timed: [...timed.values()],
      }),
    );
    return;
  }
  const samples = problem.interactions.idx.length;
  const { rows, cols } = problem.interactions;
  console.log(
    `${machineLine()}\n${data.name}: ${rows} users, ${cols} items, ${samples} interactions; K = ${factors}, ${threads} threads\n`,
  );
  const lines = [...timed.values()]
    .sort((a, b) => (a.model < b.model ? -1 : a.model > b.model ? 1 : 0))
    .map(({ model, engine, seconds, cpu }) => {
      const typescript = median(timed.get(`${model} TypeScript alone`)!.cpu);
      const own = median(cpu);
      const range = `${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)}`;
      const ofCpu =
        cpu.length === 0
          ? ['–', '–', '–']
          : [own.toFixed(3), `${Math.round((1e9 * own) / samples)}`, `${(typescript / own).toFixed(2)}×`];
      return [model, engine, median(seconds).toFixed(2), range, ...ofCpu];
    });
  const head = ['model', 'engine', 's an epoch', 'range', 'CPU s', 'CPU ns a sample', 'TypeScript / this'];
  console.log(markdownTable(head, lines));
}
