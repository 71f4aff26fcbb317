// What one learner can change, measured on whole matrices that are built the slow way, never exceeds what the noise is
// made for; and a learner who reaches every bound comes close to it.

import { describe, expect, it } from 'vitest';
import { createRandom, type Random } from '../../../common/random.js';
import {
  boundWeights,
  clipRows,
  countShares,
  requireDirections,
  type WeightRule,
} from '../../../federation/privacy/bound-learners.js';
import {
  type LearnerBounds,
  type ReleaseKind,
  residualMaxOf,
  sensitivitiesOf,
} from '../../../federation/privacy/learner-bounds.js';
import type { Csr } from '../../../models/csr.js';

const ITEMS = 40;
const K = 5;

interface Case {
  bounds: LearnerBounds;
  rule: WeightRule;
  rows: Csr;
  factors: Float32Array;
}

/** Random bounds and one learner that keeps none of them: few or all items, weights and rows of any size. */
function fuzzedCase(random: Random): Case {
  const size = (low: number, high: number) => Math.exp(Math.log(low) + random.next() * Math.log(high / low));
  const bounds: LearnerBounds = {
    rowsMax: 1 + random.int(30),
    rowNormMax: size(0.05, 20),
    weightMax: size(0.1, 10),
    targetMax: size(0.5, 3),
    directionNormMax: size(0.1, 10),
    residualMax: size(0.1, 5),
  };
  const share = random.next();
  const idx = Array.from({ length: ITEMS }, (_, item) => item).filter(() => random.next() < share);
  const isBinary = random.int(3) === 0;
  const rows: Csr = {
    rows: 1,
    cols: ITEMS,
    ptr: Int32Array.of(0, idx.length),
    idx: Int32Array.from(idx),
    values: isBinary ? undefined : Float32Array.from(idx, () => (random.int(8) === 0 ? 0 : size(1e-3, 1e3))),
  };
  const rule: WeightRule =
    random.int(2) === 0
      ? { kind: 'scale' }
      : {
          kind: 'adaptive',
          counts: Float64Array.from({ length: ITEMS }, () => random.normal() * 300),
          exponent: random.next(),
        };
  const length = size(1e-3, 1e3);
  return { bounds, rule, rows, factors: Float32Array.from({ length: K }, () => random.normal() * length) };
}

/** Norms of everything that a learner adds to the sums of all items, by matrices in full. */
function changesOf({ bounds, rule, rows, factors }: Case, random: Random): Record<ReleaseKind, number> {
  const bounded = boundWeights(rows, bounds, rule);
  const x = factors.slice();
  clipRows(x, K, bounds.rowNormMax);
  const squares = { statistics: 0, targets: 0, cgProduct: 0, residual: 0, itemCounts: 0 };
  const shares = countShares(rows, bounds.rowsMax);
  for (let e = 0; e < bounded.ptr[1]!; e++) {
    const w = bounded.values![e]!;
    const direction = Array.from({ length: K }, () => random.normal());
    const length = bounds.directionNormMax! / Math.hypot(...direction);
    const product = direction.reduce((sum, value, k) => sum + value * length * x[k]!, 0);
    const error = (random.int(2) * 2 - 1) * residualMaxOf(bounds);
    for (let r = 0; r < K; r++) {
      for (let c = 0; c < K; c++) squares.statistics += (w * x[r]! * x[c]!) ** 2;
      squares.targets += (w * bounds.targetMax * x[r]!) ** 2;
      squares.cgProduct += (w * product * x[r]!) ** 2;
      squares.residual += (w * error * x[r]!) ** 2;
    }
    squares.itemCounts += shares[0]! ** 2;
  }
  let gram = 0;
  for (let r = 0; r < K; r++) for (let c = 0; c < K; c++) gram += (x[r]! * x[c]!) ** 2;
  const { statistics, targets, cgProduct, residual, itemCounts } = squares;
  return {
    statistics: Math.sqrt(statistics),
    targets: Math.sqrt(targets),
    cgProduct: Math.sqrt(cgProduct),
    residual: Math.sqrt(residual),
    itemCounts: Math.sqrt(itemCounts),
    gram: Math.sqrt(gram),
    learnerCount: 1,
    metric: 1,
  };
}

describe('a learner', () => {
  it('never changes a sum by more than its sensitivity, whatever the data: 10,000 fuzzed ones', () => {
    const random = createRandom(20_231, 1);
    const nearest: Partial<Record<ReleaseKind, number>> = {};
    for (let i = 0; i < 10_000; i++) {
      const one = fuzzedCase(random);
      const changes = changesOf(one, random);
      for (const [kind, limit] of Object.entries(sensitivitiesOf(one.bounds)) as [ReleaseKind, number][]) {
        // f64 rounding of the sums of squares here; f32 weights and rows must stay below on their own.
        if (!(changes[kind] <= limit * (1 + 1e-14))) {
          expect.fail(`learner ${i}: ${kind} changes by ${changes[kind]}, ${limit} was promised`);
        }
        nearest[kind] = Math.max(nearest[kind] ?? 0, changes[kind] / limit);
      }
    }
    // Not by being far too careful: some learner reaches each bound.
    for (const kind of ['statistics', 'targets', 'gram', 'residual', 'itemCounts'] as const) {
      expect(nearest[kind], kind).toBeGreaterThan(0.999);
    }
    expect(nearest.cgProduct).toBeGreaterThan(0.6);
  });

  it('reaches every bound of the statistics when all is at its limit', () => {
    const bounds: LearnerBounds = { rowsMax: 9, rowNormMax: 3, weightMax: 2, targetMax: 1.5 };
    const rows: Csr = {
      rows: 1,
      cols: ITEMS,
      ptr: Int32Array.of(0, 9),
      idx: Int32Array.from([0, 3, 4, 7, 11, 20, 21, 38, 39]),
      values: new Float32Array(9).fill(50),
    };
    const factors = Float32Array.of(300, -400, 0, 0, 0);
    const changes = changesOf(
      { bounds: { ...bounds, directionNormMax: 1 }, rule: { kind: 'scale' }, rows, factors },
      createRandom(1),
    );
    const { statistics, targets, gram } = sensitivitiesOf(bounds);
    expect([statistics, targets, gram]).toEqual([2 * 9 * 3, 2 * 1.5 * 3 * 3, 9]);
    expect(changes.statistics / statistics).toBeCloseTo(1, 5);
    expect(changes.targets / targets).toBeCloseTo(1, 5);
    expect(changes.gram / gram).toBeCloseTo(1, 5);
  });

  it('below all bounds is left exactly as it is', () => {
    const rows: Csr = {
      rows: 2,
      cols: 5,
      ptr: Int32Array.of(0, 2, 5),
      idx: Int32Array.of(0, 4, 1, 2, 3),
      values: Float32Array.of(0.3, 0.7, 0.1, 1, 0.4),
    };
    const bounds: LearnerBounds = { rowsMax: 4, rowNormMax: 2, weightMax: 1, targetMax: 1 };
    expect(boundWeights(rows, bounds).values).toEqual(rows.values);
    const factors = Float32Array.of(0.1, 0.2, -0.3, 1.5, -1, 0.1);
    const before = factors.slice();
    clipRows(factors, 3, 2);
    expect(factors).toEqual(before);
  });

  it('weighs the same whoever else is there', () => {
    const random = createRandom(5);
    const one = fuzzedCase(random);
    const others = fuzzedCase(random);
    const { rows: a } = one;
    const { rows: b } = others;
    const values = (rows: Csr) => rows.values ?? new Float32Array(rows.idx.length).fill(1);
    const together: Csr = {
      rows: 2,
      cols: ITEMS,
      ptr: Int32Array.of(0, b.idx.length, b.idx.length + a.idx.length),
      idx: Int32Array.of(...b.idx, ...a.idx),
      values: Float32Array.of(...values(b), ...values(a)),
    };
    for (const rule of [one.rule, others.rule]) {
      const alone = boundWeights(a, one.bounds, rule).values!;
      expect(boundWeights(together, one.bounds, rule).values!.subarray(b.idx.length)).toEqual(alone);
    }
  });

  it('spends more on rare items where weights adapt, and the same in all', () => {
    const rows: Csr = { rows: 1, cols: 3, ptr: Int32Array.of(0, 3), idx: Int32Array.of(0, 1, 2) };
    const bounds: LearnerBounds = { rowsMax: 3, rowNormMax: 1, weightMax: 1, targetMax: 1 };
    const counts = Float64Array.of(10_000, 625, -12);
    const { values } = boundWeights(rows, bounds, { kind: 'adaptive', counts });
    expect(values![1]! / values![0]!).toBeCloseTo(2, 6);
    expect(values![2]! / values![0]!).toBeCloseTo(10, 6);
    expect(values!.reduce((sum, w) => sum + w * w, 0)).toBeCloseTo(3, 5);
  });

  it.each([
    ['a weight that is not a number', Float32Array.of(1, Number.NaN)],
    ['a negative weight', Float32Array.of(-1, 2)],
    ['an infinite weight', Float32Array.of(1, Number.POSITIVE_INFINITY)],
  ])('with %s is refused', (_, values) => {
    const rows: Csr = { rows: 1, cols: 3, ptr: Int32Array.of(0, 2), idx: Int32Array.of(0, 1), values };
    const bounds: LearnerBounds = { rowsMax: 3, rowNormMax: 1, weightMax: 1, targetMax: 1 };
    expect(() => boundWeights(rows, bounds)).toThrow(/row 0/);
  });

  it('with a row that is not finite is refused', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => clipRows(Float32Array.of(1, 0, 0, bad), 2, 1)).toThrow(/row 1/);
    }
  });

  it('answers no direction that is longer than was agreed, nor one that is not finite', () => {
    const directions = Float64Array.of(0.6, 0.8, 0, -1);
    expect(() => requireDirections(directions, 2, 1)).not.toThrow();
    for (const bad of [0.81, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => requireDirections(Float64Array.of(0, 1, 0.6, bad), 2, 1)).toThrow(/item 1/);
    }
  });

  it.each(['rowsMax', 'rowNormMax', 'weightMax', 'targetMax', 'residualMax'])(
    'needs a %s that is a number',
    (name) => {
      const good: LearnerBounds = { rowsMax: 3, rowNormMax: 1, weightMax: 1, targetMax: 1 };
      for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(() => sensitivitiesOf({ ...good, [name]: bad })).toThrow(name);
      }
      if (name === 'rowsMax') expect(() => sensitivitiesOf({ ...good, rowsMax: 2.5 })).toThrow('rowsMax');
    },
  );
});
