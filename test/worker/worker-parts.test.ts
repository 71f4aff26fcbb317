// What a worker keeps: clocks of rows, shards in memory.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CsrShard } from '../../datasets/dataset.js';
import { RowClocks } from '../../worker/row-clocks.js';
import { ShardCache } from '../../worker/shard-cache.js';

describe('clocks of rows', () => {
  it('name exactly the rows that are not at a clock, in ascending ranges that do not touch', () => {
    const anyRange = fc
      .tuple(fc.nat(39), fc.nat(39))
      .map(([a, b]) => [Math.min(a, b), Math.max(a, b) + 1] as const);
    const anyWrites = fc.array(fc.tuple(anyRange, fc.integer({ min: 0, max: 2 })), { maxLength: 12 });
    fc.assert(
      fc.property(anyWrites, anyRange, (writes, [rowStart, rowEnd]) => {
        const clocks = new RowClocks(40);
        const simple = new Array<number>(40).fill(-1);
        for (const [[from, to], clock] of writes) {
          clocks.set({ rowStart: from, rowEnd: to }, clock);
          simple.fill(clock, from, to);
        }
        const ranges = clocks.missing({ rowStart, rowEnd }, 1);
        const rows = ranges.flatMap((range) =>
          Array.from({ length: range.rowEnd - range.rowStart }, (_, n) => range.rowStart + n),
        );
        expect(rows).toEqual(
          [...simple.keys()].filter((row) => row >= rowStart && row < rowEnd && simple[row] !== 1),
        );
        for (let n = 1; n < ranges.length; n++) {
          expect(ranges[n]!.rowStart).toBeGreaterThan(ranges[n - 1]!.rowEnd);
        }
      }),
    );
  });
});

describe('shards in memory', () => {
  const key = (shard: number) => ({ fingerprint: 'f', side: 'users' as const, shard });
  const shardOf = (index: number, entries: number): CsrShard => ({
    side: 'users',
    index,
    rowStart: 10 * index,
    rowEnd: 10 * index + 1,
    csr: { rows: 1, cols: 9999, ptr: Int32Array.of(0, entries), idx: new Int32Array(entries) },
  });

  it('are loaded once, also when several ask at the same time', async () => {
    const cache = new ShardCache();
    let loads = 0;
    const load = async () => shardOf(++loads, 5);
    const [a, b] = await Promise.all([cache.get(key(1), load), cache.get(key(1), load)]);
    expect(a).toBe(b);
    await cache.get(key(1), load);
    expect(loads).toBe(1);
  });

  it('stay within their bound: the least recently used goes first', async () => {
    const cache = new ShardCache(3 * 408);
    const loaded: number[] = [];
    const get = (index: number) =>
      cache.get(key(index), async () => {
        loaded.push(index);
        return shardOf(index, 100);
      });
    for (const index of [1, 2, 3, 1, 4, 1, 2]) await get(index);
    expect(loaded).toEqual([1, 2, 3, 4, 2]);
    expect(cache.bytes).toBe(3 * 408);
  });

  it('one that is larger than the bound is kept alone', async () => {
    const cache = new ShardCache(100);
    await cache.get(key(1), async () => shardOf(1, 1000));
    await cache.get(key(2), async () => shardOf(2, 1000));
    expect(cache.bytes).toBe(4008);
  });

  it('that failed to load are loaded again', async () => {
    const cache = new ShardCache();
    await expect(cache.get(key(1), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect((await cache.get(key(1), async () => shardOf(1, 3))).rowStart).toBe(10);
  });

  it('do not keep the times, which training does not read', async () => {
    const times = new Float64Array(4);
    const { csr } = await new ShardCache().get(key(1), async () => ({ ...shardOf(1, 4), times }));
    expect(csr.idx).toHaveLength(4);
    expect(csr.idx.buffer.byteLength).toBe(16);
  });
});
