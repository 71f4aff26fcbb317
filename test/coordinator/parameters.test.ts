// Tables by clock, sums in block order.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { FactorTables } from '../../coordinator/parameters/factor-tables.js';
import { PhaseSums } from '../../coordinator/parameters/phase-sums.js';
import { packedGramLength, packedGramOf } from '../../models/gram.js';

const FACTORS = 3;

function randomRows(count: number, seed = 1): Float32Array {
  const random = createRandom(seed, 5);
  return Float32Array.from({ length: count * FACTORS }, () => random.normal());
}

describe('sums of a phase', () => {
  it('have the same bits in whatever order the blocks arrive', () => {
    const blocks = Array.from({ length: 9 }, (_, index) => ({
      gram: packedGramOf(randomRows(20, index), 20, FACTORS),
      loss: { observed: 0.1 * (index + 1) ** 3, penalty: [1, 1e16, -1e16][index % 3]! },
    }));
    const sumIn = (order: number[]) => {
      const sums = new PhaseSums(blocks.length, FACTORS);
      for (const index of order) sums.add(index, blocks[index]!);
      expect(sums.isComplete).toBe(true);
      return { gram: [...sums.gram], ...sums.loss };
    };
    const inOrder = sumIn(blocks.map((_, index) => index));
    fc.assert(
      fc.property(fc.shuffledSubarray([...blocks.keys()], { minLength: 9 }), (order) => {
        expect(sumIn(order)).toEqual(inOrder);
      }),
    );
    // The sum depends on the order of additions, or this shows nothing.
    const backwards = blocks.reduceRight((sum, { loss }) => sum + loss.penalty, 0);
    expect(backwards).not.toBe(inOrder.penalty);
  });

  it('are the Gram of all rows', () => {
    const rows = randomRows(50);
    const sums = new PhaseSums(2, FACTORS);
    sums.add(1, { gram: packedGramOf(rows.subarray(30 * FACTORS), 20, FACTORS) });
    expect(sums.isComplete).toBe(false);
    sums.add(0, { gram: packedGramOf(rows, 30, FACTORS) });
    const whole = packedGramOf(rows, 50, FACTORS);
    sums.gram.forEach((value, at) => {
      expect(value).toBeCloseTo(whole[at]!, 10);
    });
    expect(sums.loss).toBeUndefined();
  });

  it('refuse a block twice', () => {
    const sums = new PhaseSums(3, FACTORS);
    const gram = new Float64Array(packedGramLength(FACTORS));
    sums.add(0, { gram });
    sums.add(2, { gram });
    expect(() => sums.add(0, { gram })).toThrow(/once/);
    expect(() => sums.add(2, { gram })).toThrow(/once/);
  });
});

describe('tables', () => {
  it('show rows of the next clock only once it is complete, and then all together', () => {
    const tables = new FactorTables({ users: 4, items: 2, factors: FACTORS });
    tables.next('users', 1, 3).set(randomRows(2));
    expect(tables.current('users').every((x) => x === 0)).toBe(true);
    expect(tables.at('users', 1)).toBeUndefined();
    const before = tables.current('users');
    tables.commit('users');
    expect(tables.at('users', 0)).toBeUndefined();
    expect(tables.at('users', 1)!.subarray(FACTORS, 3 * FACTORS)).toEqual(randomRows(2));
    expect(before.every((x) => x === 0)).toBe(true);
    expect(tables.clock('items')).toBe(0);
  });

  it('take twice the bytes of one table and no more', () => {
    const tables = new FactorTables({ users: 1000, items: 10, factors: 16 });
    const buffers = new Set<ArrayBufferLike>();
    let bytes = 0;
    for (let phase = 0; phase < 6; phase++) {
      const { buffer } = tables.current('users');
      if (!buffers.has(buffer)) bytes += buffer.byteLength;
      buffers.add(buffer);
      tables.next('users', 0, 1000).set(new Float32Array(1000 * 16));
      tables.commit('users');
    }
    expect(bytes).toBe(2 * 1000 * 16 * 4);
  });
});
