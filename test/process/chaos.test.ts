// Three short rounds of `npm run chaos`, and the plan that decides what is done in them.

import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planFaults } from '../../bench/faults/chaos-plan.js';
import { chaosRound, undisturbedModel } from '../../bench/faults/chaos-round.js';
import { createRandom } from '../../common/random.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';

let folder: string;
let remove: () => Promise<void>;
let work: Pick<Parameters<typeof chaosRound>[0], 'dataset' | 'settings'>;
let expected: string;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 2000, items: 300, perUser: 12 }));
  work = { dataset, settings: { 'ials.factors': 24, 'train.epochs': 30, 'ials.solver': 'cg' } };
  expected = await undisturbedModel({ folder: path.join(folder, 'calm'), ...work });
}, 120_000);

afterAll(() => remove());

describe('a run whose processes are killed and frozen, and whose links are spoilt', () => {
  // Seeds whose faults hit a coordinator, a worker and a link within 2.5 s; the last one a worker and, in each way that
  // ends a session, parameter processes.
  it.each([
    ['in memory', 'auto', 64, 0, 3],
    ['over gRPC', 'grpc', 148, 0, 3],
    ['in parameter processes', 'auto', 732, 2, 4],
  ] as const)(
    'ends with the undisturbed bytes, rows %s',
    async (name, transfer, seed, parameters, faults) => {
      const report = await chaosRound({
        folder: path.join(folder, name),
        ...work,
        transfer,
        parameters,
        seed,
        faults,
      });
      expect(report.model).toBe(expected);
      expect(report.faults.length).toBeGreaterThanOrEqual(2);
      expect(report.proxiedBytes).toBeGreaterThan(0);
    },
    240_000,
  );
});

describe('the plan of a round', () => {
  it('follows from the seed', () => {
    const size = { workers: 3, parameters: 2, faults: 50 };
    const plan = (seed: number) => planFaults(createRandom(seed), size);
    expect(plan(4)).toEqual(plan(4));
    expect(plan(4)).not.toEqual(plan(5));
  });

  it('does everything to everybody in the order of time', () => {
    const plan = planFaults(createRandom(1), { workers: 3, parameters: 2, faults: 2000 });
    const done = new Set(plan.map(({ target, kind }) => `${kind} ${target}`));
    expect(done.size).toBe((1 + 3 + 2) * 4 + 3 * 5);
    expect(plan.every(({ atMs }, n) => n === 0 || atMs > plan[n - 1]!.atMs)).toBe(true);
  });
});
