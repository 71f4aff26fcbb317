// A coordinator as a real process that is killed at random instants while it trains. STOA_KILLS sets how often.

import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killCoordinator, undisturbed } from '../../bench/faults/kill-coordinator.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';

const KILLS = Number(process.env['STOA_KILLS'] ?? 5);
// Phases and epochs of some 50 ms: a life of a second or two sees many, and is cut off in the middle of one.
const RUNS = [
  ['phases', { 'ials.factors': 32, 'train.epochs': 30, 'ials.solver': 'cg', 'train.loss': true }],
  [
    'push and pull',
    { model: 'bpr', 'bpr.factors': 16, 'train.epochs': 30, 'train.steps': 4, 'train.loss': true },
  ],
] as const;

let folder: string;
let remove: () => Promise<void>;
let dataset: string;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 3000, items: 400, perUser: 15 }));
});

afterAll(() => remove());

it.each(RUNS)(
  `%s: after ${KILLS} kills nothing that was acknowledged is lost, and all ends with the undisturbed bytes`,
  async (name, settings) => {
    const expected = await undisturbed({ folder: path.join(folder, `${name}-calm`), dataset, settings });
    const report = await killCoordinator({
      folder: path.join(folder, `${name}-killed`),
      dataset,
      settings,
      kills: KILLS,
      seed: 7,
      lifeMsMax: 2000,
    });
    expect(report.models).toEqual([expected]);
    expect(report.phases).toBeGreaterThan(0);
  },
  600_000,
);
