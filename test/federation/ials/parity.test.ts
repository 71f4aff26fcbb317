// Federated training is central training: the same problem solved by sums over participants and by a device that has
// all rows, for every solver and objective.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { evaluate } from '../../../coordinator/evaluation/evaluate.js';
import type { Csr } from '../../../models/csr.js';
import type { ComputeDevice, IalsObjective, SolverOptions } from '../../../models/device.js';
import { referenceSolve } from '../../../models/reference/solve-rows.js';
import { relativeDistance } from '../../../models/relative-distance.js';
import { nativeDevice } from '../../../worker/devices/native.js';
import { portableDevice } from '../../../worker/devices/portable.js';
import { trainIals } from '../../evaluation/train-ials.js';
import { defaultObjective, huObjective, transpose } from '../../support/ials-problems.js';
import { initialItems, participantsOf, skewedInteractions, trainFederated } from './federation.js';

const SIZES = [1, 2, 12, 25, 60];
const USERS = 100;
const ITEMS = 35;
const SWEEPS = 10;
const SEED = 3;
/** What a federation promises; f32 tables are what there is between the two. */
const TOLERANCE = 1e-5;

const CHOLESKY: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };
const CG: SolverOptions = { name: 'cg', cgSteps: 3, block: 1 };

const OBJECTIVES: readonly (readonly [string, IalsObjective, number | undefined])[] = [
  ['ials', { ...defaultObjective, regularization: 0.05 }, undefined],
  [
    'ials with values and ν = 1/2',
    { ...defaultObjective, weights: 'value', nu: 0.5, regularization: 0.3 },
    4,
  ],
  ['hu2008', { ...huObjective, alpha: 8, regularization: 2 }, undefined],
  ['hu2008 with values', { ...huObjective, weights: 'value', alpha: 3, regularization: 2 }, 2],
];

let portable: ComputeDevice;
beforeAll(async () => {
  portable = await portableDevice.open({ threads: 1 });
});
afterAll(() => portable.dispose());

describe.each(OBJECTIVES)('with the objective %s', (_name, objective, valueMax) => {
  const data = skewedInteractions({ users: USERS, items: ITEMS, seed: 5, valueMax });

  const federated = (solver: SolverOptions, factors: number, userSolver?: SolverOptions) =>
    trainFederated(portable, participantsOf(data, SIZES, factors), {
      objective,
      solver,
      userSolver,
      items: ITEMS,
      factors,
      sweeps: SWEEPS,
      seed: SEED,
      numbersMax: 300,
    });
  const central = (solver: SolverOptions, factors: number) =>
    trainIals(portable, data, {
      factors,
      epochs: SWEEPS,
      objective,
      seed: SEED,
      solver,
      byItem: transpose(data),
    });

  it('cholesky at K = 64 comes to the central factors within 1e-5 after 10 sweeps', async () => {
    const { itemFactors } = await central(CHOLESKY, 64);
    expect(relativeDistance(await federated(CHOLESKY, 64), itemFactors)).toBeLessThan(TOLERANCE);
  });

  it('cholesky comes to the factors of a loop in float64 without devices', async () => {
    const expected = referenceTraining(data, objective, 14);
    expect(relativeDistance(await federated(CHOLESKY, 14), expected)).toBeLessThan(TOLERANCE);
  });

  it('cg takes the steps that a device takes', async () => {
    const { itemFactors } = await central(CG, 14);
    expect(relativeDistance(await federated(CG, 14, CG), itemFactors)).toBeLessThan(TOLERANCE);
  });

  it('ials++ solves the blocks that a device solves', async () => {
    const blocks: SolverOptions = { name: 'ials++', cgSteps: 1, block: 5 };
    const { itemFactors } = await central(blocks, 14);
    expect(relativeDistance(await federated(blocks, 14, blocks), itemFactors)).toBeLessThan(TOLERANCE);
  });
});

describe('on the native device', () => {
  it('cholesky at K = 64 comes to the central factors within 1e-5 after 10 sweeps, and to its metrics', async (context) => {
    const probe = await nativeDevice.probe();
    if (!probe.ok) return context.skip(probe.reason);
    const device = await nativeDevice.open({ threads: 1 });
    const objective = OBJECTIVES[0]![1];
    const data = skewedInteractions({ users: USERS, items: ITEMS, seed: 6 });
    const { train, test } = holdOut(data);
    const participants = participantsOf(train, SIZES, 64);
    const found = await trainFederated(device, participants, {
      objective,
      solver: CHOLESKY,
      items: ITEMS,
      factors: 64,
      sweeps: SWEEPS,
      seed: SEED,
    });
    const central = await trainIals(device, train, { factors: 64, epochs: SWEEPS, objective, seed: SEED });
    await device.dispose();
    expect(relativeDistance(found, central.itemFactors)).toBeLessThan(TOLERANCE);
    const users = Float32Array.from(participants.flatMap((one) => [...one.users]));
    expect(await metricsOf(users, found, train, test)).toEqual(
      await metricsOf(central.userFactors, central.itemFactors, train, test),
    );
  });
});

/** Sweeps in f64 throughout, every row by Gaussian elimination; the initial factors are f32. */
function referenceTraining(byUser: Csr, objective: IalsObjective, factors: number): Float64Array {
  const byItem = transpose(byUser);
  let items = Float64Array.from(initialItems(byItem.rows, factors, SEED));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const users = referenceSolve(byUser, items, factors, objective);
    items = Float64Array.from(referenceSolve(byItem, users, factors, objective));
  }
  return items;
}

/** Hides the last item of every third user. */
function holdOut(data: Csr): { train: Csr; test: Csr } {
  const rows = Array.from({ length: data.rows }, (_, u) => [
    ...data.idx.subarray(data.ptr[u]!, data.ptr[u + 1]!),
  ]);
  const isHidden = (user: number) => user % 3 === 0 && rows[user]!.length > 1;
  return {
    train: csrOf(rows.map((row, user) => (isHidden(user) ? row.slice(0, -1) : row))),
    test: csrOf(rows.map((row, user) => (isHidden(user) ? row.slice(-1) : []))),
  };
}

function csrOf(rows: number[][]): Csr {
  const ptr = new Int32Array(rows.length + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  return { rows: rows.length, cols: ITEMS, ptr, idx: Int32Array.from(rows.flat()) };
}

async function metricsOf(userFactors: Float32Array, itemFactors: Float32Array, train: Csr, test: Csr) {
  const report = await evaluate({
    userFactors,
    itemFactors,
    train,
    test,
    factors: 64,
    cutoffs: [10],
    baselines: [],
    threads: 1,
    seed: 1,
  });
  expect(report.model.metrics['recall@10']).toBeGreaterThan(0);
  return report.model.metrics;
}
