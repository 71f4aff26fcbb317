// Steps of stochastic gradient descent against the f64 reference, and the reference against finite differences.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../common/errors.js';
import { type BprTriple, bprDescent, bprLoss } from '../../models/reference/bpr.js';
import { type BiasedRow, mfDescent, mfLoss } from '../../models/reference/mf.js';
import { bprStep, logisticLoss } from '../../models/sgd/bpr-step.js';
import { drawSamples } from '../../models/sgd/draw-samples.js';
import { learningRate } from '../../models/sgd/learning-rate.js';
import { mfStep } from '../../models/sgd/mf-step.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { SgdAborted, sgdBlock } from '../../models/sgd/sgd-block.js';
import { type SgdSettings, sgdColumns } from '../../models/sgd/sgd-settings.js';
import { randomInteractions } from '../support/random-dataset.js';
import { initialRows, itemCounts, sgdSettings } from '../support/sgd-problems.js';

/** Values are rounded to f32 once a sample; a few hundred of them wander no further. */
const TOLERANCE = 2e-5;

const value = fc.double({ min: -1.5, max: 1.5, noNaN: true });
const rowOf = (length: number) => fc.array(value, { minLength: length, maxLength: length });
const biased = rowOf(4).map(([bias, ...factors]): BiasedRow => ({ bias: bias!, factors }));

describe('the gradient of the reference', () => {
  it('of BPR is the finite difference of its loss', () => {
    const triples = fc.record({ user: rowOf(3), positive: biased, negative: biased });
    fc.assert(
      fc.property(triples, fc.double({ min: 0, max: 0.5, noNaN: true }), (triple, regularization) => {
        const step = 1e-6;
        const after = bprDescent(triple, step, regularization);
        flat(triple).forEach((before, at) => {
          const gradient = (before - flat(after)[at]!) / step;
          const difference = slope((change) => bprLoss(changed(triple, at, change), regularization));
          expect(gradient).toBeCloseTo(difference, 4);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('of ratings is the finite difference of their loss', () => {
    fc.assert(
      fc.property(biased, biased, fc.double({ min: 0.5, max: 5, noNaN: true }), (user, item, rating) => {
        const o = { rating, mean: 2.7, regularization: 0.05, learningRate: 1e-6 };
        const after = mfDescent(user, item, o);
        const rows = (row: BiasedRow) => [...row.factors, row.bias];
        const withChange = (row: BiasedRow, at: number, change: number): BiasedRow => ({
          factors: row.factors.map((factor, k) => (k === at ? factor + change : factor)),
          bias: at === row.factors.length ? row.bias + change : row.bias,
        });
        for (let at = 0; at <= user.factors.length; at++) {
          const ofUser = slope((change) => mfLoss(withChange(user, at, change), item, o));
          const ofItem = slope((change) => mfLoss(user, withChange(item, at, change), o));
          expect((rows(user)[at]! - rows(after.user)[at]!) / 1e-6).toBeCloseTo(ofUser, 3);
          expect((rows(item)[at]! - rows(after.item)[at]!) / 1e-6).toBeCloseTo(ofItem, 3);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe.each(['bpr', 'mf'] as const)('a step of %s', (model) => {
  it.each([1, 2, 7, 16])('does what the reference does sample by sample, with %i factors', (factors) => {
    const { block, settings, samples, users, items } = problem({ model, factors });
    const counts = new Uint32Array(samples.items.length);
    const expected = byReference(settings, samples.steps[0]!, users, items);
    const rows = { users, items, counts, factors };
    const rates = { learningRate: settings.learningRate, regularization: 0.01, mean: settings.mean };
    const sums =
      model === 'bpr' ? bprStep(samples.steps[0]!, rows, rates) : mfStep(samples.steps[0]!, rows, rates);
    expect(block.rows).toBeGreaterThan(1);
    expect(worst(users, expected.users)).toBeLessThan(TOLERANCE);
    expect(worst(items, expected.items)).toBeLessThan(TOLERANCE);
    expect(Math.abs(sums.loss / expected.loss - 1)).toBeLessThan(1e-5);
    expect([...counts]).toEqual(expected.counts);
  });
});

describe('a block task', () => {
  it.each(['bpr', 'mf'] as const)(
    'of %s answers deltas, leaves its inputs alone and keeps the columns of ones',
    (model) => {
      const { settings, samples, users, items } = problem({ model, factors: 5 });
      const [usersBefore, itemsBefore] = [users.slice(), items.slice()];
      const result = sgdBlock({ settings, samples, users, items });
      expect(users).toEqual(usersBefore);
      expect(items).toEqual(itemsBefore);
      const columns = sgdColumns(model, 5);
      expect(column(result.users, columns, 5).every((one) => one === 1)).toBe(true);
      if (model === 'mf') expect(column(result.deltas, columns, 6).every((delta) => delta === 0)).toBe(true);
      expect(result.deltas.some((delta) => delta !== 0)).toBe(true);
      expect(result.sampleCount).toBeGreaterThan(0);
    },
  );

  it('is the same for the same input, and another for another seed, epoch or block', () => {
    const key = (change: object) => {
      const { settings, samples, users, items } = problem({ factors: 5, ...change });
      return [...sgdBlock({ settings, samples, users, items }).users].join();
    };
    expect(key({})).toBe(key({}));
    for (const other of [{ seed: 6 }, { step: 3 }, { block: 1 }]) expect(key(other)).not.toBe(key({}));
  });

  it('that runs away names the learning rate, and a row of another width is refused', () => {
    const { samples, users, items } = problem({ factors: 5 });
    const settings = sgdSettings({ factors: 5, learningRate: 1e30 });
    const run = () => sgdBlock({ settings, samples, users, items });
    expect(run).toThrow(NumericError);
    expect(run).toThrow('lower bpr.learning_rate');
    const short = items.subarray(1);
    expect(() => sgdBlock({ settings, samples, users, items: short })).toThrow(ShapeError);
    expect(() => sgdBlock({ settings, samples, users: users.subarray(1), items })).toThrow(ShapeError);
  });

  it('ends between steps when it is not wanted any more', () => {
    const { settings, samples, users, items } = problem({ factors: 5 });
    const isAborted = () => true;
    expect(() => sgdBlock({ settings, samples, users, items, isAborted })).toThrow(SgdAborted);
  });
});

describe('the loss of a pair', () => {
  it('is finite and exact for scores far from 0', () => {
    expect(logisticLoss(800)).toBe(0);
    expect(logisticLoss(-800)).toBe(800);
    expect(logisticLoss(0)).toBeCloseTo(Math.LN2, 15);
  });
});

describe('the learning rate', () => {
  const at = (change: Partial<SgdSettings>, step: number) =>
    learningRate(sgdSettings({ learningRate: 0.2, epochs: 8, stepsPerEpoch: 4, ...change }), step);

  it('stays, falls as 1 / (1 + decay·epoch), or goes to 0 along a cosine', () => {
    expect(at({}, 31)).toBe(0.2);
    expect(at({ schedule: 'inverse', decay: 0.5 }, 0)).toBe(0.2);
    expect(at({ schedule: 'inverse', decay: 0.5 }, 8)).toBeCloseTo(0.1, 15);
    expect(at({ schedule: 'cosine' }, 0)).toBe(0.2);
    expect(at({ schedule: 'cosine' }, 16)).toBeCloseTo(0.1, 15);
    expect(at({ schedule: 'cosine' }, 32)).toBeCloseTo(0, 15);
  });
});

/** The samples of one step over a small block, with the rows they need. */
function problem(o: Partial<SgdSettings> & { step?: number; block?: number }) {
  const { step = 0, block: index = 0, ...change } = o;
  const mean = change.model === 'mf' ? 2.4 : 0;
  const settings = sgdSettings({ mean, ...change });
  const block = randomInteractions({ users: 30, items: 25, perUser: 6, hasValues: true });
  const sampler = new NegativeSampler(itemCounts(block), settings);
  const samples = drawSamples({ interactions: block, block: index, settings, sampler }, step, step + 1);
  const users = initialRows(settings, 'users', block.rows, 1);
  const all = initialRows(settings, 'items', block.cols, 1);
  const columns = sgdColumns(settings.model, settings.factors);
  const items = new Float32Array(samples.items.length * columns);
  samples.items.forEach((row, n) => {
    items.set(all.subarray(row * columns, (row + 1) * columns), n * columns);
  });
  return { block, settings, samples, users, items };
}

/** The step done by the reference, on numbers of its own. */
function byReference(
  settings: SgdSettings,
  step: ReturnType<typeof problem>['samples']['steps'][number],
  users: Float32Array,
  items: Float32Array,
) {
  const { model, factors: k, learningRate: rate, regularization, mean } = settings;
  const columns = sgdColumns(model, k);
  const outUsers = Float64Array.from(users);
  const outItems = Float64Array.from(items);
  const counts = new Array<number>(items.length / columns).fill(0);
  const row = (table: Float64Array, at: number, biasAt: number): BiasedRow => ({
    factors: [...table.subarray(at * columns, at * columns + k)],
    bias: table[at * columns + biasAt]!,
  });
  const put = (table: Float64Array, at: number, biasAt: number, { factors, bias }: BiasedRow) => {
    table.set(factors, at * columns);
    table[at * columns + biasAt] = bias;
  };
  let loss = 0;
  for (let n = 0; n < step.count; n++) {
    const [u, i] = [step.users[n]!, step.positives[n]!];
    if (model === 'mf') {
      const o = { rating: step.values[n]!, mean, regularization, learningRate: rate };
      const [user, item] = [row(outUsers, u, k + 1), row(outItems, i, k)];
      loss += 2 * mfLoss(user, item, { ...o, regularization: 0 });
      const after = mfDescent(user, item, o);
      put(outUsers, u, k + 1, after.user);
      put(outItems, i, k, after.item);
      counts[i]!++;
      continue;
    }
    const j = step.negatives[n]!;
    if (j < 0) continue;
    const triple: BprTriple = {
      user: row(outUsers, u, k).factors,
      positive: row(outItems, i, k),
      negative: row(outItems, j, k),
    };
    loss += bprLoss(triple, 0);
    const after = bprDescent(triple, rate, regularization);
    outUsers.set(after.user, u * columns);
    put(outItems, i, k, after.positive);
    put(outItems, j, k, after.negative);
    counts[i]!++;
    counts[j]!++;
  }
  return { users: outUsers, items: outItems, loss, counts };
}

function flat({ user, positive, negative }: BprTriple): number[] {
  return [...user, ...positive.factors, positive.bias, ...negative.factors, negative.bias];
}

function changed(triple: BprTriple, at: number, change: number): BprTriple {
  const k = triple.user.length;
  const all = flat(triple);
  all[at]! += change;
  const item = (from: number) => ({ factors: all.slice(from, from + k), bias: all[from + k]! });
  return { user: all.slice(0, k), positive: item(k), negative: item(2 * k + 1) };
}

function slope(loss: (change: number) => number): number {
  return (loss(1e-5) - loss(-1e-5)) / 2e-5;
}

function worst(found: Float32Array, expected: Float64Array): number {
  expect(found.length).toBe(expected.length);
  return Math.max(...found.map((x, at) => Math.abs(x - expected[at]!)));
}

function column(table: Float32Array, columns: number, at: number): Float32Array {
  return table.filter((_, n) => n % columns === at);
}
