// Random small inputs against an obvious importer of maps and sorts, and the sorting passes with threads against one.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildPool } from '../../datasets/build-pool.js';
import { buildRows } from '../../datasets/csr/build-rows.js';
import { InteractionTable } from '../../datasets/csr/interaction-table.js';
import type { TimeColumn } from '../../datasets/csr/time-column.js';
import type { MergeRule } from '../../datasets/manifest.js';
import type { Csr, Side } from '../../models/csr.js';
import { contentsOf, scratchFolder } from './scratch.js';

const scratch = await scratchFolder();

interface Row {
  user: string;
  item: string;
  value: number;
  time: number;
}

const id = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'B',
    'ab',
    '0',
    '00',
    'é',
    '😀',
    '\uffee',
    'a long id of more than 12 bytes',
    'a long id of more than 13 bytes',
  ),
  fc
    .string({ minLength: 1, maxLength: 30, unit: 'grapheme' })
    .map((text) => text.replaceAll(/[\0\r\n]/g, '_') || '_'),
);
const value = fc.integer({ min: 0, max: 4000 }).map((n) => n / 8);
const row: fc.Arbitrary<Row> = fc.record({
  user: id,
  item: id,
  value,
  time: fc.integer({ min: -50, max: 50 }),
});

/** The merge rules, written down once more. */
function mergeNaively(rows: Row[], rule: MergeRule): Record<string, Record<string, [number, number]>> {
  const groups = new Map<string, Map<string, Row[]>>();
  for (const entry of rows) {
    const ofUser = groups.get(entry.user) ?? new Map<string, Row[]>();
    groups.set(entry.user, ofUser.set(entry.item, [...(ofUser.get(entry.item) ?? []), entry]));
  }
  const merge = (group: Row[]): number => {
    if (rule === 'sum') return Math.fround(group.reduce((sum, entry) => sum + entry.value, 0));
    if (rule === 'max') return Math.max(...group.map((entry) => entry.value));
    if (rule === 'count') return group.length;
    const latest = Math.max(...group.map((entry) => entry.time));
    return group.filter((entry) => entry.time === latest).at(-1)!.value;
  };
  return Object.fromEntries(
    [...groups].map(([user, items]) => [
      user,
      Object.fromEntries(
        [...items].map(([item, group]) => [
          item,
          [merge(group), Math.max(...group.map((entry) => entry.time))],
        ]),
      ),
    ]),
  );
}

describe('an import', () => {
  it('is what maps and sorts make of the rows, for every merge rule', { timeout: 120_000 }, async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 40 }),
        fc.constantFrom('sum', 'max', 'last', 'count'),
        async (rows, merge) => {
          const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
          const lines = rows.map((r) => [quote(r.user), quote(r.item), r.value, r.time].join(','));
          const file = await scratch.file(
            `run-${++run}.csv`,
            `user_id,item_id,value,time\n${lines.join('\n')}\n`,
          );
          const dataset = await scratch.import(file, { merge });
          const expected = mergeNaively(rows, merge);
          expect(await contentsOf(dataset)).toEqual(expected);
          const bytewise = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
          expect(await dataset.userIds()).toEqual([...new Set(rows.map((r) => r.user))].sort(bytewise));
          expect(await dataset.itemIds()).toEqual([...new Set(rows.map((r) => r.item))].sort(bytewise));
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('sorting into rows', () => {
  const COUNT = 700_000;
  const USERS = 9973;
  const ITEMS = 613;

  /** Repeats, skew, and ids in no order; the same every time. */
  function makeTable(): InteractionTable {
    const table = new InteractionTable({ capacity: 10, hasValues: true, hasTimes: true });
    for (let k = 0; k < COUNT; k++) {
      if (table.length === table.users.length) table.reserve(1);
      const skewed = (k * k * 31) % 1_000_003;
      table.users[k] = skewed % USERS;
      table.items[k] = Math.floor(((k * 7919) % 104_729) ** 2 / 104_729) % ITEMS;
      table.values![k] = k % 17;
      table.times![k] = (k * 13) % 1009;
      table.length++;
    }
    return table;
  }
  const reversed = (length: number) => Int32Array.from({ length }, (_, n) => length - 1 - n);

  /** What a table becomes, and how many repeats were merged. */
  async function sorted(table: InteractionTable, pool: BuildPool, rule: MergeRule = 'sum') {
    const sides: Partial<Record<Side, { csr: Csr; times?: TimeColumn }>> = {};
    const sink = {
      writeSide: (side: Side, csr: Csr, times?: TimeColumn) => {
        sides[side] = { csr, times };
      },
    };
    const merged = await buildRows(table, reversed(USERS), reversed(ITEMS), rule, pool, sink);
    return { users: sides.users!.csr, times: sides.users!.times!, items: sides.items!.csr, merged };
  }

  it('gives the same with three threads as with none, and what a map gives', async () => {
    const one = await sorted(makeTable(), new BuildPool(1));
    const pool = new BuildPool(3);
    const three = await sorted(makeTable(), pool);
    await pool.close();
    for (const key of ['ptr', 'idx', 'values'] as const) {
      expect(Buffer.compare(bytesOf(one.users[key]!), bytesOf(three.users[key]!))).toBe(0);
      expect(Buffer.compare(bytesOf(one.items[key]!), bytesOf(three.items[key]!))).toBe(0);
    }
    expect(Buffer.compare(bytesOf(one.times), bytesOf(three.times))).toBe(0);

    const sums = new Map<number, number>();
    const table = makeTable();
    for (let k = 0; k < COUNT; k++) {
      const key = (USERS - 1 - table.users[k]!) * ITEMS + (ITEMS - 1 - table.items[k]!);
      sums.set(key, (sums.get(key) ?? 0) + table.values![k]!);
    }
    expect(one.merged).toBe(COUNT - sums.size);
    expect(one.users.idx).toHaveLength(sums.size);
    let wrong = 0;
    for (let user = 0; user < USERS; user++) {
      for (let k = one.users.ptr[user]!; k < one.users.ptr[user + 1]!; k++) {
        if (sums.get(user * ITEMS + one.users.idx[k]!) !== one.users.values![k]) wrong++;
      }
    }
    expect(wrong).toBe(0);
  });

  it('of input that is in its final order gives the same as of the same input in another', async () => {
    const table = makeTable();
    const unique = await sorted(table, new BuildPool(1));
    const { ptr, idx, values } = unique.users;
    const fromRows = (rows: number[]) => {
      const again = new InteractionTable({ capacity: idx.length, hasValues: true, hasTimes: true });
      for (const row of rows) {
        for (let k = ptr[row]!; k < ptr[row + 1]!; k++) {
          again.users[again.length] = USERS - 1 - row;
          again.items[again.length] = ITEMS - 1 - idx[k]!;
          again.values![again.length] = values![k]!;
          again.times![again.length] = unique.times[k]!;
          again.length++;
        }
      }
      return again;
    };
    const rows = Array.from({ length: USERS }, (_, row) => row);
    for (const order of [rows, rows.toReversed()]) {
      const again = await sorted(fromRows(order), new BuildPool(1));
      expect(again.merged).toBe(0);
      expect(Buffer.compare(bytesOf(again.users.idx), bytesOf(idx))).toBe(0);
      expect(Buffer.compare(bytesOf(again.times), bytesOf(unique.times))).toBe(0);
      expect(Buffer.compare(bytesOf(again.items.idx), bytesOf(unique.items.idx))).toBe(0);
      expect(Buffer.compare(bytesOf(again.items.values!), bytesOf(unique.items.values!))).toBe(0);
    }
  });
});

function bytesOf(array: Int32Array | Float32Array | TimeColumn): Uint8Array {
  return new Uint8Array(array.slice().buffer);
}
