// Tables by clock, sums in block order, checkpoints that are whole or refused.

import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { FactorTables } from '../../coordinator/parameters/factor-tables.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import { PhaseSums } from '../../coordinator/parameters/phase-sums.js';
import { readCheckpoint, snapshotOf, writeCheckpoint } from '../../coordinator/training/checkpoint.js';
import { Checkpoints } from '../../coordinator/training/checkpoints.js';
import { packedGramLength, packedGramOf } from '../../models/gram.js';
import { temporaryFolder } from '../support/small-data.js';
import { quietLog } from '../support/training-cluster.js';

const FACTORS = 3;

function randomRows(count: number, seed = 1): Float32Array {
  const random = createRandom(seed, 5);
  return Float32Array.from({ length: count * FACTORS }, () => random.normal());
}

describe('sums of a phase', () => {
  it('have the same bits in whatever order the blocks arrive', () => {
    const blocks = Array.from({ length: 9 }, (_, index) => ({
      gram: packedGramOf(randomRows(20, index), 20, FACTORS),
      loss: { observed: 0.1 * (index + 1) ** 3, penalty: [1, 1e16, -1e16][index % 3]! },
    }));
    const sumIn = (order: number[]) => {
      const sums = new PhaseSums(blocks.length, FACTORS);
      for (const index of order) sums.add(index, blocks[index]!);
      expect(sums.isComplete).toBe(true);
      return { gram: [...sums.gram], ...sums.loss };
    };
    const inOrder = sumIn(blocks.map((_, index) => index));
    fc.assert(
      fc.property(fc.shuffledSubarray([...blocks.keys()], { minLength: 9 }), (order) => {
        expect(sumIn(order)).toEqual(inOrder);
      }),
    );
    // The sum depends on the order of additions, or this shows nothing.
    const backwards = blocks.reduceRight((sum, { loss }) => sum + loss.penalty, 0);
    expect(backwards).not.toBe(inOrder.penalty);
  });

  it('are the Gram of all rows', () => {
    const rows = randomRows(50);
    const sums = new PhaseSums(2, FACTORS);
    sums.add(1, { gram: packedGramOf(rows.subarray(30 * FACTORS), 20, FACTORS) });
    expect(sums.isComplete).toBe(false);
    sums.add(0, { gram: packedGramOf(rows, 30, FACTORS) });
    const whole = packedGramOf(rows, 50, FACTORS);
    sums.gram.forEach((value, at) => {
      expect(value).toBeCloseTo(whole[at]!, 10);
    });
    expect(sums.loss).toBeUndefined();
  });

  it('refuse a block twice', () => {
    const sums = new PhaseSums(3, FACTORS);
    const gram = new Float64Array(packedGramLength(FACTORS));
    sums.add(0, { gram });
    sums.add(2, { gram });
    expect(() => sums.add(0, { gram })).toThrow(/once/);
    expect(() => sums.add(2, { gram })).toThrow(/once/);
  });
});

describe('tables', () => {
  it('show rows of the next clock only once it is complete, and then all together', () => {
    const tables = new FactorTables({ users: 4, items: 2, factors: FACTORS });
    tables.next('users', 1, 3).set(randomRows(2));
    expect(tables.current('users').every((x) => x === 0)).toBe(true);
    expect(tables.at('users', 1)).toBeUndefined();
    const before = tables.current('users');
    tables.commit('users');
    expect(tables.at('users', 0)).toBeUndefined();
    expect(tables.at('users', 1)!.subarray(FACTORS, 3 * FACTORS)).toEqual(randomRows(2));
    expect(before.every((x) => x === 0)).toBe(true);
    expect(tables.clock('items')).toBe(0);
  });

  it('take twice the bytes of one table and no more', () => {
    const tables = new FactorTables({ users: 1000, items: 10, factors: 16 });
    const buffers = new Set<ArrayBufferLike>();
    let bytes = 0;
    for (let phase = 0; phase < 6; phase++) {
      const { buffer } = tables.current('users');
      if (!buffers.has(buffer)) bytes += buffer.byteLength;
      buffers.add(buffer);
      tables.next('users', 0, 1000).set(new Float32Array(1000 * 16));
      tables.commit('users');
    }
    expect(bytes).toBe(2 * 1000 * 16 * 4);
  });
});

describe('checkpoints', () => {
  let folder: string;
  let remove: () => Promise<void>;

  beforeEach(async () => {
    ({ folder, remove } = await temporaryFolder());
  });

  afterEach(() => remove());

  function storeAt(phases: number): ParameterStore {
    const store = new ParameterStore({ users: 5, items: 4, factors: FACTORS });
    for (let phase = 0; phase < phases; phase++) {
      const side = phase % 2 === 0 ? 'users' : 'items';
      const rows = randomRows(store.tables.rows(side), phase + 1);
      store.beginPhase(side, 1);
      const gram = packedGramOf(rows, store.tables.rows(side), FACTORS);
      store.tables.next(side, 0, store.tables.rows(side)).set(rows);
      store.apply(0, { gram, loss: { observed: 1, penalty: 0.1 * phase } });
      store.commitPhase();
    }
    return store;
  }

  const run = { runId: 'run-1', plan: 'p'.repeat(64) };

  it('keep both tables, clocks, Grams and penalties bit for bit', async () => {
    const snapshot = snapshotOf(storeAt(5), run, 5);
    await writeCheckpoint(path.join(folder, 'c'), snapshot, () => {});
    expect(await readCheckpoint(path.join(folder, 'c'))).toEqual(snapshot);
    expect(snapshot.clocks).toEqual({ users: 3, items: 2 });
  });

  it('are refused with any byte of any file flipped, naming the file', async () => {
    const dir = path.join(folder, 'c');
    await writeCheckpoint(dir, snapshotOf(storeAt(2), run, 2), () => {});
    const random = createRandom(3);
    for (const name of await readdir(dir)) {
      const file = path.join(dir, name);
      const bytes = await readFile(file);
      for (let trial = 0; trial < 25; trial++) {
        const damaged = Buffer.from(bytes);
        // The very last byte of the header file ends its line, and says nothing.
        damaged[random.int(bytes.length - 1)]! ^= 1 << random.int(8);
        await writeFile(file, damaged);
        await expect(readCheckpoint(dir)).rejects.toMatchObject({
          name: 'CorruptError',
          fields: { file },
        });
      }
      await writeFile(file, bytes);
    }
    await readCheckpoint(dir);
  });

  it('of a run are the last two, and the newest whole one is found', async () => {
    const checkpoints = new Checkpoints(folder);
    expect(await checkpoints.latest(quietLog)).toBeUndefined();
    for (const phase of [2, 4, 6]) {
      checkpoints.begin(snapshotOf(storeAt(phase), run, phase), Promise.resolve());
      await checkpoints.settle();
    }
    expect((await readdir(folder)).sort()).toEqual(['phase-000004', 'phase-000006']);
    expect(await new Checkpoints(folder).latest(quietLog)).toMatchObject({ nextPhase: 6 });
    await writeFile(path.join(folder, 'phase-000006/grams.f64'), 'x');
    expect(await new Checkpoints(folder).latest(quietLog)).toMatchObject({ nextPhase: 4 });
    await writeFile(path.join(folder, 'phase-000004/checkpoint.json'), '');
    await expect(new Checkpoints(folder).latest(quietLog)).rejects.toMatchObject({ name: 'CorruptError' });
  });
});
