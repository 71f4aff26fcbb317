// The parts of robust aggregation, each against something plainer: definitions, properties, other methods.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../common/random.js';
import { geometricMedian } from '../../../federation/robust/geometric-median.js';
import { type ItemContribution, itemWidth } from '../../../federation/robust/item-contribution.js';
import { maskedGroups } from '../../../federation/robust/masked-groups.js';
import { isPositiveSemidefinite } from '../../../federation/robust/positive-semidefinite.js';
import { robustSums } from '../../../federation/robust/robust-sums.js';
import { symmetricEigen } from '../../../models/dense/symmetric-eigen.js';
import { unpackGram } from '../../../models/gram.js';

const FACTORS = 5;
const WIDTH = itemWidth(FACTORS);

/** Sums over so many made-up learners of one item. */
function contributionOf(source: string, learners: readonly number[][], items = 1): ItemContribution {
  const sums = new Float64Array(items * WIDTH);
  const counts = new Float64Array(items);
  for (const x of learners) {
    counts[0] = counts[0]! + 1;
    let at = 0;
    for (let r = 0; r < FACTORS; r++) for (let c = 0; c <= r; c++, at++) sums[at] = sums[at]! + x[r]! * x[c]!;
    for (let k = 0; k < FACTORS; k++, at++) sums[at] = sums[at]! + x[k]!;
  }
  return { source, counts, sums };
}

function sourcesOf(seed: number, sizes: readonly number[]): ItemContribution[] {
  const random = createRandom(seed, 2);
  return sizes.map((size, index) =>
    contributionOf(
      `s${index}`,
      Array.from({ length: size }, () => Array.from({ length: FACTORS }, () => 0.4 + random.normal())),
    ),
  );
}

const options = { items: 1, factors: FACTORS };

describe('robust sums', () => {
  it('of the plain rule are sums', () => {
    const sources = sourcesOf(1, [3, 8, 2]);
    const { sums, counts } = robustSums(sources, { ...options, rule: 'sum' });
    expect(counts[0]).toBe(13);
    for (let k = 0; k < WIDTH; k++) {
      expect(sums[k]).toBeCloseTo(sources[0]!.sums[k]! + sources[1]!.sums[k]! + sources[2]!.sums[k]!, 10);
    }
  });

  it.each(['trimmed', 'median'] as const)('by %s are the sums where all sources agree', (rule) => {
    const [one] = sourcesOf(2, [6]);
    const same = [1, 2, 5, 3].map((times, index) => ({
      source: `s${index}`,
      counts: one!.counts.map((value) => times * value),
      sums: one!.sums.map((value) => times * value),
    }));
    const { sums, counts } = robustSums(same, { ...options, rule });
    // The one that is left out, or larger than all others, counts as much as the largest of the rest.
    const believed = rule === 'trimmed' ? counts[0]! / one!.counts[0]! : 9;
    expect(counts[0]).toBe(believed * one!.counts[0]!);
    for (let k = 0; k < WIDTH; k++) expect(sums[k]).toBeCloseTo(believed * one!.sums[k]!, 8);
  });

  it.each(['trimmed', 'median'] as const)(
    'by %s stay near the truth whatever one of five sources says',
    (rule) => {
      const honest = sourcesOf(3, [30, 25, 40, 35]);
      const truth = robustSums(honest, { ...options, rule: 'sum' });
      fc.assert(
        fc.property(
          fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: WIDTH, maxLength: WIDTH }),
          fc.integer({ min: 1, max: 1e6 }),
          (numbers, count) => {
            const liar = { source: 'liar', counts: Float64Array.of(count), sums: Float64Array.from(numbers) };
            const { sums, counts } = robustSums([...honest, liar], { ...options, rule });
            // At most as many learners as the largest of the others are believed.
            expect(counts[0]).toBeLessThanOrEqual(170);
            for (let k = 0; k < WIDTH; k++) {
              const average = sums[k]! / counts[0]!;
              expect(Math.abs(average - truth.sums[k]! / 130)).toBeLessThan(1.5);
            }
          },
        ),
      );
    },
  );

  it('are the same in any order of the sources', () => {
    const sources = sourcesOf(4, [5, 9, 3, 7, 4]);
    for (const rule of ['sum', 'trimmed', 'median'] as const) {
      const one = robustSums(sources, { ...options, rule });
      const other = robustSums([...sources].reverse(), { ...options, rule });
      expect(other.counts).toEqual(one.counts);
      for (let k = 0; k < WIDTH; k++) expect(other.sums[k]).toBeCloseTo(one.sums[k]!, 9);
      expect(other.leftOut).toEqual(one.leftOut);
    }
  });

  it.each(['trimmed', 'median'] as const)('by %s stay positive semi-definite', (rule) => {
    for (let seed = 0; seed < 30; seed++) {
      const { sums } = robustSums(sourcesOf(seed, [1, 2, 3, 1, 6, 2]), { ...options, rule });
      const matrix = unpackGram(sums.slice(0, WIDTH - FACTORS), FACTORS);
      const { values } = symmetricEigen(matrix, FACTORS);
      expect(Math.min(...values)).toBeGreaterThan(-1e-9 * Math.max(...values));
    }
  });

  it('of an item that two sources have, or one, are their sums, and such items are counted', () => {
    const sources = sourcesOf(5, [4, 7]);
    const plain = robustSums(sources, { ...options, rule: 'sum' });
    for (const rule of ['trimmed', 'median'] as const) {
      const result = robustSums(sources, { ...options, rule });
      expect(result.sums).toEqual(plain.sums);
      expect(result.unguarded).toBe(1);
    }
    const nobody = contributionOf('nobody', []);
    expect(robustSums([nobody], { ...options, rule: 'median' })).toMatchObject({ unguarded: 0 });
  });

  it('name who was left out of which item', () => {
    const sources = sourcesOf(6, [20, 20, 20, 20]);
    const liar = { ...sources[2]!, sums: sources[2]!.sums.map((value) => 50 * value) };
    const result = robustSums([sources[0]!, sources[1]!, liar, sources[3]!], { ...options, rule: 'trimmed' });
    expect(result.leftOut).toEqual([{ item: 0, source: 's2' }]);
  });

  it('refuse what has another shape', () => {
    const short = { source: 'a', counts: new Float64Array(1), sums: new Float64Array(WIDTH - 1) };
    expect(() => robustSums([short], { ...options, rule: 'sum' })).toThrow(/a sent 1 counts and 19 sums/);
  });
});

describe('the geometric median', () => {
  it('has the least sum of distances, to a thousandth: no step away and no point makes it smaller', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 3, max: 9 }), (seed, count) => {
        const random = createRandom(seed, 1);
        const points = Array.from({ length: count }, () =>
          Float64Array.from({ length: 3 }, () => random.normal()),
        );
        const weights = points.map(() => 0.5 + random.next());
        const cost = (at: ArrayLike<number>) =>
          points.reduce(
            (sum, point, p) => sum + weights[p]! * Math.hypot(...point.map((value, k) => value - at[k]!)),
            0,
          );
        const median = geometricMedian(points, weights);
        for (let step = 0; step < 20; step++) {
          const near = median.map((value) => value + 0.05 * random.normal());
          expect(cost(near)).toBeGreaterThan(0.999 * cost(median));
        }
        for (const point of points) expect(cost(point)).toBeGreaterThan(0.999 * cost(median));
      }),
    );
  });

  it('of points on a line is their median', () => {
    const points = [1, 2, 10, 1000, -5].map((value) => Float64Array.of(value, 2 * value));
    const median = geometricMedian(points, [1, 1, 1, 1, 1]);
    expect(median[0]).toBeCloseTo(2, 2);
    expect(median[1]).toBeCloseTo(4, 2);
  });

  it('of equal points is that point', () => {
    const point = Float64Array.of(3, -1);
    expect(geometricMedian([point, point, point], [1, 2, 3])).toEqual(point);
  });
});

describe('positive semi-definite', () => {
  it('is what eigenvalues say, for matrices of any rank', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), fc.integer({ min: 1, max: 8 }), (seed, n) => {
        const random = createRandom(seed, 9);
        const rank = random.int(n + 1);
        const packed = new Float64Array((n * (n + 1)) / 2);
        for (let term = 0; term < rank; term++) {
          const x = Array.from({ length: n }, () => random.normal());
          for (let r = 0, at = 0; r < n; r++)
            for (let c = 0; c <= r; c++, at++) packed[at] = packed[at]! + x[r]! * x[c]!;
        }
        expect(isPositiveSemidefinite(packed, n)).toBe(true);
        const number = random.int(packed.length);
        packed[number] = packed[number]! + 3 * random.normal();
        const { values } = symmetricEigen(unpackGram(packed, n), n);
        const least = Math.min(...values);
        // Between the two, rounding may decide.
        if (Math.abs(least) > 1e-6) expect(isPositiveSemidefinite(packed, n)).toBe(least > 0);
      }),
    );
  });

  it('forgives what fixed point rounds off, and no more', () => {
    const packed = Float64Array.of(1, 1, 1 - 1e-6);
    expect(isPositiveSemidefinite(packed, 2)).toBe(false);
    expect(isPositiveSemidefinite(packed, 2, 2 ** -20)).toBe(true);
    expect(isPositiveSemidefinite(packed, 2, 2 ** -30)).toBe(false);
  });

  it('finds a row beside a zero on the diagonal', () => {
    expect(isPositiveSemidefinite(Float64Array.of(0, 1, 5), 2)).toBe(false);
    expect(isPositiveSemidefinite(Float64Array.of(0, 0, 0), 2)).toBe(true);
  });
});

describe('groups of masked cohorts', () => {
  it('have everybody once, are no smaller than they must be, and the same in every round and order', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.integer({ min: 1, max: 9 }), fc.nat(1000), (count, sizeMin, seed) => {
        const members = Array.from({ length: count }, (_, index) => `uni-${index}`);
        const groups = maskedGroups(members, sizeMin, seed);
        expect(groups).toHaveLength(Math.floor(count / sizeMin));
        if (groups.length > 0) expect(groups.flat().sort()).toEqual([...members].sort());
        for (const group of groups) expect(group.length).toBeGreaterThanOrEqual(sizeMin);
        const sizes = groups.map((group) => group.length);
        if (groups.length > 0) expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(maskedGroups([...members].reverse(), sizeMin, seed)).toEqual(groups);
      }),
    );
  });

  it('differ from run to run, so that nobody chooses its company', () => {
    const members = Array.from({ length: 20 }, (_, index) => `uni-${index}`);
    const cuts = new Set(
      Array.from({ length: 20 }, (_, seed) => JSON.stringify(maskedGroups(members, 5, seed))),
    );
    expect(cuts.size).toBe(20);
  });
});
