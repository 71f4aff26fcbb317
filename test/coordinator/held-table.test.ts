// The rows of one side in a parameter process, over every kind of storage: what was handed in counts when it is said to,
// and nothing else ever shows.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HeldTable } from '../../coordinator/holder/held-table.js';
import { fileStorage, memoryStorage, type StorageMaker } from '../../coordinator/holder/row-storage.js';
import { temporaryFolder } from '../support/small-data.js';
import { stoaNode } from '../support/stoa-node.js';

/** Rows 2 to 5 and 9 to 12 of 12: blocks 1 and 3 of four. */
const LAYOUT = {
  side: 'users',
  factors: 2,
  rows: 12,
  clock: 4,
  parts: [
    { rowStart: 2, rowEnd: 5 },
    { rowStart: 9, rowEnd: 12 },
  ],
  blockStarts: [0, 2, 5, 9],
} as const;

let folder: string;
let remove: () => Promise<void>;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
});

afterEach(() => remove());

const filled = (value: number) => (out: Float32Array) => {
  out.fill(value);
};

describe.each<[string, () => StorageMaker]>([
  ['in memory', () => memoryStorage],
  ['in a file', () => fileStorage(folder)],
])('rows %s', (_name, storage) => {
  const tableOf = () => {
    const table = new HeldTable(LAYOUT, storage());
    table.fill(4, 1 + 1, Float32Array.of(1, 1, 2, 2, 3, 3));
    table.fill(4, 9, Float32Array.of(7, 7, 8, 8, 9, 9));
    return table;
  };
  const block = { 1: { rowStart: 2, rowEnd: 5 }, 3: { rowStart: 9, rowEnd: 12 } };

  it('are those that were filled in, and ranges are cut where parts end', () => {
    const table = tableOf();
    expect(table.pieces([])).toEqual([block[1], block[3]]);
    expect(table.pieces([{ rowStart: 3, rowEnd: 5 }])).toEqual([{ rowStart: 3, rowEnd: 5 }]);
    expect([...table.at(4, { rowStart: 3, rowEnd: 5 })]).toEqual([2, 2, 3, 3]);
    expect(() => table.pieces([{ rowStart: 3, rowEnd: 6 }])).toThrow(/3 to 6|5 to 6/);
    expect(() => table.pieces([{ rowStart: 0, rowEnd: 1 }])).toThrow(/rows of this process/);
    expect(() => table.fill(4, 4, Float32Array.of(1, 1, 2, 2))).toThrow(/rows of this process/);
    expect(() => table.shapeOf(2)).toThrow(/block 2/);
    expect(table.shapeOf(3)).toEqual({ ...block[3], factors: 2 });
  });

  it('of the next clock show when the phase ends, and only those of the lease that counts', () => {
    const table = tableOf();
    table.hold(1, 100, filled(5));
    table.hold(1, 101, filled(6));
    table.hold(3, 102, filled(4));
    expect([...table.at(4, block[1])]).toEqual([1, 1, 2, 2, 3, 3]);
    expect(() => table.at(5, block[1])).toThrow(/is at clock 4/);
    table.accept(1, 5, 101);
    expect(table.outlook(1, 5)).toBe('duplicate');
    expect(() => table.commit(5)).toThrow(/1 blocks are missing/);
    table.accept(3, 5, 102);
    table.accept(3, 5, 102);
    table.commit(5);
    table.commit(5);
    table.accept(3, 5, 102);
    expect([...table.at(5, block[1])]).toEqual([6, 6, 6, 6, 6, 6]);
    expect([...table.at(5, block[3])]).toEqual([4, 4, 4, 4, 4, 4]);
    expect(table.outlook(1, 5)).toBe('stale');
    expect(table.outlook(1, 6)).toBe('held');
  });

  it('of the clock before can be read until a result of the next phase comes in', () => {
    const table = tableOf();
    for (const [index, lease] of [
      [1, 100],
      [3, 101],
    ] as const) {
      table.hold(index, lease, filled(5));
      table.accept(index, 5, lease);
    }
    table.commit(5);
    expect([...table.at(4, block[3])]).toEqual([7, 7, 8, 8, 9, 9]);
    table.hold(3, 102, filled(1));
    expect(() => table.at(4, block[3])).toThrow(/is at clock 5/);
  });

  it('that arrive damaged are not held, and spoil nothing that was', () => {
    const table = tableOf();
    const damaged = (out: Float32Array) => {
      out[0] = 66;
      throw new Error('damaged');
    };
    expect(() => table.hold(1, 100, damaged)).toThrow('damaged');
    expect(() => table.accept(1, 5, 100)).toThrow(/are not here/);
    table.hold(1, 101, filled(5));
    expect(() => table.hold(1, 101, damaged)).toThrow('damaged');
    table.accept(1, 5, 101);
    table.hold(3, 102, filled(5));
    table.accept(3, 5, 102);
    table.commit(5);
    expect([...table.at(5, block[1])]).toEqual([5, 5, 5, 5, 5, 5]);
  });

  it('that nobody handed in cannot count', () => {
    const table = tableOf();
    expect(() => table.accept(1, 5, 100)).toThrow(/are not here/);
    table.hold(1, 100, filled(5));
    expect(() => table.accept(1, 5, 99)).toThrow(/are not here/);
    expect(() => table.accept(1, 6, 100)).toThrow(/are not here/);
  });

  it('handed in by many leases are forgotten from the oldest on', () => {
    const table = tableOf();
    for (let lease = 100; lease < 120; lease++) table.hold(1, lease, filled(lease));
    expect(() => table.accept(1, 5, 105)).toThrow(/are not here/);
    table.accept(1, 5, 118);
  });
});

it('rows in files leave the memory of the process far below their size', async () => {
  const script = `
    const { fileStorage } = await import(process.argv[1]);
    const numbers = 60e6;
    const rows = fileStorage(process.argv[2])(numbers);
    for (let at = 0; at < numbers; at += 1e6) rows.edit(at, at + 1e6, (out) => out.fill(at));
    let isRight = true;
    for (let at = 0; at < numbers; at += 1e6) isRight &&= rows.read(at, at + 1e6)[5] === at;
    console.log(JSON.stringify({ isRight, bytes: rows.byteLength, peak: process.resourceUsage().maxRSS * 1024 }));`;
  const { isRight, bytes, peak } = await stoaNode(script, 'coordinator/holder/row-storage.js', folder);
  expect(isRight).toBe(true);
  expect(bytes).toBe(240e6);
  expect(peak).toBeLessThan(140e6);
});
