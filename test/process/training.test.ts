// The invariant of training, over real sockets: the same bytes whoever computes.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../common/checksums.js';
import { bytesOf } from '../../common/row-chunks.js';
import type { LoadedModel } from '../../coordinator/registry/model-folder.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

let folder: string;
let remove: () => Promise<void>;
let dataset: string;
let cluster: TrainingCluster;
let runs = 0;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(
    dataset,
    randomInteractions({ users: 700, items: 180, perUser: 14, hasValues: true }),
  );
});

afterAll(() => remove());

beforeEach(async () => {
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
});

afterEach(() => cluster.close());

const runDir = () => path.join(folder, `run-${++runs}`);

function fingerprint(model: LoadedModel): string {
  return sha256(bytesOf(model.itemFactors)) + sha256(bytesOf(model.userFactors));
}

const CONFIGURATIONS = {
  'ials by cholesky': { 'ials.solver': 'cholesky', 'train.loss': true },
  'ials by cg': { 'ials.solver': 'cg', 'ials.weights': 'value' },
  'hu2008 by cholesky': { 'ials.objective': 'hu2008', 'ials.weights': 'value', 'ials.regularization': 0.1 },
  'ials by ials++': { 'ials.solver': 'ials++', 'ials.block': 5, 'train.loss': true },
  'hu2008 by ials++': {
    'ials.objective': 'hu2008',
    'ials.solver': 'ials++',
    'ials.block': 6,
    'ials.weights': 'value',
    'ials.regularization': 0.1,
  },
  'hu2008 by cg': { 'ials.objective': 'hu2008', 'ials.solver': 'cg', 'ials.regularization': 0.1 },
};

describe.each(Object.entries(CONFIGURATIONS))('%s', (_name, configuration) => {
  it('gives the same bytes for 1, 2, 3 and 5 workers with 1 or 2 threads', async () => {
    const settings = { 'ials.factors': 13, 'train.epochs': 3, 'train.seed': 5, ...configuration };
    const fleets = [
      { workers: 1, threads: 1 },
      { workers: 1, threads: 2 },
      { workers: 2, threads: 1 },
      { workers: 3, threads: 1 },
      { workers: 5, threads: 2 },
    ];
    const fingerprints: string[] = [];
    for (const fleet of fleets) {
      const { result, model } = await cluster.train({ dataset, runDir: runDir(), settings }, fleet);
      expect(result).toMatchObject({ workers: fleet.workers, threads: fleet.threads, factors: 13, seed: 5 });
      fingerprints.push(fingerprint(model));
    }
    expect(new Set(fingerprints).size).toBe(1);
  });
});

it('another seed gives another model', async () => {
  const settings = { 'ials.factors': 8, 'train.epochs': 1 };
  const a = await cluster.train({ dataset, runDir: runDir(), settings }, { workers: 1 });
  const b = await cluster.train(
    { dataset, runDir: runDir(), settings: { ...settings, 'train.seed': 2 } },
    { workers: 1 },
  );
  expect(fingerprint(a.model)).not.toBe(fingerprint(b.model));
});

it('a system that is not positive definite fails the run at once, and says which block and why', async () => {
  const settings = { 'ials.factors': 12, 'ials.alpha0': 0, 'ials.regularization': 0, 'train.epochs': 2 };
  await expect(cluster.train({ dataset, runDir: runDir(), settings }, { workers: 2 })).rejects.toMatchObject({
    code: 'STOA_RUN_FAILED',
    message: expect.stringMatching(/block users\/\d+ .*cannot be solved.*regularization/),
  });
});

it.each([
  ['cholesky', {}],
  ['ials++', { 'ials.block': 5 }],
])('the loss never rises from phase to phase with %s, and is that of the objective', async (solver, more) => {
  const start = { 'ials.factors': 12, 'train.epochs': 5, 'train.loss': true, 'ials.init_stddev': 1 };
  const settings = { ...start, 'ials.solver': solver, ...more };
  const dir = runDir();
  const { result, model } = await cluster.train({ dataset, runDir: dir, settings }, { workers: 2 });
  const lines = (await readFile(path.join(dir, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const losses = lines.map((line) => (JSON.parse(line) as { loss: number }).loss);
  expect(losses).toHaveLength(10);
  for (let phase = 1; phase < losses.length; phase++) {
    expect(losses[phase]).toBeLessThanOrEqual(losses[phase - 1]! * (1 + 1e-9));
  }
  expect(result.loss).toEqual(losses.filter((_, phase) => phase % 2 === 1));
  expect(losses.at(-1)! / lossByDefinition(model)).toBeCloseTo(1, 6);
});

/** Σ over all pairs, as the objective is written down: α₀ = 0.1, λ = 0.01, ν = 1, w = 1. */
function lossByDefinition({ history, userFactors, itemFactors, factors }: LoadedModel): number {
  const { ptr, idx, rows, cols } = history;
  const itemCounts = new Int32Array(cols);
  for (const item of idx) itemCounts[item]!++;
  const squared = (table: Float32Array, row: number) =>
    table.subarray(row * factors, (row + 1) * factors).reduce((sum, x) => sum + x * x, 0);
  let loss = 0;
  for (let user = 0; user < rows; user++) {
    const taken = new Set(idx.subarray(ptr[user], ptr[user + 1]));
    for (let item = 0; item < cols; item++) {
      let score = 0;
      for (let k = 0; k < factors; k++)
        score += userFactors[user * factors + k]! * itemFactors[item * factors + k]!;
      loss += 0.1 * score ** 2 + (taken.has(item) ? (score - 1) ** 2 : 0);
    }
    loss += 0.01 * (taken.size + 0.1 * cols) * squared(userFactors, user);
  }
  for (let item = 0; item < cols; item++)
    loss += 0.01 * (itemCounts[item]! + 0.1 * rows) * squared(itemFactors, item);
  return loss;
}
