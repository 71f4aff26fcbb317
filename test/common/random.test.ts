// Philox against the known answers of its authors, and the numbers drawn from it against their distributions.

import { describe, expect, it } from 'vitest';
import { createRandom, philox4x32 } from '../../common/random.js';

describe('the generator Philox4x32-10', () => {
  // Random123 1.14.0, tests/kat_vectors, the rows "philox4x32 10": counter, key, answer.
  it.each([
    ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ])('gives the published answer for counter %s', (counter, key, answer) => {
    const [key0, key1] = words(key);
    const out = new Uint32Array(4);
    philox4x32(words(counter), key0!, key1!, out);
    expect(out).toEqual(words(answer));
  });
});

describe('a random sequence', () => {
  it('depends on seed, stream and row, and on nothing drawn before', () => {
    const take = (seed: number, stream: number, row: number, before: number): number[] => {
      const random = createRandom(seed, stream);
      for (let i = 0; i < before; i++) random.normal();
      random.seekRow(row);
      return Array.from({ length: 9 }, () => random.normal());
    };
    expect(take(5, 3, 11, 7)).toEqual(take(5, 3, 11, 0));
    const others = [
      take(6, 3, 11, 0),
      take(5 + 2 ** 40, 3, 11, 0),
      take(5, 4, 11, 0),
      take(5, 3 + 2 ** 33, 11, 0),
      take(5, 3, 12, 0),
    ];
    for (const other of others) expect(other[0]).not.toBe(take(5, 3, 11, 0)[0]);
  });

  it('takes all 53 bits of a seed', () => {
    expect(createRandom(Number.MAX_SAFE_INTEGER).next()).not.toBe(createRandom(2 ** 52 - 1).next());
  });

  it('is uniform in [0, 1)', () => {
    const random = createRandom(1);
    expectDistribution(
      Array.from({ length: 20_000 }, () => random.next()),
      (x) => x,
    );
  });

  it('draws normals', () => {
    const random = createRandom(2);
    expectDistribution(
      Array.from({ length: 20_000 }, () => random.normal()),
      normalCdf,
    );
  });

  it('draws whole numbers without favouring any', () => {
    const random = createRandom(3);
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[random.int(7)]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(22.46); // 6 degrees of freedom, one in a thousand
  });

  it('rejects the words that would make a large range uneven', () => {
    // Of n = 3·2^30, a third of all words would fall on the lowest third twice.
    const random = createRandom(4);
    const low = Array.from({ length: 9000 }, () => random.int(3 * 2 ** 30)).filter((x) => x < 2 ** 30).length;
    expect(Math.abs(low - 3000)).toBeLessThan(150);
  });
});

function words(hex: string): Uint32Array {
  return Uint32Array.from(hex.split(' '), (word) => Number.parseInt(word, 16));
}

/** Kolmogorov–Smirnov, at one in a thousand. */
function expectDistribution(sample: number[], cdf: (x: number) => number): void {
  const sorted = [...sample].sort((a, b) => a - b);
  const distance = Math.max(...sorted.map((x, i) => Math.abs(cdf(x) - (i + 0.5) / sorted.length)));
  expect(distance).toBeLessThan(1.95 / Math.sqrt(sorted.length));
}

/** Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
function normalCdf(x: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(x)) / Math.SQRT2);
  const series =
    t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const tail = 0.5 * series * Math.exp((-x * x) / 2);
  return x < 0 ? tail : 1 - tail;
}
