// What every BlockDescent is held to: samples number for number those of `drawSamples`, steps those of the definition in
// float64 but for rounding, the same bits whenever they are done, and wrong or endless input refused or ended.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import { bprDescent, bprLoss } from '../../models/reference/bpr.js';
import { mfDescent, mfLoss } from '../../models/reference/mf.js';
import type { BlockDescent, DescendTask } from '../../models/sgd/block-descent.js';
import { drawSamples, type TaskSamples } from '../../models/sgd/draw-samples.js';
import { learningRate } from '../../models/sgd/learning-rate.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { type SgdSettings, sgdColumns } from '../../models/sgd/sgd-settings.js';
import {
  descentProblem,
  initialRows,
  itemCounts,
  rowsOfItems,
  sgdSettings,
} from '../support/sgd-problems.js';

export interface DescentSuite {
  open: () => Promise<{ descent: BlockDescent; close: () => Promise<void> }>;
  /** Greatest distance of a number from the definition's, as a part of the greatest number. */
  tolerance: number;
}

export function describeBlockDescent(name: string, suite: DescentSuite): void {
  describe(name, () => {
    let descent: BlockDescent;
    let close: () => Promise<void>;
    beforeAll(async () => {
      ({ descent, close } = await suite.open());
    });
    afterAll(() => close());

    it.each([
      ['bpr', 'uniform', 1, 1],
      ['bpr', 'uniform', 3, 1],
      ['bpr', 'popularity', 4, 3],
      ['mf', 'uniform', 3, 2],
    ] as const)(
      'draws the samples of %s, %s, %i steps an epoch, %i at a time',
      async (model, negatives, stepsPerEpoch, stepsPerTask) => {
        const interactions = descentProblem({ users: 40, items: 60, longest: 58, seed: 3 });
        for (const [block, seed] of [
          [0, 5],
          [7, 2 ** 40 + 11],
        ] as const) {
          const settings = sgdSettings({ model, negatives, stepsPerEpoch, seed });
          const sampler = new NegativeSampler(itemCounts(interactions), settings);
          for (let step = 0; step < 2 * stepsPerEpoch; step += stepsPerTask) {
            const range = [step, step + stepsPerTask] as const;
            const expected = drawSamples({ interactions, block, settings, sampler }, ...range);
            const { samples } = await draw(descent, interactions, settings, range, block);
            expect(plain(samples)).toEqual(plain(expected));
          }
        }
      },
    );

    it('leaves a sample out where the user took everything', async () => {
      const items = 9;
      const idx = Int32Array.from({ length: items + 1 }, (_, n) => (n < items ? n : 4));
      const interactions: Csr = { rows: 2, cols: items, ptr: Int32Array.of(0, items, items + 1), idx };
      const settings = sgdSettings({ stepsPerEpoch: 1 });
      const { samples } = await draw(descent, interactions, settings, [0, 1], 0);
      const [step] = samples.steps as [TaskSamples['steps'][number]];
      const users = [...step.users];
      expect(step.count).toBe(items + 1);
      for (let n = 0; n < step.count; n++) expect(step.negatives[n]! < 0).toBe(users[n] === 0);
      const { result } = await descent.descend(taskOf(settings, samples, 2));
      expect(result.sampleCount).toBe(1);
    });

    it('draws nothing of a block without interactions, and changes nothing by it', async () => {
      const settings = sgdSettings();
      const empty: Csr = { rows: 3, cols: 5, ptr: new Int32Array(4), idx: new Int32Array(0) };
      const { samples } = await draw(descent, empty, settings, [0, 3], 0);
      expect(samples.items.length).toBe(0);
      const task = taskOf(settings, samples, 3);
      const { result } = await descent.descend(task);
      expect(result).toMatchObject({ loss: 0, sampleCount: 0 });
      expect([...result.users]).toEqual([...task.users]);
    });

    it.each([
      ['bpr', 1],
      ['bpr', 19],
      ['bpr', 64],
      ['bpr', 130],
      ['mf', 1],
      ['mf', 16],
      ['mf', 37],
      ['mf', 128],
    ] as const)(
      'goes through the steps of %s with %i factors as the definition does',
      async (model, factors) => {
        const mean = model === 'mf' ? 3 : 0;
        const change = {
          model,
          factors,
          mean,
          schedule: 'inverse',
          decay: 0.5,
          regularization: 0.03,
        } as const;
        const settings = sgdSettings(change);
        const interactions = descentProblem({ users: 30, items: 50, longest: 20, seed: factors });
        const { samples } = await draw(descent, interactions, settings, [1, 5], 2);
        const task = taskOf(settings, samples, 30);
        const { result } = await descent.descend(task);
        const expected = referenceDescent(task);
        const scale = Math.max(...expected.users.map(Math.abs), ...expected.items.map(Math.abs));
        expect(distance(result.users, expected.users) / scale).toBeLessThan(suite.tolerance);
        const items = task.items.map((value, n) => value + result.deltas[n]!);
        expect(distance(items, expected.items) / scale).toBeLessThan(suite.tolerance);
        expect([...result.counts]).toEqual(expected.counts);
        expect(result.sampleCount).toBe(expected.samples);
        expect(Math.abs(result.loss / expected.loss - 1)).toBeLessThan(suite.tolerance);
      },
    );

    it('gives the same bits for what is done at once as for what is done alone', async () => {
      const settings = sgdSettings({ factors: 33 });
      const interactions = descentProblem({ users: 60, items: 80, longest: 30, seed: 8 });
      const tasks = await Promise.all(
        [0, 1, 2, 3, 4, 5].map(async (block) => {
          const { samples } = await draw(descent, interactions, settings, [0, 3], block);
          return taskOf(settings, samples, 60);
        }),
      );
      const together = await Promise.all(tasks.map((task) => descent.descend(task)));
      for (const [n, task] of tasks.entries()) {
        const { result } = await descent.descend(task);
        expect([...result.users]).toEqual([...together[n]!.result.users]);
        expect([...result.deltas]).toEqual([...together[n]!.result.deltas]);
        expect(result.loss).toBe(together[n]!.result.loss);
      }
    });

    it('keeps its loss and slope for scores of any size', async () => {
      for (const score of [-1e4, -800, -709, -40, -1e-9, 0, 1e-9, 3, 40, 700, 709, 800, 1e4]) {
        const settings = sgdSettings({ factors: 1, learningRate: 1e-6, regularization: 0 });
        const samples: TaskSamples = {
          items: Int32Array.of(0, 1),
          steps: [
            {
              step: 0,
              count: 1,
              users: Int32Array.of(0),
              positives: Int32Array.of(0),
              negatives: Int32Array.of(1),
              values: new Float32Array(0),
            },
          ],
        };
        const users = Float32Array.of(1, 1);
        const items = Float32Array.of(score, 0, 0, 0);
        const { result } = await descent.descend({ settings, samples, users, items });
        const exact = Math.fround(score);
        const loss = exact > 0 ? Math.log1p(Math.exp(-exact)) : Math.log1p(Math.exp(exact)) - exact;
        expect(Math.abs(result.loss - loss)).toBeLessThanOrEqual(4e-16 * loss + 1e-307);
        expect(result.deltas[1]).toBe(Math.fround(1e-6 / (1 + Math.exp(exact))));
      }
    });

    it('refuses rows that do not fit, and names a descent that runs away', async () => {
      const settings = sgdSettings({ factors: 5 });
      const interactions = descentProblem({ users: 10, items: 20, longest: 9, seed: 1 });
      const { samples } = await draw(descent, interactions, settings, [0, 1], 0);
      const task = taskOf(settings, samples, 10);
      const short = descent.descend({ ...task, users: task.users.subarray(1) });
      await expect(short).rejects.toBeInstanceOf(ShapeError);
      const few = descent.descend({ ...task, items: task.items.subarray(6) });
      await expect(few).rejects.toBeInstanceOf(ShapeError);
      const wild = sgdSettings({ model: 'mf', factors: 5, learningRate: 1e30 });
      const rated = await draw(descent, interactions, wild, [0, 3], 0);
      const away = descent.descend(taskOf(wild, rated.samples, 10));
      await expect(away).rejects.toBeInstanceOf(NumericError);
      await expect(away).rejects.toThrow('lower mf.learning_rate');
      const broken = taskOf(settings, samples, 10);
      broken.items[7] = Number.NaN;
      await expect(descent.descend(broken)).rejects.toBeInstanceOf(NumericError);
    });

    it('rejects with the reason of a signal that is aborted', async () => {
      const settings = sgdSettings();
      const interactions = descentProblem({ users: 10, items: 20, longest: 9, seed: 1 });
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(draw(descent, interactions, settings, [0, 1], 0, signal)).rejects.toThrow('enough');
      const { samples } = await draw(descent, interactions, settings, [0, 1], 0);
      await expect(descent.descend(taskOf(settings, samples, 10), signal)).rejects.toThrow('enough');
    });
  });
}

function draw(
  descent: BlockDescent,
  interactions: Csr,
  settings: SgdSettings,
  [stepStart, stepEnd]: readonly [number, number],
  block: number,
  signal?: AbortSignal,
) {
  const { model, negatives, seed, stepsPerEpoch } = settings;
  const runId = [model, negatives, seed, stepsPerEpoch, interactions.cols, interactions.idx.length].join();
  const counts = itemCounts(interactions);
  const task = { runId, settings, itemCounts: counts, interactions, block, stepStart, stepEnd };
  return descent.draw(task, signal);
}

function taskOf(settings: SgdSettings, samples: TaskSamples, rows: number): DescendTask {
  const users = initialRows(settings, 'users', rows);
  return { settings, samples, users, items: rowsOfItems(settings, samples.items) };
}

/** Samples as plain lists, their lengths included. */
function plain({ items, steps }: TaskSamples) {
  const lists = steps.map(({ step, count, users, positives, negatives, values }) => [
    [step, count],
    [...users],
    [...positives],
    [...negatives],
    [...values],
  ]);
  return { items: [...items], lists };
}

function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let n = 0; n < a.length; n++) {
    const apart = Math.abs(a[n]! - b[n]!);
    if (!(apart <= most)) most = apart;
  }
  return most;
}

/** The task by models/reference, one sample after the other in float64. */
function referenceDescent({ settings, samples, users, items }: DescendTask) {
  const { model, factors, regularization, mean } = settings;
  const columns = sgdColumns(model, factors);
  const rowOf = (rows: ArrayLike<number>, row: number, bias: number) => ({
    factors: Array.from({ length: factors }, (_, k) => rows[row * columns + k]!),
    bias: rows[row * columns + bias] ?? 0,
  });
  const put = (
    to: number[],
    row: number,
    from: { factors: readonly number[]; bias: number },
    bias: number,
  ) => {
    for (let k = 0; k < factors; k++) to[row * columns + k] = from.factors[k]!;
    if (bias >= 0) to[row * columns + bias] = from.bias;
  };
  const out = {
    users: [...users],
    items: [...items],
    counts: new Array<number>(samples.items.length).fill(0),
  };
  let loss = 0;
  let counted = 0;
  for (const step of samples.steps) {
    const rate = learningRate(settings, step.step);
    for (let n = 0; n < step.count; n++) {
      const [u, i] = [step.users[n]!, step.positives[n]!];
      if (model === 'bpr') {
        const j = step.negatives[n]!;
        if (j < 0) continue;
        const triple = {
          user: rowOf(out.users, u, factors).factors,
          positive: rowOf(out.items, i, factors),
          negative: rowOf(out.items, j, factors),
        };
        loss += bprLoss(triple, 0);
        const moved = bprDescent(triple, rate, regularization);
        put(out.users, u, { factors: moved.user, bias: 0 }, -1);
        put(out.items, i, moved.positive, factors);
        put(out.items, j, moved.negative, factors);
        out.counts[j]!++;
      } else {
        const user = rowOf(out.users, u, factors + 1);
        const item = rowOf(out.items, i, factors);
        const o = { rating: step.values[n]!, mean, regularization, learningRate: rate };
        loss += 2 * mfLoss(user, item, { ...o, regularization: 0 });
        const moved = mfDescent(user, item, o);
        put(out.users, u, moved.user, factors + 1);
        put(out.items, i, moved.item, factors);
      }
      out.counts[i]!++;
      counted++;
    }
  }
  return { ...out, loss, samples: counted };
}
