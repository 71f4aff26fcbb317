// After a run: the exported items are the exact answer to the exported users, by an f64 reference of its own.

import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { objectiveOf, parseRunConfig } from '../../coordinator/plan/run-config.js';
import { transpose } from '../../datasets/csr/transpose.js';
import { referenceGram } from '../../models/reference/gram.js';
import { backwardError, referenceSystem } from '../../models/reference/solve-rows.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const FACTORS = 64;

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  cluster = await TrainingCluster.start(folder);
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 400, items: 150, perUser: 10, hasValues: true }),
  );
});

afterAll(async () => {
  await cluster.close();
  await remove();
});

describe.each([
  { 'ials.objective': 'ials' },
  { 'ials.objective': 'ials', 'ials.weights': 'value', 'ials.alpha': 3, 'ials.nu': 0.5 },
  { 'ials.objective': 'hu2008', 'ials.weights': 'value', 'ials.alpha': 40, 'ials.regularization': 0.1 },
])('%j', (objective) => {
  it('item rows solve their normal equations to a backward error of 1e-6', async () => {
    const settings = { 'ials.factors': FACTORS, 'train.epochs': 2, ...objective };
    const name = JSON.stringify(objective).replace(/\W+/g, '-');
    const { model } = await cluster.train(
      { dataset: path.join(folder, 'data'), runDir: path.join(folder, name), settings },
      { workers: 2 },
    );
    const items = transpose(model.history).csr;
    const counts = Array.from({ length: items.rows }, (_, row) => items.ptr[row + 1]! - items.ptr[row]!);
    expect(counts).toContain(1);
    expect(counts).toContain(model.users);
    const gram = referenceGram(model.userFactors, model.users, FACTORS);
    const config = objectiveOf(parseRunConfig(settings));
    let worst = 0;
    for (let row = 0; row < items.rows; row++) {
      const x = model.itemFactors.subarray(row * FACTORS, (row + 1) * FACTORS);
      if (counts[row] === 0) expect(x.every((value) => value === 0)).toBe(true);
      else {
        const system = referenceSystem(items, row, model.userFactors, FACTORS, config, gram);
        worst = Math.max(worst, backwardError(system, x));
      }
    }
    expect(worst).toBeGreaterThan(0);
    expect(worst).toBeLessThan(1e-6);
  });
});
