// Gradient strategies against steps computed by hand, and on a small problem against its exact solution.

import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../common/random.js';
import { BprTrainer } from '../../../federation/strategies/bpr-trainer.js';
import { FedAdam } from '../../../federation/strategies/fed-adam.js';
import { FedAvg } from '../../../federation/strategies/fed-avg.js';
import { FedProx } from '../../../federation/strategies/fed-prox.js';
import { IalsTrainer } from '../../../federation/strategies/ials-trainer.js';
import type { ItemStrategy, LocalTrainer } from '../../../federation/strategies/strategy.js';
import { columnCounts } from '../../../models/baselines/transpose-csr.js';
import { addPackedGram, packedGramOf, unpackGram } from '../../../models/gram.js';
import { solveBlock } from '../../../models/ials/solve-block.js';
import { referenceLoss } from '../../../models/reference/loss.js';
import { referenceSolve } from '../../../models/reference/solve-rows.js';
import { initSgdRows } from '../../../models/sgd/init-rows.js';
import { NegativeSampler } from '../../../models/sgd/negative-sampler.js';
import type { SgdSettings } from '../../../models/sgd/sgd-settings.js';
import { defaultObjective, huObjective, transpose } from '../../support/ials-problems.js';
import { initialItems, participantsOf, skewedInteractions, takeCensus } from '../ials/federation.js';

/** Minimises (a/2)(y − c)²: every number of a step can be computed by hand. */
class Bowl implements LocalTrainer {
  readonly learningRate = 0.5;
  constructor(
    readonly weight: number,
    readonly a: number,
    readonly c: number,
  ) {}
  step(items: Float32Array): void {
    items[0] = items[0]! - this.learningRate * this.a * (items[0]! - this.c);
  }
}

/** One round of two participants with weights 3 and 1, from y = 2. @returns y after it. */
function roundFrom(strategy: ItemStrategy, items = Float32Array.of(2)): number {
  const sum = strategy.update(items, new Bowl(3, 1, 6));
  addPackedGram(sum, strategy.update(items, new Bowl(1, 0.5, -2)));
  expect(sum[1]).toBe(4);
  strategy.apply(items, sum);
  return items[0]!;
}

describe('a step by hand', () => {
  it('of FedAvg is the mean of the moves by weight', () => {
    // One step: 2 → 2 + 0.5·4 = 4 and 2 → 2 − 0.25·4 = 1; moves 2 and −1; (3·2 − 1)/4 = 1.25.
    expect(roundFrom(new FedAvg({ localSteps: 1 }))).toBe(3.25);
    expect(roundFrom(new FedAvg({ localSteps: 1, serverRate: 0.5 }))).toBe(2.625);
    // A second step: 4 → 5 and 1 → 0.25; moves 3 and −1.75; (9 − 1.75)/4 = 1.8125.
    expect(roundFrom(new FedAvg({ localSteps: 2 }))).toBe(3.8125);
  });

  it('of FedProx pulls later steps back to where the round began', () => {
    // The first step has nothing to pull. The second, μ = 1/2: 5 − 0.25·(4 − 2) = 4.5 and 0.25 − 0.25·(1 − 2) = 0.5;
    // moves 2.5 and −1.5; (7.5 − 1.5)/4 = 1.5.
    expect(roundFrom(new FedProx({ localSteps: 1, mu: 0.5 }))).toBe(3.25);
    expect(roundFrom(new FedProx({ localSteps: 2, mu: 0.5 }))).toBe(3.5);
    expect(roundFrom(new FedProx({ localSteps: 2, mu: 0 }))).toBe(3.8125);
  });

  it('of FedAdam moves by the mean over the root of the square', () => {
    const strategy = new FedAdam({ localSteps: 1, serverRate: 0.5, beta1: 0.5, beta2: 0.75, tau: 0.5 }, 1);
    const items = Float32Array.of(2);
    // Δ = 1.25: m = 0.625, v = 0.75·0.25 + 0.25·1.5625 = 0.578125; y = 2 + 0.5·0.625/(√v + 0.5).
    const first = 2 + 0.3125 / (Math.sqrt(0.578125) + 0.5);
    expect(roundFrom(strategy, items)).toBeCloseTo(first, 6);
    // Δ = (3·0.5(6 − y) − 0.25(y + 2))/4, from the y of before.
    const move = (1.5 * (6 - first) - 0.25 * (first + 2)) / 4;
    const mean = 0.5 * 0.625 + 0.5 * move;
    const square = 0.75 * 0.578125 + 0.25 * move ** 2;
    const second = first + (0.5 * mean) / (Math.sqrt(square) + 0.5);
    const resumed = new FedAdam(
      { localSteps: 1, serverRate: 0.5, beta1: 0.5, beta2: 0.75, tau: 0.5 },
      1,
      structuredClone(strategy.state),
    );
    expect(roundFrom(resumed, items)).toBeCloseTo(second, 6);
  });
});

const ITEMS = 17;
const FACTORS = 4;
const data = skewedInteractions({ users: 60, items: ITEMS, seed: 4 });
const objective = { ...defaultObjective, regularization: 0.05 };

/** The participants with their users solved from these items. */
function trainersOf(items: Float32Array, learningRate: number, of = objective) {
  const participants = participantsOf(data, [2, 8, 20, 30], FACTORS);
  const census = takeCensus(participants);
  const itemGram = unpackGram(packedGramOf(items, ITEMS, FACTORS), FACTORS);
  const users: number[] = [];
  const trainers = participants.map(({ byUser, byItem }) => {
    const { rows, gram } = solveBlock({
      block: byUser,
      fixed: items,
      fixedRows: ITEMS,
      factors: FACTORS,
      gram: itemGram,
      objective: of,
      solver: { name: 'cholesky', cgSteps: 1, block: 1 },
      wantLoss: false,
    });
    users.push(...rows);
    const ownGram = unpackGram(gram, FACTORS);
    return new IalsTrainer({
      byItem,
      users: rows,
      gram: ownGram,
      factors: FACTORS,
      objective: of,
      census,
      learningRate,
    });
  });
  return { trainers, users };
}

function round(strategy: ItemStrategy, items: Float32Array, trainers: readonly LocalTrainer[]): void {
  const sum = new Float64Array(items.length + 1);
  for (const trainer of trainers) addPackedGram(sum, strategy.update(items, trainer));
  strategy.apply(items, sum);
}

describe('on the objective of iALS', () => {
  it.each([
    ['ials', objective],
    ['hu2008', { ...huObjective, alpha: 3, regularization: 1 }],
  ])('one local step of all is a step down the gradient of the whole %s loss', (_name, of) => {
    const items = initialItems(ITEMS, FACTORS, 3).map((y) => 8 * y);
    const rate = 0.01;
    const { trainers, users } = trainersOf(items, rate, of);
    const moved = items.slice();
    round(new FedAvg({ localSteps: 1 }), moved, trainers);
    for (const at of [0, 5, 30, items.length - FACTORS - 1]) {
      const lossAt = (shift: number) => {
        const shifted = Float64Array.from(items);
        shifted[at] = shifted[at]! + shift;
        return referenceLoss(data, users, shifted, FACTORS, of);
      };
      const slope = (lossAt(1e-4) - lossAt(-1e-4)) / 2e-4 / data.rows;
      expect((items[at]! - moved[at]!) / rate).toBeCloseTo(slope, 3);
    }
  });

  it.each<[string, number, () => ItemStrategy]>([
    ['FedAvg', 0.3, () => new FedAvg({ localSteps: 5 })],
    ['FedProx', 0.3, () => new FedProx({ localSteps: 5, mu: 0.1 })],
    ['FedAdam', 0.3, () => new FedAdam({ localSteps: 2, serverRate: 0.05 }, ITEMS * FACTORS)],
  ])('%s comes close to the loss of exact sweeps', (_name, rate, make) => {
    const strategy = make();
    const items = initialItems(ITEMS, FACTORS, 3);
    const losses: number[] = [];
    for (let n = 0; n < 150; n++) {
      const { trainers, users } = trainersOf(items, rate);
      if (n % 149 === 0) losses.push(referenceLoss(data, users, items, FACTORS, objective));
      round(strategy, items, trainers);
    }
    let exact: ArrayLike<number> = initialItems(ITEMS, FACTORS, 3);
    for (let n = 0; n < 30; n++) {
      exact = referenceSolve(
        transpose(data),
        referenceSolve(data, exact, FACTORS, objective),
        FACTORS,
        objective,
      );
    }
    const users = referenceSolve(data, exact, FACTORS, objective);
    const best = referenceLoss(data, users, exact, FACTORS, objective);
    // From the start, nine tenths of the way and more.
    expect((losses[1]! - best) / (losses[0]! - best)).toBeLessThan(0.1);
  });
});

describe('on BPR', () => {
  const settings: SgdSettings = {
    model: 'bpr',
    factors: 6,
    learningRate: 0.15,
    schedule: 'constant',
    decay: 0,
    regularization: 0.001,
    negatives: 'uniform',
    popularityExponent: 0.5,
    seed: 5,
    epochs: 60,
    stepsPerEpoch: 2,
    mean: 0,
  };

  it.each<[string, () => ItemStrategy]>([
    ['FedAvg', () => new FedAvg({ localSteps: 2 })],
    ['FedProx', () => new FedProx({ localSteps: 2, mu: 0.01 })],
    ['FedAdam', () => new FedAdam({ localSteps: 2, serverRate: 0.05 }, ITEMS * 7)],
  ])('%s ranks what learners took above what they did not', (_name, make) => {
    const strategy = make();
    const columns = settings.factors + 1;
    const init = { model: 'bpr', seed: 5, rowStart: 0, factors: settings.factors, stdDev: 0.5 } as const;
    const items = new Float32Array(ITEMS * columns);
    initSgdRows(items, { ...init, side: 'items', rowEnd: ITEMS });
    const sampler = new NegativeSampler(columnCounts(data), settings);
    const participants = participantsOf(data, [2, 8, 20, 30], columns).map(({ byUser, users }, block) => {
      initSgdRows(users, { ...init, seed: block, side: 'users', rowEnd: byUser.rows });
      return {
        byUser,
        users,
        trainer: new BprTrainer({ interactions: byUser, block, settings, sampler }, users),
      };
    });
    const rightShare = () => shareInOrder(participants, items, columns);
    const before = rightShare();
    for (let n = 0; n < 60; n++) {
      round(
        strategy,
        items,
        participants.map(({ trainer }) => trainer),
      );
    }
    expect(before).toBeLessThan(0.6);
    expect(rightShare()).toBeGreaterThan(0.85);
    expect(participants[0]!.trainer.steps).toBe(120);
  });
});

/** Share of drawn (learner, taken, not taken) that are in the right order. */
function shareInOrder(
  participants: readonly {
    byUser: { rows: number; ptr: Int32Array; idx: Int32Array };
    users: Float32Array;
  }[],
  items: Float32Array,
  columns: number,
): number {
  const random = createRandom(9);
  let right = 0;
  let drawn = 0;
  for (const { byUser, users } of participants) {
    for (let user = 0; user < byUser.rows; user++) {
      const taken = byUser.idx.subarray(byUser.ptr[user]!, byUser.ptr[user + 1]!);
      const score = (item: number) => {
        let sum = 0;
        for (let k = 0; k < columns; k++) sum += users[user * columns + k]! * items[item * columns + k]!;
        return sum;
      };
      for (const item of taken) {
        const other = random.int(ITEMS);
        if (taken.includes(other)) continue;
        drawn++;
        if (score(item) > score(other)) right++;
      }
    }
  }
  return right / drawn;
}
