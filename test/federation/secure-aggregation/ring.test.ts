// Fixed point against whole numbers of any size, and the proof that sums do not wrap against the table of vectors.

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeFixedPoint, encodeFixedPoint } from '../../../federation/secure-aggregation/fixed-point.js';
import { planRing, type Ring } from '../../../federation/secure-aggregation/ring.js';
import { packWords, unpackWords, wireBytes } from '../../../federation/secure-aggregation/word-bytes.js';

interface BoundsCase {
  ring_bits: number;
  fraction_bits: number;
  participants: number;
  learners_each: number;
  bound: number;
  log2: number;
  allowed: boolean;
}
const { cases } = JSON.parse(
  readFileSync(new URL('../../vectors/ring-bounds.json', import.meta.url), 'utf8'),
) as { cases: BoundsCase[] };

const RING = planRing({ ringBits: 64, fractionBits: 24, participants: 10, learnersEach: 1e6, bound: 1000 });

function wordsOf(values: number[], ring: Ring = RING): BigUint64Array {
  const words = new BigUint64Array(values.length);
  encodeFixedPoint(Float64Array.from(values), ring, words);
  return words;
}

function valuesOf(words: BigUint64Array, survivors: number, ring: Ring = RING): Float64Array {
  const values = new Float64Array(words.length);
  decodeFixedPoint(words, ring, { survivors, values });
  return values;
}

describe('words of a sum', () => {
  it('are read as the whole numbers that they are, in rings of every size, and refused beyond the bound', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(32, 40, 48, 56, 64),
        fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 62 }),
        (bits, any, magnitudeBits) => {
          // Made by hand: no plan has a magnitude that is just any number.
          const magnitudeMax = 2 ** Math.min(magnitudeBits, bits - 2);
          const ring = { bits, fractionBits: 5, magnitudeMax, participants: 2 } as Ring;
          for (const word of [
            ...any,
            BigInt(magnitudeMax),
            -BigInt(magnitudeMax),
            BigInt(magnitudeMax) + 1n,
          ]) {
            const signed = BigInt.asIntN(bits, word);
            const read = () => valuesOf(BigUint64Array.of(BigInt.asUintN(64, word)), 1, ring);
            const isWithin = signed <= magnitudeMax && signed >= -magnitudeMax;
            if (isWithin) expect(read()).toEqual(Float64Array.of(Number(signed) / 32));
            else expect(read).toThrow('does not add up to a sum');
          }
        },
      ),
    );
  });
});

describe('the plan of a ring', () => {
  it.each(cases)(
    'of $ring_bits bits with $fraction_bits for $participants × $learners_each: $allowed',
    (one) => {
      const plan = () =>
        planRing({
          ringBits: one.ring_bits,
          fractionBits: one.fraction_bits,
          participants: one.participants,
          learnersEach: one.learners_each,
          bound: one.bound,
        });
      const bits = Math.log2(one.participants * one.learners_each * one.bound) + one.fraction_bits;
      expect(bits).toBeCloseTo(one.log2, 2);
      if (one.allowed)
        expect(plan().magnitudeMax).toBe(one.learners_each * one.bound * 2 ** one.fraction_bits);
      else expect(plan).toThrow(expect.objectContaining({ code: 'STOA_USAGE' }));
    },
  );

  it('is refused at exactly half the ring, and taken one below', () => {
    const needs = { ringBits: 40, fractionBits: 0, participants: 2, learnersEach: 1 };
    expect(() => planRing({ ...needs, bound: 2 ** 38 })).toThrow('no fraction fits');
    expect(planRing({ ...needs, bound: 2 ** 38 - 1 }).magnitudeMax).toBe(2 ** 38 - 1);
  });

  it('says how many fraction bits would fit, and they do', () => {
    const needs = { ringBits: 64, participants: 100, learnersEach: 1e6, bound: 100 };
    expect(() => planRing({ ...needs, fractionBits: 32 })).toThrow('at most 29 fraction bits fit');
    expect(planRing({ ...needs, fractionBits: 29 }).fractionBits).toBe(29);
    expect(() => planRing({ ...needs, fractionBits: 30 })).toThrow('at most 29');
  });

  it.each([
    { ringBits: 31 },
    { ringBits: 33 },
    { ringBits: 72 },
    { fractionBits: -1 },
    { fractionBits: 53 },
    { fractionBits: 1.5 },
    { participants: 1 },
    { participants: 256 },
    { learnersEach: 0 },
    { bound: 0 },
    { bound: Number.NaN },
    { bound: Number.POSITIVE_INFINITY },
    { bound: 1e-12 },
  ])('refuses %o', (wrong) => {
    const right = { ringBits: 64, fractionBits: 24, participants: 10, learnersEach: 100, bound: 1 };
    expect(() => planRing({ ...right, ...wrong })).toThrow(expect.objectContaining({ code: 'STOA_USAGE' }));
  });
});

describe('fixed point', () => {
  it('is the nearest whole number of units, as whole numbers of any size say', () => {
    const value = fc.oneof(
      fc.double({ min: -1e9, max: 1e9, noNaN: true }),
      // Whole numbers of units near and above 2^52, where sums of float64 round.
      fc.integer({ min: -3, max: 3 }).map((n) => (2 ** 52 + n) / 2 ** 24),
    );
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 20 }), (values) => {
        const words = wordsOf(values);
        values.forEach((x, n) => {
          // x · 2^1074 is whole for every float64; then half a unit is added and the rest cut off.
          const exact = exactScaled(Math.abs(x));
          const unit = 1n << BigInt(1074 - 24);
          const magnitude = (exact + unit / 2n) / unit;
          expect(words[n]).toBe(BigInt.asUintN(64, x < 0 ? -magnitude : magnitude));
        });
      }),
    );
  });

  it('reaches magnitudes above 2^53 without losing a bit', () => {
    const ring = planRing({
      ringBits: 64,
      fractionBits: 24,
      participants: 2,
      learnersEach: 1,
      bound: 2 ** 37,
    });
    const x = 2 ** 37 - 2 ** -15;
    expect(wordsOf([x, -x], ring)).toEqual(
      BigUint64Array.of((1n << 61n) - 512n, (1n << 64n) - (1n << 61n) + 512n),
    );
    expect([...valuesOf(wordsOf([x, -x], ring), 1, ring)]).toEqual([x, -x]);
  });

  it('rounds halves away from zero, and nothing else up', () => {
    const unit = 2 ** -24;
    const below = 0.49999999999999994;
    const odd = 2 ** 52 + 1;
    const values = [0.5, -0.5, below, -below, 1.5, 2.5, -2.5, odd, -odd].map((x) => x * unit);
    const expected = [1n, -1n, 0n, 0n, 2n, 3n, -3n, 2n ** 52n + 1n, -(2n ** 52n) - 1n];
    expect([...wordsOf(values)].map((word) => BigInt.asIntN(64, word))).toEqual(expected);
  });

  it.each([
    [Number.NaN, 'STOA_NUMERIC_NOT_FINITE'],
    [Number.POSITIVE_INFINITY, 'STOA_NUMERIC_NOT_FINITE'],
    [Number.NEGATIVE_INFINITY, 'STOA_NUMERIC_NOT_FINITE'],
    [1e9 + 1, 'STOA_NUMERIC_RANGE'],
    [-1e9 - 1, 'STOA_NUMERIC_RANGE'],
    [2 ** 64, 'STOA_NUMERIC_RANGE'],
    [Number.MAX_VALUE, 'STOA_NUMERIC_RANGE'],
  ])('refuses %d, leaves no word behind and does not say the value', (bad, code) => {
    const words = new BigUint64Array(3);
    const encode = () => encodeFixedPoint(Float64Array.of(1, bad, 2), RING, words);
    expect(encode).toThrow(expect.objectContaining({ code, fields: { entry: 1 } }));
    expect(words).toEqual(new BigUint64Array(3));
  });

  it('takes the greatest magnitude, and its sum over all participants comes back', () => {
    const greatest = RING.magnitudeMax / 2 ** 24;
    const sum = wordsOf([greatest, -greatest]).map((word) => BigInt.asUintN(64, word * 10n));
    expect([...valuesOf(sum, 10)]).toEqual([10 * greatest, -10 * greatest]);
    expect(() => valuesOf(sum, 9)).toThrow(expect.objectContaining({ code: 'STOA_NUMERIC_RANGE' }));
  });
});

describe('words on the wire', () => {
  it.each([32, 40, 48, 56, 64])('of %i bits come back as they were, to the top of the ring', (ringBits) => {
    const ring = planRing({ ringBits, fractionBits: 8, participants: 2, learnersEach: 1, bound: 1000 });
    const top = (1n << BigInt(ringBits)) - 1n;
    const words = BigUint64Array.of(0n, 1n, top, top >> 1n, 0x0102030405060708n & top);
    const bytes = packWords(words, ring);
    expect(bytes.length).toBe(wireBytes(5, ring));
    const back = new BigUint64Array(5).fill(77n);
    unpackWords(bytes, ring, back);
    expect(back).toEqual(words);
    expect(() => unpackWords(bytes.subarray(1), ring, back)).toThrow(
      expect.objectContaining({ code: 'STOA_SHAPE' }),
    );
  });

  it('of a smaller ring keep sums that went through its top', () => {
    const ring = planRing({ ringBits: 48, fractionBits: 16, participants: 2, learnersEach: 1, bound: 1000 });
    const words = wordsOf([-2.5, 2.5, -0.25], ring);
    const mask = BigUint64Array.of(2n ** 64n - 1n, 2n ** 63n, 12345n);
    const masked = words.map((word, n) => word + mask[n]!);
    const received = new BigUint64Array(3);
    unpackWords(packWords(masked, ring), ring, received);
    const sum = received.map((word, n) => word - mask[n]!);
    expect([...valuesOf(sum, 1, ring)]).toEqual([-2.5, 2.5, -0.25]);
  });
});

/** x · 2^1074, from the bits of the float64. */
function exactScaled(x: number): bigint {
  const bits = new BigUint64Array(Float64Array.of(x).buffer)[0]!;
  const exponent = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & ((1n << 52n) - 1n);
  return exponent === 0 ? fraction : (fraction | (1n << 52n)) << BigInt(exponent - 1);
}
