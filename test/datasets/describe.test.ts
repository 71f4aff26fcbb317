// The description of a small dataset, counted by hand, and how shards are cut.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../datasets/dataset.js';
import { describeDataset, formatDescription } from '../../datasets/describe.js';
import { cutShards } from '../../datasets/shard-cuts.js';
import { splitDataset } from '../../datasets/split/split-dataset.js';
import { scratchFolder } from './scratch.js';

const scratch = await scratchFolder();
// Degrees of users: a 1, b 2, c 3, d 9. Of items: i1 4, i2 3, i3 2, and i4 to i9 1 each.
const degrees = { a: 1, b: 2, c: 3, d: 9 };
const rows = Object.entries(degrees).flatMap(([user, degree]) =>
  Array.from({ length: degree }, (_, n) => `${user},i${n + 1},${n + 0.5},2024-0${n + 1}-01`),
);
const file = await scratch.file('in.csv', `user_id,item_id,value,time\n${rows.join('\n')}\n`);
const dataset = await scratch.import(file, { synthetic: true });

describe('a description', () => {
  it('has counts, density, quantiles, histograms, time span and values', async () => {
    const d = await describeDataset(dataset);
    expect(d).toMatchObject({ users: 4, items: 9, interactions: 15, density: 15 / 36, synthetic: true });
    expect(d.userDegrees.quantiles).toMatchObject({ min: 1, median: 2, p75: 3, p90: 9, max: 9, mean: 3.75 });
    expect(d.userDegrees.histogram).toEqual([
      { from: 1, to: 1, rows: 1 },
      { from: 2, to: 3, rows: 2 },
      { from: 4, to: 7, rows: 0 },
      { from: 8, to: 15, rows: 1 },
    ]);
    expect(d.itemDegrees.histogram).toEqual([
      { from: 1, to: 1, rows: 6 },
      { from: 2, to: 3, rows: 2 },
      { from: 4, to: 7, rows: 1 },
    ]);
    expect(d.values).toMatchObject({ min: 0.5, median: 2.5, max: 8.5, mean: (0.5 + 2 + 4.5 + 40.5) / 15 });
    expect(d.timeSpan).toMatchObject({
      kind: 'timestamp',
      fromDate: '2024-01-01T00:00:00.000Z',
      toDate: '2024-09-01T00:00:00.000Z',
    });
  });

  it('is shown with bars that fit the terminal, and says that data are synthetic', async () => {
    const text = formatDescription(await describeDataset(dataset), 60);
    const lines = text.split('\n');
    expect(lines[0]).toBe(`${dataset.dir}  (synthetic data)`);
    expect(text).toContain('times          2024-01-01 to 2024-09-01');
    expect(text).toContain('density        41.7 %');
    expect(lines.filter((line) => line.includes('█')).every((line) => line.length <= 60)).toBe(true);
    expect(text).toMatch(/ {2}2–3 {2}2 {2}█{40}\n +4–7 {2}0\n +8–15 {2}1 {2}█{20}\n/);
  });

  it('of numbers that look like Unix seconds adds the dates, of others does not', async () => {
    const span = async (time: number) => {
      const name = await scratch.file(
        `t${time}.csv`,
        `user_id,item_id,time\nu,i,${time}\nu,j,${time + 86_400}\n`,
      );
      return (await describeDataset(await scratch.import(name))).timeSpan;
    };
    expect(await span(1_700_000_000)).toMatchObject({ kind: 'number', fromDate: '2023-11-14T22:13:20.000Z' });
    expect(await span(-5)).toEqual({ kind: 'number', from: -5, to: 86_395 });
  });

  it('of a part of a split counts its empty rows apart', async () => {
    const out = scratch.freshOut();
    await splitDataset({ dataset: dataset.dir, out, strategy: 'leave-last-out' });
    const d = await describeDataset(await openDataset(`${out}/test`));
    expect(d.userDegrees).toMatchObject({ rows: 4, emptyRows: 1, quantiles: { min: 1, max: 1 } });
    expect(formatDescription(d, 80)).toContain('test of a leave-last-out split');
    expect(formatDescription(d, 80)).toContain('1 without any');
  });
});

describe('shards', () => {
  it('cover all rows once, and none has much more work than its share unless one row has', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 300 }), (counts) => {
        const ptr = new Int32Array(counts.length + 1);
        counts.forEach((count, row) => {
          ptr[row + 1] = ptr[row]! + count;
        });
        const ranges = cutShards(ptr);
        expect(ranges.map((range) => range.rowStart)).toEqual([
          0,
          ...ranges.slice(0, -1).map((range) => range.rowEnd),
        ]);
        expect(ranges.at(-1)!.rowEnd).toBe(counts.length);
        const wanted = Math.max(6, Math.round(ptr[counts.length]! / 1_000_000));
        expect(ranges).toHaveLength(Math.min(counts.length, wanted));
        const workOf = (from: number, to: number) =>
          (ptr[to]! - ptr[from]!) * 64 ** 2 + ((to - from) * 64 ** 3) / 3;
        const share = workOf(0, counts.length) / ranges.length;
        const largestRow = Math.max(...counts.map((_, row) => workOf(row, row + 1)));
        for (const { rowStart, rowEnd } of ranges) {
          expect(rowEnd).toBeGreaterThan(rowStart);
          expect(workOf(rowStart, rowEnd)).toBeLessThanOrEqual(share + largestRow + 1e-6);
        }
      }),
    );
  });
});
