// Bootstrap intervals against what theory says of them: the normal interval of a mean where there are many users.

import { expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { bootstrapIntervals } from '../../models/metrics/bootstrap.js';

const USERS = 2500;

/** Two columns: hits of a rate of 0.3, and lengths of a skewed kind. */
function sample(): Float64Array {
  const random = createRandom(11, 5);
  return Float64Array.from({ length: USERS * 2 }, (_, i) =>
    i % 2 === 0 ? Number(random.next() < 0.3) : -Math.log(1 - random.next()),
  );
}

function column(rows: Float64Array, c: number): number[] {
  return [...rows].filter((_, i) => i % 2 === c);
}

function normalInterval(values: number[]): [number, number] {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  const half = 1.96 * Math.sqrt(variance / values.length);
  return [mean - half, mean + half];
}

it('with many users the interval is that of the normal distribution', () => {
  const sums = sample();
  const intervals = bootstrapIntervals({ sums, sizes: new Int32Array(USERS).fill(1), columns: 2, seed: 3 });
  for (const c of [0, 1]) {
    const [low, high] = normalInterval(column(sums, c));
    const width = high - low;
    expect(Math.abs(intervals[2 * c]! - low)).toBeLessThan(0.08 * width);
    expect(Math.abs(intervals[2 * c + 1]! - high)).toBeLessThan(0.08 * width);
  }
});

it('groups of several users give an interval of the same width', () => {
  const sums = sample();
  const groups = 833; // 2500 = 3 × 833 + 1: one group has four users, the rest three
  const grouped = new Float64Array(groups * 2);
  const sizes = new Int32Array(groups);
  for (let user = 0; user < USERS; user++) {
    sizes[user % groups]! += 1;
    for (const c of [0, 1]) grouped[(user % groups) * 2 + c]! += sums[user * 2 + c]!;
  }
  const intervals = bootstrapIntervals({ sums: grouped, sizes, columns: 2, seed: 4 });
  for (const c of [0, 1]) {
    const [low, high] = normalInterval(column(sums, c));
    const width = intervals[2 * c + 1]! - intervals[2 * c]!;
    expect(width / (high - low)).toBeGreaterThan(0.88);
    expect(width / (high - low)).toBeLessThan(1.12);
  }
});

it('the same seed gives the same bits, another seed other draws', () => {
  const input = { sums: sample(), sizes: new Int32Array(USERS).fill(1), columns: 2, resamples: 50 };
  const first = bootstrapIntervals({ ...input, seed: 7 });
  expect(bootstrapIntervals({ ...input, seed: 7 })).toEqual(first);
  expect(bootstrapIntervals({ ...input, seed: 8 })).not.toEqual(first);
});

it('users who are all alike leave no doubt', () => {
  const sums = new Float64Array(10).fill(0.25);
  const intervals = bootstrapIntervals({ sums, sizes: new Int32Array(10).fill(1), columns: 1, seed: 1 });
  expect([...intervals]).toEqual([0.25, 0.25]);
});
