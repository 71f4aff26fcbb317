// The noise: its distribution against the exact one, its sum under drop-outs against what the account assumes. Tests of
// chance say how often they fail by chance alone.

import { describe, expect, it } from 'vitest';
import { chachaWords } from '../../../federation/privacy/chacha-words.js';
import { drawDiscreteGaussian } from '../../../federation/privacy/discrete-gaussian.js';
import { fromGrid, scaleOffDiagonals, toGrid } from '../../../federation/privacy/fixed-point.js';
import { deltaOf } from '../../../federation/privacy/gaussian-privacy.js';
import {
  addNoise,
  type NoiseSetting,
  noiseShareSteps,
  noiseStepsMax,
} from '../../../federation/privacy/noise-share.js';
import { normalCdf } from '../../../federation/privacy/normal-distribution.js';
import { RandomWords } from '../../../federation/privacy/random-words.js';

/** A key of its own for each test: the same noise in every run, so that a test of chance fails never or always. */
function seededWords(seed: number): RandomWords {
  return chachaWords(() => new Uint8Array(32).fill(seed));
}

/**
 * Probability of a χ² this large with that many degrees of freedom, by Wilson and Hilferty's approximation: good to a few
 * per cent, in limits of 1e-6 that are not near what is found.
 */
function chiSquareTail(chiSquare: number, degrees: number): number {
  const spread = 2 / (9 * degrees);
  return normalCdf(-(Math.cbrt(chiSquare / degrees) - (1 - spread)) / Math.sqrt(spread));
}

/** χ² of counts against expected ones, those below 20 taken together. */
function chiSquareOf(counts: readonly number[], expected: readonly number[]): number {
  let sum = 0;
  let degrees = -1;
  let restCount = 0;
  let restExpected = 0;
  const add = (count: number, wanted: number) => {
    sum += (count - wanted) ** 2 / wanted;
    degrees++;
  };
  counts.forEach((count, i) => {
    if (expected[i]! >= 20) add(count, expected[i]!);
    else {
      restCount += count;
      restExpected += expected[i]!;
    }
  });
  if (restExpected > 5) add(restCount, restExpected);
  return chiSquareTail(sum, degrees);
}

describe('random words', () => {
  it.each([1, 2, 3, 5, 6, 7, 64])('are spread evenly below %i (χ², wrong once in 10^6)', (n) => {
    const words = seededWords(n);
    const counts = new Array<number>(n).fill(0);
    for (let i = 0; i < 60_000; i++) counts[words.below(n)]!++;
    if (n === 1) expect(counts).toEqual([60_000]);
    else
      expect(
        chiSquareOf(
          counts,
          counts.map(() => 60_000 / n),
        ),
      ).toBeGreaterThan(1e-6);
  });

  it.each([2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 3 * 2 ** 40 + 7, 2 ** 53])(
    'below %i reach every eighth of the range evenly, and never its end',
    (n) => {
      const words = seededWords(9);
      const counts = new Array<number>(8).fill(0);
      for (let i = 0; i < 16_000; i++) {
        const drawn = words.below(n);
        if (!(Number.isSafeInteger(drawn) && drawn >= 0 && drawn < n)) expect.fail(`${drawn} was drawn`);
        counts[Math.floor((drawn / n) * 8)]!++;
      }
      expect(
        chiSquareOf(
          counts,
          counts.map(() => 2000),
        ),
      ).toBeGreaterThan(1e-6);
    },
  );

  it('draws a word that does not fit again', () => {
    const given = [0xffffffff, 0xc0000000, 0x40000000];
    const words = new RandomWords((buffer) => buffer.fill(given.shift()!), 1);
    expect(words.below(3)).toBe(1);
    expect(given).toEqual([]);
  });

  it('are the key stream of ChaCha20, whose key is wiped, and differ from key to key', () => {
    // RFC 8439, appendix A.1, test vector 1: key and nonce zero, block 0.
    const key = new Uint8Array(32);
    const words = chachaWords(() => key);
    const expected = [0xade0b876, 0x903df1a0, 0xe56a5d40, 0x28bd8653, 0xb819d2bd, 0x1aed8da0];
    expect(expected.map(() => words.next())).toEqual(expected);
    const used = new Uint8Array(32).fill(7);
    chachaWords(() => used).next();
    expect(used).toEqual(new Uint8Array(32));
    expect(chachaWords().next() * 2 ** 32 + chachaWords().next()).not.toBe(
      chachaWords().next() * 2 ** 32 + chachaWords().next(),
    );
  });
});

/** exp(−x²/2s²), normalised over the whole numbers. */
function exactProbability(x: number, scale: number): number {
  return Math.exp((-x * x) / (2 * scale * scale)) / normalisation(scale);
}

const normalisations = new Map<number, number>();
function normalisation(scale: number): number {
  let sum = normalisations.get(scale);
  if (sum === undefined) {
    sum = 0;
    for (let y = -40 * scale; y <= 40 * scale; y++) sum += Math.exp((-y * y) / (2 * scale * scale));
    normalisations.set(scale, sum);
  }
  return sum;
}

/** Probabilities of a sum of two independent numbers. */
function convolved(a: Float64Array, b: Float64Array): Float64Array {
  const out = new Float64Array(a.length + b.length - 1);
  for (let i = 0; i < a.length; i++) for (let j = 0; j < b.length; j++) out[i + j]! += a[i]! * b[j]!;
  return out;
}

describe('discrete Gaussian noise', () => {
  it.each([1, 2, 3, 7])('of scale %i has its exact distribution (χ², wrong once in 10^6)', (scale) => {
    const draws = 200_000;
    const words = seededWords(scale);
    const half = 6 * scale;
    const counts = new Array<number>(2 * half + 1).fill(0);
    for (let i = 0; i < draws; i++) {
      const x = drawDiscreteGaussian(words, scale);
      if (Math.abs(x) <= half) counts[x + half]!++;
    }
    const expected = counts.map((_, i) => draws * exactProbability(i - half, scale));
    expect(chiSquareOf(counts, expected)).toBeGreaterThan(1e-6);
    expect(
      chiSquareOf(
        counts,
        expected.map((_, i) => draws * exactProbability(i - half, scale * 1.02)),
      ),
    ).toBeLessThan(1e-6);
  });

  it.each([577, 1_000_003, 2 ** 33 + 12_345])(
    'of scale %i is normal in 64 equal parts and whole (χ², wrong once in 10^6)',
    (scale) => {
      const words = seededWords(11);
      const counts = new Array<number>(64).fill(0);
      let odd = 0;
      for (let i = 0; i < 64_000; i++) {
        const x = drawDiscreteGaussian(words, scale);
        if (!Number.isSafeInteger(x)) expect.fail(`${x} was drawn`);
        counts[Math.min(63, Math.floor(normalCdf((x + 0.5) / scale) * 64))]!++;
        odd += Math.abs(x) % 2;
      }
      expect(
        chiSquareOf(
          counts,
          counts.map(() => 1000),
        ),
      ).toBeGreaterThan(1e-6);
      // Its lowest bit is as fair as its highest: 5 standard deviations.
      expect(Math.abs(odd - 32_000)).toBeLessThan(5 * Math.sqrt(16_000));
    },
  );
});

const SETTING: NoiseSetting = {
  sensitivity: 2.5,
  noiseMultiplier: 20,
  honestMin: 7,
  fractionBits: 24,
  coordinates: 10_000,
};

describe('the share of a participant', () => {
  it('is σ/√h of the vectors: 7.559289 where h = 7 and σ = 20', () => {
    const share = noiseShareSteps({ ...SETTING, sensitivity: 1, coordinates: 1, fractionBits: 30 });
    expect(share / 2 ** 30).toBeCloseTo(7.559289, 6);
  });

  it('grows for rounding to the grid as the vectors say: 3.9e-5 at 24 fraction bits, 1e-2 at 16', () => {
    const size = { coordinates: 4096 * 2080, sensitivity: Math.sqrt(20), noiseMultiplier: 20, honestMin: 1 };
    for (const [fractionBits, inflation] of [
      [24, 3.9e-5],
      [16, 1.0e-2],
    ] as const) {
      const share = noiseShareSteps({ ...size, fractionBits });
      expect((share / (20 * Math.sqrt(20) * 2 ** fractionBits) - 1) / inflation).toBeCloseTo(1, 1);
    }
  });

  it('leaves at least σ·D in the sum whichever three of ten drop out, and not much more (χ², wrong twice in 10^6)', () => {
    const draws = 20_000;
    const share = noiseShareSteps(SETTING);
    const shares = Array.from({ length: 10 }, (_, who) => {
      const noise = new Float64Array(draws);
      addNoise(noise, share, seededWords(100 + who));
      return noise;
    });
    const wanted = SETTING.sensitivity * SETTING.noiseMultiplier * 2 ** SETTING.fractionBits;
    for (let round = 0; round < 20; round++) {
      const gone = [round % 10, (3 * round + 1) % 10, (7 * round + 2 + Math.floor(round / 10)) % 10];
      const survivors = shares.filter((_, who) => !gone.includes(who));
      let square = 0;
      for (let i = 0; i < draws; i++) square += survivors.reduce((sum, noise) => sum + noise[i]!, 0) ** 2;
      // 4.89 standard deviations of the estimate of a variance: 10^-6 two-sided.
      const tolerance = 4.89 * Math.sqrt(2 / draws);
      const ratio = square / draws / (wanted * wanted) / (survivors.length / 7);
      expect(Math.abs(ratio - 1)).toBeLessThan(tolerance);
      // The rule σ/√n leaves 0.7 of the variance that was promised: this test would see it.
      expect(Math.abs(0.7 - 1)).toBeGreaterThan(tolerance);
    }
  });

  it('makes a sum that is as private as the account says, by its exact probabilities', () => {
    // Three shares on a coarse grid, where being discrete would show most: 50 steps of sensitivity, σ = 3.
    const noiseMultiplier = 3;
    const share = noiseShareSteps({
      sensitivity: 24.5,
      noiseMultiplier,
      honestMin: 3,
      fractionBits: 1,
      coordinates: 1,
    });
    const one = Float64Array.from({ length: 24 * share + 1 }, (_, i) =>
      exactProbability(i - 12 * share, share),
    );
    const sum = convolved(convolved(one, one), one);
    for (const epsilon of [0, 0.1, 0.5, 1]) {
      let delta = 0;
      for (let i = 0; i < sum.length; i++) {
        delta += Math.max(0, sum[i]! - Math.exp(epsilon) * (sum[i - 50] ?? 0));
      }
      const promised = deltaOf({ mu: 1 / noiseMultiplier, epsilon });
      expect(delta).toBeLessThanOrEqual(promised);
      expect(delta).toBeGreaterThan(promised * 0.75);
    }
  });

  it('keeps below the bound that the ring is planned with', () => {
    const share = noiseShareSteps(SETTING);
    const bound = noiseStepsMax({ share, participants: 4, coordinates: 20_000, failure: 1e-6 });
    const sum = new Float64Array(20_000);
    for (let who = 0; who < 4; who++) addNoise(sum, share, seededWords(50 + who));
    const greatest = sum.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
    expect(greatest).toBeLessThan(bound);
    expect(greatest).toBeGreaterThan(bound / 3);
  });

  it('refuses a grid that is too coarse, and settings that are no numbers', () => {
    expect(() =>
      noiseShareSteps({ ...SETTING, fractionBits: 1, noiseMultiplier: 0.1, coordinates: 1 }),
    ).toThrow(/fraction bits/);
    for (const bad of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => noiseShareSteps({ ...SETTING, sensitivity: bad })).toThrow(/sensitivity/);
      expect(() => noiseShareSteps({ ...SETTING, noiseMultiplier: bad })).toThrow(/noiseMultiplier/);
    }
  });
});

describe('the grid', () => {
  it('rounds to the nearest step and comes back within half of one', () => {
    const values = Float64Array.of(0, 1 / 3, -2.25 - 1 / 7, 1e6, -0.4 / 256);
    const back = fromGrid(toGrid(values, 8), 8);
    values.forEach((value, i) => {
      expect(Math.abs(back[i]! - value)).toBeLessThanOrEqual(0.5 / 256);
    });
    expect([...toGrid(values, 8)]).toEqual([0, 85, -613, 256e6, -0]);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 29, -(2 ** 29)])(
    'refuses %s and says where',
    (bad) => {
      expect(() => toGrid(Float64Array.of(1, bad), 24)).toThrow(/entry 1 of a sum/);
    },
  );

  it('measures a packed symmetric matrix by its Frobenius norm', () => {
    const matrix = [
      [2, -1, 4],
      [-1, 3, 0.5],
      [4, 0.5, -6],
    ];
    const packed = Float64Array.of(2, -1, 3, 4, 0.5, -6, 2, -1, 3, 4, 0.5, -6);
    const original = packed.slice();
    scaleOffDiagonals(packed, 3, Math.SQRT2);
    const square = packed.subarray(6).reduce((sum, value) => sum + value * value, 0);
    expect(square).toBeCloseTo(
      matrix.flat().reduce((sum, value) => sum + value * value, 0),
      12,
    );
    scaleOffDiagonals(packed, 3, Math.SQRT1_2);
    packed.forEach((value, i) => {
      expect(value).toBeCloseTo(original[i]!, 12);
    });
  });
});
