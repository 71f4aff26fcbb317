// Deltas of several blocks put together: what many changes of a row may do to a table, and what they may not.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SharedRows } from '../../coordinator/parameters/shared-rows.js';
import { stepsOfClock } from '../../coordinator/schedule/sync/clock-steps.js';
import { arrivalWeight, barrierWeight, mergeRate, wayGone } from '../../models/sgd/merge-weights.js';
import { shouldStop, splitRows } from '../../models/sgd/validation.js';
import { randomInteractions } from '../support/random-dataset.js';
import { sgdSettings, trainByBarriers } from '../support/sgd-problems.js';

const rate = fc.double({ min: 1e-6, max: 0.5, noNaN: true });
const changes = fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 40 });
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe('the weight of deltas', () => {
  it('at a barrier makes blocks together go the way of all their changes one after the other', () => {
    fc.assert(
      fc.property(rate, changes, (q, counts) => {
        const ways = counts.map((count) => wayGone(q, count));
        const together = barrierWeight(q, sum(counts), sum(ways)) * sum(ways);
        expect(together).toBeCloseTo(1 - Math.exp(-q * sum(counts)), 10);
      }),
    );
  });

  it('on arrival adds up to the same way, in any order', () => {
    fc.assert(
      fc.property(rate, changes, (q, counts) => {
        let others = 0;
        let gone = 0;
        for (const count of counts) {
          gone += arrivalWeight(q, others) * wayGone(q, count);
          others += count;
        }
        expect(gone).toBeCloseTo(1 - Math.exp(-q * sum(counts)), 10);
      }),
    );
  });

  it('is 1 where changes are few and 1 / blocks where they are many', () => {
    expect(barrierWeight(1e-6, 8, 8 * wayGone(1e-6, 1))).toBeCloseTo(1, 4);
    expect(barrierWeight(0.05, 8000, 8 * wayGone(0.05, 1000))).toBeCloseTo(1 / 8, 6);
    expect(barrierWeight(0, 5, 0)).toBe(1);
  });
});

describe('a table that blocks share', () => {
  const make = (o: { isImmediate?: boolean; isAhead?: boolean; blocks?: number; q?: number }) =>
    new SharedRows({
      rows: 4,
      columns: 2,
      blocks: o.blocks ?? 2,
      isImmediate: o.isImmediate ?? false,
      isAhead: o.isAhead ?? false,
      mergeRate: () => o.q ?? 0,
    });
  const push = (row: number, value: number, count = 1) => ({
    rows: Int32Array.of(row),
    deltas: Float32Array.of(value, -value),
    counts: Uint32Array.of(count),
  });

  it('has the same bits in whatever order the blocks of a clock arrive', () => {
    const tableOf = (order: readonly number[]) => {
      const rows = make({ blocks: order.length, q: 0.01 });
      for (const block of order) rows.add(block, 0, push(1, [0.1, 1e8, -1e8, 0.3, 7][block]!, block + 1));
      rows.commit();
      return [...rows.table];
    };
    const inOrder = tableOf([0, 1, 2, 3, 4]);
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }), (order) => {
        expect(tableOf(order)).toEqual(inOrder);
      }),
    );
  });

  it('shows nothing of a clock before it is complete, but to a block ahead its own', () => {
    const rows = make({ isAhead: true });
    rows.add(0, 0, push(2, 5));
    const all = Int32Array.of(0, 2, 3);
    expect([...rows.read(1, all)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect([...rows.read(0, all)]).toEqual([0, 0, 5, -5, 0, 0]);
    rows.add(0, 1, push(2, 1));
    expect([...rows.read(0, all)].slice(2, 4)).toEqual([6, -6]);
    rows.add(1, 0, push(3, 7));
    rows.commit();
    expect([...rows.read(1, all)]).toEqual([0, 0, 5, -5, 7, -7]);
    expect([...rows.read(0, all)].slice(2, 4)).toEqual([6, -6]);
  });

  it('that shows pushes at once takes less of one that was computed from rows which others changed since', () => {
    const rows = make({ isImmediate: true, q: 0.1 });
    const row = Int32Array.of(1);
    rows.read(0, row);
    rows.read(1, row);
    rows.add(0, 0, push(1, 1, 20));
    expect(rows.table[2]).toBe(1);
    rows.add(1, 0, push(1, 1, 20));
    expect(rows.table[2]).toBeCloseTo(1 + Math.exp(-2), 6);
    rows.read(0, row);
    rows.add(0, 1, push(1, 1, 20));
    expect(rows.table[2]).toBeCloseTo(2 + Math.exp(-2), 6);
  });

  it('refuses a block twice, and a clock that is over', () => {
    const rows = make({});
    rows.add(0, 0, push(1, 1));
    expect(() => rows.add(0, 0, push(1, 1))).toThrow('counts once');
    expect(() => rows.commit()).toThrow('every block has pushed');
    rows.add(1, 0, push(1, 1));
    rows.commit();
    expect(() => rows.add(1, 0, push(1, 1))).toThrow('under way');
  });
});

describe('many blocks at coarse clocks', () => {
  // Item 0 is taken by all: at 16 blocks and one clock an epoch, plain sums of its deltas would go 16 times too far.
  const interactions = randomInteractions({ users: 4000, items: 40, perUser: 8 });
  const cuts = Array.from({ length: 17 }, (_, block) => 250 * block);

  it('descend as one sequence does, not away', () => {
    const settings = sgdSettings({ learningRate: 0.1, stepsPerEpoch: 1, epochs: 6 });
    const { losses } = trainByBarriers(interactions, settings, { cuts });
    const alone = trainByBarriers(interactions, settings, { cuts: [0, 4000] });
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(losses.at(-1)! / alone.losses.at(-1)!).toBeLessThan(1.1);
    expect(mergeRate(settings, 0)).toBe(0.025);
  });
});

describe('steps of a clock', () => {
  it('cover every epoch once, and none reaches into the next', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 9 }),
        (stepsPerEpoch, stepsPerClock) => {
          let next = 0;
          for (let clock = 0; next < 3 * stepsPerEpoch; clock++) {
            const { stepStart, stepEnd } = stepsOfClock(clock, { stepsPerEpoch, stepsPerClock });
            expect(stepStart).toBe(next);
            expect(stepEnd - stepStart).toBeGreaterThan(0);
            expect(stepEnd - stepStart).toBeLessThanOrEqual(stepsPerClock);
            expect(Math.floor(stepStart / stepsPerEpoch)).toBe(Math.floor((stepEnd - 1) / stepsPerEpoch));
            next = stepEnd;
          }
        },
      ),
    );
  });
});

describe('what is kept from training', () => {
  const csr = randomInteractions({ users: 300, items: 60, perUser: 10, hasValues: true });
  const split = { seed: 3, share: 0.2 };

  it('is about the share asked for, and with the rest all there is; each user keeps one', () => {
    const training = splitRows(csr, 0, split, 'training');
    const heldOut = splitRows(csr, 0, split, 'validation');
    expect(training.idx.length + heldOut.idx.length).toBe(csr.idx.length);
    expect(Math.abs(heldOut.idx.length / csr.idx.length - 0.2)).toBeLessThan(0.03);
    for (let row = 0; row < csr.rows; row++) {
      const of = (part: typeof csr) => [...part.idx.subarray(part.ptr[row]!, part.ptr[row + 1]!)];
      expect([...of(training), ...of(heldOut)].sort((a, b) => a - b)).toEqual(of(csr));
      expect(of(training)[0]).toBe(of(csr)[0]);
    }
  });

  it('does not depend on the slice that it is looked at in', () => {
    const cut = { ...csr, rows: 40, ptr: csr.ptr.slice(100, 141).map((at) => at - csr.ptr[100]!) };
    const slice = {
      ...cut,
      idx: csr.idx.subarray(csr.ptr[100]!, csr.ptr[140]!),
      values: csr.values!.subarray(csr.ptr[100]!, csr.ptr[140]!),
    };
    const whole = splitRows(csr, 0, split, 'validation');
    const part = splitRows(slice, 100, split, 'validation');
    expect([...part.idx]).toEqual([...whole.idx.subarray(whole.ptr[100]!, whole.ptr[140]!)]);
    expect([...part.values!]).toEqual([...whole.values!.subarray(whole.ptr[100]!, whole.ptr[140]!)]);
  });

  it('ends training after so many losses that are no better than one before', () => {
    expect(shouldStop([3, 2, 1], 0)).toBe(false);
    expect(shouldStop([3, 2, 2], 1)).toBe(true);
    expect(shouldStop([3, 2, 2.5], 2)).toBe(false);
    expect(shouldStop([3, 2, 2.5, 2.1], 2)).toBe(true);
    expect(shouldStop([3, 2, 2.5, 1.9], 2)).toBe(false);
    expect(shouldStop([3], 1)).toBe(false);
  });
});
