// Rounding to bfloat16, against the nearest of all bfloat16 numbers, found by search.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBfloat16, roundToBfloat16, toBfloat16 } from '../../common/bfloat16.js';
import { bytesOf } from '../../common/row-chunks.js';

/** Every finite bfloat16, ascending: sign, 8 bits of exponent and 7 of fraction, by the definition of the format. */
const FINITE = (() => {
  const positive: number[] = [];
  for (let exponent = 0; exponent < 255; exponent++) {
    for (let fraction = 0; fraction < 128; fraction++) {
      positive.push(
        exponent === 0 ? (fraction / 128) * 2 ** -126 : (1 + fraction / 128) * 2 ** (exponent - 127),
      );
    }
  }
  return positive;
})();

/** The nearest finite bfloat16 of a number, of two the one whose last bit is 0. */
function nearest(x: number): number {
  const magnitude = Math.abs(x);
  let low = 0;
  let high = FINITE.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (FINITE[middle]! <= magnitude) low = middle;
    else high = middle - 1;
  }
  const above = FINITE[low + 1] ?? 2 ** 128;
  const [down, up] = [magnitude - FINITE[low]!, above - magnitude];
  const found = down < up || (down === up && low % 2 === 0) ? FINITE[low]! : above;
  return Math.sign(x) * (found === 2 ** 128 ? Number.POSITIVE_INFINITY : found);
}

describe('bfloat16', () => {
  it('is the nearest number that 16 bits have, ties to even', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (x) => {
        const rounded = Float32Array.of(x);
        roundToBfloat16(rounded);
        expect(rounded[0]).toBe(x === 0 ? x : nearest(x));
      }),
      { numRuns: 5000 },
    );
    const ties = Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -(1 + 2 ** -8));
    roundToBfloat16(ties);
    expect([...ties]).toEqual([1, 1 + 2 ** -6, -1]);
  });

  it('keeps what is not finite not finite', () => {
    const bits = Uint32Array.of(0x7f800000, 0xff800000, 0x7f800001, 0xffffffff, 0x7fffffff, 0x7f7fffff);
    const numbers = new Float32Array(bits.buffer);
    roundToBfloat16(numbers);
    expect([...numbers]).toEqual([Infinity, -Infinity, NaN, NaN, NaN, Infinity]);
  });

  it('comes back from any place in memory as it was rounded', () => {
    const numbers = Float32Array.from({ length: 33 }, (_, n) => Math.sin(n) * 10 ** (n - 16));
    const bytes = bytesOf(toBfloat16(numbers));
    roundToBfloat16(numbers);
    for (const shift of [0, 1, 2, 3]) {
      const memory = Buffer.alloc(bytes.length + shift);
      memory.set(bytes, shift);
      const out = new Float32Array(33);
      fromBfloat16(memory.subarray(shift), out);
      expect(out).toEqual(numbers);
    }
  });
});
