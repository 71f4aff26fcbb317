// The ranking kernel against a full sort of all scores in f64.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import { RankAborted, type TopNInput, topN } from '../../models/rank/top-n.js';
import { referenceTopN } from '../../models/reference/top-n.js';

const shapes = fc.record({
  count: fc.integer({ min: 0, max: 70 }),
  itemCount: fc.integer({ min: 0, max: 150 }),
  factors: fc.integer({ min: 1, max: 19 }),
  n: fc.integer({ min: 1, max: 40 }),
  seed: fc.nat(),
  excludes: fc.boolean(),
});

describe('the ranking', () => {
  it('is that of a full sort, whatever the shape, with and without exclusions', () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const input = buildInput(shape);
        const { ids, scores } = topN(input);
        for (const [q, expected] of referenceTopN(input).entries()) {
          const found = [...ids.subarray(q * input.n, (q + 1) * input.n)];
          // Whole numbers: sums are exact in f32, so that ties are ties and the order is fixed.
          expect(found.slice(0, expected.ids.length)).toEqual(expected.ids);
          expect([...scores.subarray(q * input.n, q * input.n + expected.ids.length)]).toEqual(
            expected.scores,
          );
          expect(found.slice(expected.ids.length).every((id) => id === -1)).toBe(true);
          const rest = scores.subarray(q * input.n + expected.ids.length, (q + 1) * input.n);
          expect(rest.every((score) => score === Number.NEGATIVE_INFINITY)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('rounds a sum in f64 once', () => {
    const random = createRandom(5);
    const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
    const input = {
      queries: draw(40 * 33),
      count: 40,
      items: draw(90 * 33),
      itemCount: 90,
      factors: 33,
      n: 10,
    };
    const { ids, scores } = topN(input);
    for (const [q, expected] of referenceTopN(input).entries()) {
      expect([...ids.subarray(q * 10, q * 10 + 10)]).toEqual(expected.ids);
      expect([...scores.subarray(q * 10, q * 10 + 10)]).toEqual(expected.scores.map(Math.fround));
    }
  });

  it('gives a query the same bits alone and among others', () => {
    const random = createRandom(6);
    const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
    const input = {
      queries: draw(37 * 21),
      count: 37,
      items: draw(131 * 21),
      itemCount: 131,
      factors: 21,
      n: 9,
    };
    const all = topN(input);
    for (let q = 0; q < 37; q++) {
      const alone = topN({ ...input, queries: input.queries.subarray(q * 21, (q + 1) * 21), count: 1 });
      expect(alone.ids).toEqual(all.ids.subarray(q * 9, (q + 1) * 9));
      expect(alone.scores).toEqual(all.scores.subarray(q * 9, (q + 1) * 9));
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses an item with a factor of %f, naming it', (bad) => {
    const input = buildInput({ count: 35, itemCount: 100, factors: 5, n: 3, seed: 1, excludes: false });
    input.items[77 * 5 + 2] = bad;
    expect(() => topN(input)).toThrow(
      expect.objectContaining({
        constructor: NumericError,
        code: 'STOA_NUMERIC_NOT_FINITE',
        message: 'item row 77 has a factor that is not finite; the model cannot be ranked',
      }),
    );
  });

  it('refuses a query with a factor that is not finite, naming it', () => {
    const input = buildInput({ count: 35, itemCount: 100, factors: 5, n: 3, seed: 1, excludes: false });
    input.queries[34 * 5] = Number.NaN;
    expect(() => topN({ ...input, queryStart: 1000 })).toThrow(
      /query row 1034 has a factor that is not finite/,
    );
  });

  it('refuses scores beyond f32', () => {
    const big = new Float32Array(4).fill(1e30);
    const input = { queries: big, count: 1, items: big, itemCount: 1, factors: 4, n: 1 };
    expect(() => topN(input)).toThrow(/a score of query row 0 is too large for f32/);
  });

  it('refuses lengths that disagree', () => {
    const input = buildInput({ count: 3, itemCount: 10, factors: 5, n: 3, seed: 1, excludes: true });
    const { exclude } = input;
    expect(() => topN({ ...input, itemCount: 11 })).toThrow(ShapeError);
    expect(() => topN({ ...input, count: 4 })).toThrow(/the queries: length 15 where 20 was expected/);
    expect(() => topN({ ...input, exclude: { ...exclude!, rows: 2 } })).toThrow(/rows of exclude/);
    expect(() => topN({ ...input, n: 0 })).toThrow(/n is 0/);
  });

  it('ends when the caller no longer wants it', () => {
    const input = buildInput({ count: 3, itemCount: 100, factors: 5, n: 3, seed: 1, excludes: true });
    let asked = 0;
    expect(() => topN({ ...input, isAborted: () => ++asked > 1 })).toThrow(RankAborted);
  });
});

/** Small whole numbers, so that equal scores are frequent. */
function buildInput(o: {
  count: number;
  itemCount: number;
  factors: number;
  n: number;
  seed: number;
  excludes: boolean;
}): TopNInput {
  const random = createRandom(o.seed);
  const draw = (length: number) => Float32Array.from({ length }, () => random.int(5) - 2);
  const rows = Array.from({ length: o.count }, () => {
    const part = random.next() ** 2;
    return Array.from({ length: o.itemCount }, (_, item) => item).filter(() => random.next() < part);
  });
  const ptr = new Int32Array(o.count + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  const exclude: Csr = { rows: o.count, cols: o.itemCount, ptr, idx: Int32Array.from(rows.flat()) };
  return {
    queries: draw(o.count * o.factors),
    count: o.count,
    items: draw(o.itemCount * o.factors),
    itemCount: o.itemCount,
    factors: o.factors,
    n: o.n,
    exclude: o.excludes ? exclude : undefined,
  };
}
