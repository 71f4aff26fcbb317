// Grams against sums written out entry by entry.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { addPackedGram, packedGramOf, unpackGram } from '../../models/gram.js';
import { referenceGram } from '../../models/reference/gram.js';

const shapes = fc.record({
  n: fc.integer({ min: 0, max: 200 }),
  factors: fc.integer({ min: 1, max: 21 }),
  seed: fc.nat(),
});

describe('the packed Gram', () => {
  it('holds FᵀF, whatever the shape', () => {
    fc.assert(
      fc.property(shapes, ({ n, factors, seed }) => {
        const rows = randomRows(n, factors, seed);
        const full = unpackGram(packedGramOf(rows, n, factors), factors);
        const expected = referenceGram(rows, n, factors);
        const scale = Math.max(...expected.map(Math.abs));
        for (const [i, value] of full.entries()) {
          expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(1e-13 * scale);
        }
      }),
    );
  });

  it('counts only the first n rows', () => {
    const rows = randomRows(7, 5, 1);
    expect(packedGramOf(rows, 4, 5)).toEqual(packedGramOf(rows.subarray(0, 20), 4, 5));
  });

  it('of chunks adds up to the Gram of the whole', () => {
    const rows = randomRows(130, 6, 2);
    const sum = packedGramOf(rows.subarray(0, 77 * 6), 77, 6);
    addPackedGram(sum, packedGramOf(rows.subarray(77 * 6), 53, 6));
    const whole = packedGramOf(rows, 130, 6);
    for (const [i, value] of sum.entries()) expect(value).toBeCloseTo(whole[i]!, 10);
  });

  it('lies row by row below the diagonal', () => {
    expect([...unpackGram(Float64Array.of(1, 2, 3, 4, 5, 6), 3)]).toEqual([1, 2, 4, 2, 3, 5, 4, 5, 6]);
  });

  it('goes where the caller wants it', () => {
    const out = new Float64Array(3);
    expect(packedGramOf(Float32Array.of(1, 2, 3, 4), 2, 2, out)).toBe(out);
    expect([...out]).toEqual([10, 14, 20]);
  });
});

function randomRows(n: number, factors: number, seed: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: n * factors }, () => random.normal());
}
