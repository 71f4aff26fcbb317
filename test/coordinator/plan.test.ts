// Blocks, placement and estimates: properties that hold for any data.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeShard } from '../../coordinator/plan/placement.js';
import { planBlocks } from '../../coordinator/plan/plan-blocks.js';
import { planParameters } from '../../coordinator/plan/plan-parameters.js';
import { planRun } from '../../coordinator/plan/plan-run.js';
import { parseRunConfig, solverOf } from '../../coordinator/plan/run-config.js';
import { cutShards } from '../../datasets/shard-cuts.js';
import { rowWork } from '../../models/ials/work.js';

const CHOLESKY = solverOf(parseRunConfig({}));

function shardsOf(rowCounts: Int32Array) {
  const ptr = new Int32Array(rowCounts.length + 1);
  rowCounts.forEach((count, row) => {
    ptr[row + 1] = ptr[row]! + count;
  });
  return cutShards(ptr).map(({ rowStart, rowEnd }, index) => ({
    file: `by-user/${String(index).padStart(4, '0')}.arrow`,
    rowStart,
    rowEnd,
    interactions: ptr[rowEnd]! - ptr[rowStart]!,
  }));
}

/** Skewed rows, some empty, some that touch a lot. */
const anyCounts = fc
  .array(fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1000, max: 200_000 })), {
    minLength: 1,
    maxLength: 400,
  })
  .map((counts) => Int32Array.from(counts));

const anyFactors = fc.constantFrom(1, 7, 64, 200, 1024);

describe('blocks', () => {
  it('cover every row of every shard once, in order, within their bounds', () => {
    fc.assert(
      fc.property(anyCounts, anyFactors, (rowCounts, factors) => {
        const shards = shardsOf(rowCounts);
        const blocks = planBlocks({ side: 'users', rowCounts, shards, factors, solver: CHOLESKY });
        let next = 0;
        blocks.forEach((block, index) => {
          expect(block).toMatchObject({ index, side: 'users', rowStart: next });
          const shard = shards[block.shard]!;
          expect(block.rowStart).toBeGreaterThanOrEqual(shard.rowStart);
          expect(block.rowEnd).toBeLessThanOrEqual(shard.rowEnd);
          expect(block.rowEnd).toBeGreaterThan(block.rowStart);
          const rows = block.rowEnd - block.rowStart;
          expect(rows * factors * 4).toBeLessThanOrEqual(Math.max(8 * 1024 * 1024, factors * 4));
          expect(rows).toBeLessThanOrEqual(32_768);
          const counts = rowCounts.subarray(block.rowStart, block.rowEnd);
          expect(block.interactions).toBe(counts.reduce((sum, count) => sum + count, 0));
          const heaviest = Math.max(...counts.map((count) => rowWork(count, factors, CHOLESKY)));
          if (rows > 1) expect(block.work).toBeLessThan(1.5 * 3e9 + 2 * heaviest);
          next = block.rowEnd;
        });
        expect(next).toBe(rowCounts.length);
      }),
      { numRuns: 200 },
    );
  });

  it('of small data are cut fine enough for a few workers, but not finer than a message is worth', () => {
    const rowCounts = new Int32Array(6000).fill(20);
    const blocks = planBlocks({
      side: 'users',
      rowCounts,
      shards: shardsOf(rowCounts),
      factors: 64,
      solver: CHOLESKY,
    });
    expect(blocks.length).toBeGreaterThanOrEqual(6);
    expect(blocks.length).toBeLessThan(12);
    const tiny = new Int32Array(100).fill(3);
    expect(
      planBlocks({ side: 'users', rowCounts: tiny, shards: shardsOf(tiny), factors: 8, solver: CHOLESKY }),
    ).toHaveLength(6);
  });

  it('of large data have some GFLOP each', () => {
    const rowCounts = new Int32Array(90_000).fill(70);
    const blocks = planBlocks({
      side: 'users',
      rowCounts,
      shards: shardsOf(rowCounts),
      factors: 64,
      solver: CHOLESKY,
    });
    for (const { work } of blocks) {
      expect(work).toBeGreaterThan(1.5e9);
      expect(work).toBeLessThan(4.51e9);
    }
  });

  it('do not depend on the number of workers and threads', () => {
    const users = new Int32Array(900).map((_, row) => 1 + ((row * 37) % 50));
    const items = new Int32Array(300).map((_, row) => 5 + ((row * 91) % 150));
    const input = {
      counts: { users: 900, items: 300, interactions: 20_000, hasValues: false },
      rowCounts: { users, items },
      shards: { users: shardsOf(users), items: shardsOf(items) },
      config: parseRunConfig({ 'ials.factors': 32 }),
    };
    const one = planRun({ ...input, workers: 1, threads: 1 });
    const many = planRun({ ...input, workers: 7, threads: 16 });
    expect(many.blocks).toEqual(one.blocks);
    expect(new Set(many.shards.users.map(({ worker }) => worker)).size).toBeGreaterThan(1);
    const blocks = one.shards.users.reduce((sum, shard) => sum + shard.blocks, 0);
    expect(blocks).toBe(one.blocks.users.length);
    expect(many.estimates.flopsPerEpoch).toBe(one.estimates.flopsPerEpoch);
    const flops = [...users, ...items].reduce((sum, count) => sum + rowWork(count, 32, CHOLESKY), 0);
    expect(one.estimates.flopsPerEpoch / flops).toBeCloseTo(1, 9);
  });
});

describe('placement', () => {
  const anyWorkers = fc.uniqueArray(
    fc.record({ key: fc.string({ minLength: 1, maxLength: 8 }), weight: fc.integer({ min: 1, max: 16 }) }),
    { selector: ({ key }) => key, minLength: 2, maxLength: 9 },
  );

  it('a worker that joins takes shards for itself and moves no other', () => {
    fc.assert(
      fc.property(anyWorkers, fc.nat(5000), (workers, shard) => {
        const joined = workers[0]!;
        const before = placeShard('items', shard, workers.slice(1))!;
        expect([joined.key, before.key]).toContain(placeShard('items', shard, workers)!.key);
      }),
    );
  });

  it.each([
    [4, 1],
    [7, 3],
    [2, 0.5],
  ])('a worker that joins %i others with weight %d moves no more than its fair share', (others, weight) => {
    const before = Array.from({ length: others }, (_, n) => ({ key: `w${n}`, weight: 1 }));
    const after = [...before, { key: 'new', weight }];
    const shards = Array.from({ length: 4000 }, (_, shard) => shard);
    const moved = shards.filter(
      (shard) => placeShard('users', shard, before)!.key !== placeShard('users', shard, after)!.key,
    );
    const share = weight / (others + weight);
    // Four standard deviations of a fair draw.
    const slack = 4 * Math.sqrt(4000 * share * (1 - share));
    expect(Math.abs(moved.length - 4000 * share)).toBeLessThan(slack);
    for (const shard of moved) expect(placeShard('users', shard, after)!.key).toBe('new');
  });

  it('does not depend on the order of the workers', () => {
    fc.assert(
      fc.property(anyWorkers, fc.nat(5000), (workers, shard) => {
        expect(placeShard('users', shard, [...workers].reverse())).toBe(placeShard('users', shard, workers));
      }),
    );
  });

  it('gives a worker of three times the weight three times the shards', () => {
    const workers = [
      { key: 'slow', weight: 1 },
      { key: 'fast', weight: 3 },
    ];
    const placed = Array.from({ length: 4000 }, (_, shard) => placeShard('users', shard, workers)!.key);
    const fast = placed.filter((key) => key === 'fast').length;
    // 3000 expected; the standard deviation of a fair draw is 27.
    expect(Math.abs(fast - 3000)).toBeLessThan(150);
  });

  it('of no workers is nowhere', () => {
    expect(placeShard('users', 0, [])).toBeUndefined();
  });
});

describe('parameter processes', () => {
  const rowCounts = { users: new Int32Array(40_000).fill(5), items: new Int32Array(6000).fill(33) };
  const plan = planRun({
    counts: { users: 40_000, items: 6000, interactions: 200_000, hasValues: false },
    rowCounts,
    shards: { users: shardsOf(rowCounts.users), items: shardsOf(rowCounts.items) },
    config: parseRunConfig({ 'ials.factors': 64 }),
    workers: 3,
    threads: 1,
  });
  const names = (count: number) => Array.from({ length: count }, (_, n) => `parameters-${n + 1}`);

  it.each([1, 2, 3, 7])('%i of them have every row once, and the traffic of all of it', (count) => {
    const { processes, largest } = planParameters(plan, names(count), 3);
    const total = (of: (one: (typeof processes)[number]) => number) =>
      processes.reduce((sum, one) => sum + of(one), 0);
    expect(total(({ users }) => users)).toBe(40_000);
    expect(total(({ items }) => items)).toBe(6000);
    expect(total(({ share }) => share)).toBeCloseTo(1, 9);
    expect(largest.users).toBe(Math.max(...processes.map(({ users }) => users)) / 40_000);
    const tables = 46_000 * 64 * 4;
    // Every table goes to all workers but its own, comes from them once, and is read once for a checkpoint.
    expect(total(({ bytesPerEpoch }) => bytesPerEpoch) / tables).toBeCloseTo(3 + 1, 4);
  });

  it('of more processes each needs less, and none less than its rows at two clocks', () => {
    const most = (count: number) => {
      const { processes } = planParameters(plan, names(count), 3);
      for (const { users, items, memoryBytes } of processes) {
        expect(memoryBytes).toBeGreaterThan(2 * (users + items) * 64 * 4);
      }
      return Math.max(...processes.map(({ memoryBytes }) => memoryBytes));
    };
    expect(most(2)).toBeLessThan(most(1));
    expect(most(7)).toBeLessThan(most(2));
    expect(planParameters(plan, names(2), 3).coordinatorBytes).toBeLessThan(plan.estimates.coordinatorBytes);
  });
});
