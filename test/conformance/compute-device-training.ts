// The part of the device suite that trains: whole epochs on the device against the same epochs in f64.

import { expect, it } from 'vitest';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective, SolverOptions } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { referenceLoss } from '../../models/reference/loss.js';
import { referenceSolve } from '../../models/reference/solve-rows.js';
import { referenceTopN } from '../../models/reference/top-n.js';
import {
  buildProblem,
  defaultObjective,
  huObjective,
  rowDistances,
  transpose,
} from '../support/ials-problems.js';

const FACTORS = 12;
const EPOCHS = 6;
/** Of the loss, relative; of factors, as 2-norm distance of a row; of the ten best items of all users. */
const TOLERANCES = { loss: 1e-6, factors: 1e-4, overlap: 0.999 };

export function describeDeviceTraining(device: () => ComputeDevice): void {
  it.each([
    ['ials', defaultObjective],
    ['hu2008', { ...huObjective, regularization: 0.1 }],
  ])('trains the model that f64 trains, for %s', async (_, objective) => {
    const byUser = buildProblem({ rows: 77, cols: 53, factors: FACTORS, objective, seed: 12 }).block;
    const byItem = transpose(byUser);
    const start = new Float32Array(byItem.rows * FACTORS);
    initFactors(start, {
      seed: 1,
      side: 'items',
      rowStart: 0,
      rowEnd: byItem.rows,
      factors: FACTORS,
      stdDev: 1,
    });
    const found = await train(device(), byUser, byItem, start, objective);

    let users: ArrayLike<number> = [];
    let items: ArrayLike<number> = start;
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      users = referenceSolve(byUser, items, FACTORS, objective);
      items = referenceSolve(byItem, users, FACTORS, objective);
    }
    const loss = referenceLoss(byUser, users, items, FACTORS, objective);
    const foundLoss = referenceLoss(byUser, found.users, found.items, FACTORS, objective);
    expect(Math.abs(foundLoss / loss - 1)).toBeLessThan(TOLERANCES.loss);
    expect(Math.max(...rowDistances(found.users, users, FACTORS))).toBeLessThan(TOLERANCES.factors);
    expect(Math.max(...rowDistances(found.items, items, FACTORS))).toBeLessThan(TOLERANCES.factors);
    const best = (x: ArrayLike<number>, y: ArrayLike<number>) =>
      referenceTopN({
        queries: x,
        count: byUser.rows,
        items: y,
        itemCount: byItem.rows,
        factors: FACTORS,
        n: 10,
      }).map((ranking) => ranking.ids);
    expect(overlap(best(found.users, found.items), best(users, items))).toBeGreaterThan(TOLERANCES.overlap);
  });
}

async function train(
  device: ComputeDevice,
  byUser: Csr,
  byItem: Csr,
  start: Float32Array,
  objective: IalsObjective,
): Promise<{ users: Float32Array; items: Float32Array }> {
  const users = await device.createTable(byUser.rows, FACTORS);
  const items = await device.createTable(byItem.rows, FACTORS);
  await device.write(items, 0, start);
  const solver: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };
  let gram = packedGramOf(start, byItem.rows, FACTORS);
  const phase = async (block: Csr, fixed: FactorTable, target: FactorTable): Promise<void> => {
    const full = unpackGram(gram, FACTORS);
    const result = await device.solveBlock({ block, fixed, gram: full, objective, solver, wantLoss: false });
    await device.write(target, 0, result.rows);
    gram = result.gram;
  };
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    await phase(byUser, items, users);
    await phase(byItem, users, items);
  }
  const result = {
    users: await device.read(users, 0, byUser.rows),
    items: await device.read(items, 0, byItem.rows),
  };
  users.dispose();
  items.dispose();
  return result;
}

/** Part of the lists' items that both have. */
function overlap(a: number[][], b: number[][]): number {
  const shared = a.reduce((sum, ids, q) => sum + ids.filter((id) => b[q]!.includes(id)).length, 0);
  return shared / a.flat().length;
}
