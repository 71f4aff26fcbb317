// Scales and bins: what makes an axis readable, as properties over any data.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { degreeBins } from '../../coordinator/report/degree-bins.js';
import { formatCount, formatNumber, formatSeconds, formatTicks } from '../../coordinator/report/format.js';
import { exactScale, linearScale, logScale } from '../../coordinator/report/scale.js';
import { timelineLanes } from '../../coordinator/report/timeline-lanes.js';

const domains = fc
  .tuple(fc.double({ min: -1e6, max: 1e6, noNaN: true }), fc.double({ min: 1e-3, max: 1e7, noNaN: true }))
  .map(([low, span]): [number, number] => [low, low + span]);

it('a linear axis holds its data, with a handful of round values', () => {
  fc.assert(
    fc.property(domains, (domain) => {
      const { at, ticks } = linearScale({ domain, range: [300, 10] });
      for (const value of domain) {
        expect(at(value)).toBeLessThanOrEqual(300.001);
        expect(at(value)).toBeGreaterThanOrEqual(9.999);
      }
      expect(ticks.length).toBeGreaterThanOrEqual(2);
      expect(ticks.length).toBeLessThanOrEqual(9);
      expect(at(ticks[0]!)).toBeCloseTo(300, 3);
      expect(at(ticks.at(-1)!)).toBeCloseTo(10, 3);
    }),
  );
});

it('equal least and greatest values still make an axis', () => {
  expect(linearScale({ domain: [5, 5], range: [0, 10] }).at(5)).toBeCloseTo(5, 9);
  expect(exactScale({ domain: [0, 0], range: [0, 10] }).at(0)).toBe(0);
  expect(logScale({ domain: [7, 7], range: [0, 10] }).ticks).toEqual([1, 10]);
});

it('an exact axis ends where its data end, with ticks inside', () => {
  const scale = exactScale({ domain: [0, 19.4], range: [12, 988], ticks: 10 });
  expect(scale.at(19.4)).toBeCloseTo(988, 9);
  expect(scale.ticks).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
});

it('a logarithmic axis puts factors of ten equally far apart', () => {
  const { at, ticks } = logScale({ domain: [3, 4500], range: [0, 400] });
  expect(ticks).toEqual([1, 10, 100, 1000, 10000]);
  expect(ticks.map((tick) => Math.round(at(tick)))).toEqual([0, 100, 200, 300, 400]);
});

it('degree bins cover every row that is not empty, once', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50_000 }), { maxLength: 80 }), (degrees) => {
      const bins = degreeBins(Int32Array.from(degrees));
      for (const bin of bins) {
        expect(bin.rows).toBe(degrees.filter((degree) => degree >= bin.low && degree < bin.high).length);
      }
      const rows = bins.reduce((sum, bin) => sum + bin.rows, 0);
      expect(rows).toBe(degrees.filter((degree) => degree > 0).length);
    }),
  );
});

describe('the timeline', () => {
  const block = (startMs: number, endMs: number) => ({ worker: 'w', block: 0, startMs, endMs });
  const phase = (blocks: ReturnType<typeof block>[]) => ({
    epoch: 1,
    side: 'users' as const,
    startMs: 0,
    endMs: 100,
    rows: 1,
    blocks,
  });

  it('puts blocks that ran at once into lanes of their own', () => {
    const [worker] = timelineLanes([phase([block(0, 10), block(5, 15), block(10, 20), block(15, 30)])], 0, 8);
    expect(worker!.lanes.map((lane) => lane.map((bar) => [bar.startMs, bar.endMs]))).toEqual([
      [
        [0, 10],
        [10, 20],
      ],
      [
        [5, 15],
        [15, 30],
      ],
    ]);
    expect(worker).toMatchObject({ blocks: 4, busyMs: 45 });
  });

  it('joins blocks too short to be told apart and keeps count of them', () => {
    const short = Array.from({ length: 50 }, (_, i) => block(i, i + 0.9));
    const [worker] = timelineLanes([phase(short)], 1, 8);
    expect(worker!.lanes).toEqual([
      [{ epoch: 1, lastEpoch: 1, side: 'users', startMs: 0, endMs: 49.9, blocks: 50 }],
    ]);
  });

  it('never uses more lanes than allowed', () => {
    const many = Array.from({ length: 20 }, (_, i) => block(i, 100));
    expect(timelineLanes([phase(many)], 0, 3)[0]!.lanes).toHaveLength(3);
  });
});

it('numbers are written for people', () => {
  expect([1234567, 999, 0].map(formatCount)).toEqual(['1,234,567', '999', '0']);
  expect([0.028412, 12.3456, 1349500.4, -5, 0.00001234].map(formatNumber)).toEqual([
    '0.02841',
    '12.35',
    '1,349,500',
    '-5',
    '1.23e-5',
  ]);
  expect(formatTicks([0.05, 1500, 310_800, 2.5e6, 3e9])).toEqual(['0.05', '1.5k', '311k', '2.5M', '3G']);
  expect(formatTicks([310_000, 310_200, 310_400])).toEqual(['310k', '310.2k', '310.4k']);
  expect([0.0421, 3.1234, 59.99, 83.2, 7265].map(formatSeconds)).toEqual([
    '42 ms',
    '3.12 s',
    '1 min 0 s',
    '1 min 23 s',
    '2 h 1 min',
  ]);
});
