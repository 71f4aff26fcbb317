// What a sweep sends, what it does with sums that are wrong, and what becomes of it when it is interrupted.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangesOfSweep, numbersPerItem, numbersPerSweep } from '../../../federation/ials/exchange.js';
import { itemChunks } from '../../../federation/ials/item-chunks.js';
import { itemSums } from '../../../federation/ials/item-sums.js';
import { ItemSweep, type SweepOptions } from '../../../federation/ials/item-sweep.js';
import { projectPositive } from '../../../federation/ials/project-positive.js';
import { symmetricEigen } from '../../../models/dense/symmetric-eigen.js';
import type { ComputeDevice, SolverOptions } from '../../../models/device.js';
import { packedGramLength, packedGramOf, unpackGram } from '../../../models/gram.js';
import { referenceLoss } from '../../../models/reference/loss.js';
import { portableDevice } from '../../../worker/devices/portable.js';
import { readText } from '../../house/source-files.js';
import { defaultObjective, huObjective } from '../../support/ials-problems.js';
import {
  federatedSweep,
  initialItems,
  participantsOf,
  skewedInteractions,
  type TestParticipant,
  takeCensus,
} from './federation.js';

const ITEMS = 29;
const FACTORS = 6;
const SIZES = [3, 1, 26, 12];
const OBJECTIVE = { ...defaultObjective, regularization: 0.05 };
const data = skewedInteractions({ users: 42, items: ITEMS, seed: 8 });

const SOLVERS: readonly SolverOptions[] = [
  { name: 'cholesky', cgSteps: 1, block: 1 },
  { name: 'cg', cgSteps: 3, block: 1 },
  { name: 'ials++', cgSteps: 1, block: 4 },
];

let device: ComputeDevice;
beforeAll(async () => {
  device = await portableDevice.open({ threads: 1 });
});
afterAll(() => device.dispose());

const optionsOf = (solver: SolverOptions, participants: readonly TestParticipant[]): SweepOptions => ({
  objective: OBJECTIVE,
  solver,
  items: ITEMS,
  factors: FACTORS,
  census: takeCensus(participants),
});

describe('the bytes of a sweep', () => {
  const { formulas: _, megabytes } = JSON.parse(readText('test/vectors/federated-bytes.json')) as {
    formulas: unknown;
    megabytes: Record<string, Record<string, number>>;
  };
  const solverOf = (name: string): SolverOptions => {
    const digits = Number(/\d+$/.exec(name)?.[0] ?? 1);
    if (name === 'full') return { name: 'cholesky', cgSteps: 1, block: 1 };
    return name.startsWith('cg')
      ? { name: 'cg', cgSteps: digits, block: 1 }
      : { name: 'ials++', cgSteps: 1, block: digits };
  };
  const cases = Object.entries(megabytes).flatMap(([size, by]) =>
    Object.entries(by)
      .filter(([name]) => name !== 'gradient')
      .map(([name, expected]) => [size, name, expected] as const),
  );

  it.each(cases)('of %s with %s are the %d MB of the vectors', (size, name, expected) => {
    const [, items, factors] = /^m(\d+)_d(\d+)$/.exec(size)!;
    const bytes = 8 * numbersPerSweep(solverOf(name), { items: Number(items), factors: Number(factors) });
    const digits = String(expected).split('.')[1]?.length ?? 0;
    expect((bytes / 1e6).toFixed(digits)).toBe(expected.toFixed(digits));
  });

  it.each(SOLVERS)('are those that participants really send ($name)', async (solver) => {
    const participants = participantsOf(data, SIZES, FACTORS);
    await federatedSweep(
      device,
      participants,
      initialItems(ITEMS, FACTORS, 1),
      optionsOf(solver, participants),
    );
    for (const { uploadedNumbers } of participants) {
      expect(uploadedNumbers).toBe(numbersPerSweep(solver, { items: ITEMS, factors: FACTORS }));
    }
  });
});

describe.each(SOLVERS)('a sweep of $name', (solver) => {
  const start = initialItems(ITEMS, FACTORS, 2);
  const sweepWith = async (extra: object) => {
    const participants = participantsOf(data, SIZES, FACTORS);
    return federatedSweep(device, participants, start, { ...optionsOf(solver, participants), ...extra });
  };

  it('has the same bits whatever the chunks', async () => {
    const whole = await sweepWith({});
    for (const numbersMax of [1, 77, 500]) expect(await sweepWith({ numbersMax })).toEqual(whole);
  });

  it('goes on to the same bits after a restart between any two exchanges', async () => {
    expect(await sweepWith({ isRestarted: true })).toEqual(await sweepWith({}));
  });

  it('leaves the items it began with as they were', async () => {
    const before = start.slice();
    await sweepWith({});
    expect(start).toEqual(before);
  });

  it('never raises the loss over its cohort, wherever it is cut', async () => {
    for (const objective of [OBJECTIVE, { ...huObjective, alpha: 30, regularization: 1 }]) {
      const losses: number[] = [];
      for (let cutBefore = 0; cutBefore <= exchangesOfSweep(solver, FACTORS).length; cutBefore++) {
        const participants = participantsOf(data, SIZES, FACTORS);
        const settings = { ...optionsOf(solver, participants), objective, cutBefore };
        const items = await federatedSweep(device, participants, start, settings);
        const users = participants.flatMap((one) => [...one.users]);
        losses.push(referenceLoss(data, users, items, FACTORS, objective));
      }
      const fallen = losses.slice(1).map((loss, n) => losses[n]! - loss);
      for (const [n, fall] of fallen.entries()) expect(fall, `exchange ${n}`).toBeGreaterThan(0);
    }
  });

  it('makes every item that nobody has zero', async () => {
    expect((await sweepWith({})).subarray((ITEMS - 1) * FACTORS).every((y) => y === 0)).toBe(true);
  });

  it('names the item of a sum that is not finite', () => {
    const participants = participantsOf(data, SIZES, FACTORS);
    const sweep = new ItemSweep(optionsOf(solver, participants), start);
    sweep.receiveGram(packedGramOf(start, ITEMS, FACTORS));
    const width = numbersPerItem(sweep.exchange!, FACTORS);
    for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const sums = new Float64Array(4 * width);
      sums[2 * width + 1] = wrong;
      expect(() => sweep.receive({ itemStart: 5, itemEnd: 9 }, sums)).toThrowError(/item 7 is/);
    }
  });

  it('takes no chunk twice, and does not end before all are in', () => {
    const participants = participantsOf(data, SIZES, FACTORS);
    const sweep = new ItemSweep(optionsOf(solver, participants), start);
    sweep.receiveGram(packedGramOf(start, ITEMS, FACTORS));
    const width = numbersPerItem(sweep.exchange!, FACTORS);
    const chunk = { itemStart: 0, itemEnd: 4 };
    sweep.receive(chunk, new Float64Array(4 * width));
    expect(() => sweep.receive(chunk, new Float64Array(4 * width))).toThrow('once');
    expect(() => sweep.advance()).toThrow('4 of 29 items');
  });
});

describe('a sweep of cg', () => {
  it('that is cut has the factors of as many steps', async () => {
    const participants = () => participantsOf(data, SIZES, FACTORS);
    const start = initialItems(ITEMS, FACTORS, 2);
    const sweep = (cgSteps: number, cutBefore?: number) =>
      federatedSweep(device, participants(), start, {
        ...optionsOf({ name: 'cg', cgSteps, block: 1 }, participants()),
        cutBefore,
      });
    expect(await sweep(3, 2)).toEqual(await sweep(1));
    expect(await sweep(3, 1)).not.toEqual(start);
  });
});

describe('what is refused', () => {
  const options = { objective: OBJECTIVE, solver: SOLVERS[0]!, items: ITEMS, factors: FACTORS };
  const census = { itemCounts: new Float64Array(ITEMS), users: 3 };

  it('a census that is missing where penalties depend on it, and only there', () => {
    const items = initialItems(ITEMS, FACTORS, 1);
    expect(() => new ItemSweep(options, items)).toThrow('census');
    expect(() => new ItemSweep({ ...options, objective: { ...OBJECTIVE, nu: 0 } }, items)).not.toThrow();
    expect(() => new ItemSweep({ ...options, objective: huObjective }, items)).not.toThrow();
  });

  it('another K, another catalogue', () => {
    const items = initialItems(ITEMS, FACTORS + 1, 1);
    expect(() => new ItemSweep({ ...options, census }, items)).toThrow('203 where 174 was expected');
    const sweep = new ItemSweep({ ...options, census }, initialItems(ITEMS, FACTORS, 1));
    expect(() => sweep.receiveGram(new Float64Array(packedGramLength(FACTORS + 1)))).toThrow('28 where 21');
    const one = participantsOf(data, [42], FACTORS)[0]!;
    const task = { ...one, factors: FACTORS, objective: OBJECTIVE, exchange: { kind: 'residual' } as const };
    expect(() => itemSums({ ...task, operand: new Float32Array(5) }, { itemStart: 0, itemEnd: 1 })).toThrow(
      '5 where 174',
    );
    expect(() => itemSums(task, { itemStart: 0, itemEnd: 1 })).toThrow('0 where 174');
    expect(() => itemSums({ ...task, exchange: { kind: 'full' } }, { itemStart: 28, itemEnd: 30 })).toThrow(
      'not among the 29',
    );
  });
});

describe('sums that noise made indefinite', () => {
  it('are refused, or projected when told', () => {
    const one = participantsOf(data, [42], FACTORS)[0]!;
    one.users.fill(0.2);
    const run = (isProjected: boolean) => {
      const sweep = new ItemSweep(
        { ...optionsOf(SOLVERS[0]!, [one]), isProjected },
        initialItems(ITEMS, FACTORS, 1),
      );
      sweep.receiveGram(packedGramOf(one.users, 42, FACTORS));
      const exchange = sweep.exchange!;
      const sums = itemSums({ ...one, factors: FACTORS, objective: OBJECTIVE, exchange }, all(ITEMS));
      const width = numbersPerItem(exchange, FACTORS);
      for (let item = 0; item < ITEMS; item++) sums[item * width] = sums[item * width]! - 50;
      sweep.receive(all(ITEMS), sums);
      sweep.advance();
      return sweep.factors;
    };
    expect(() => run(false)).toThrowError(/item 0 is not positive definite at dimension 0/);
    expect(run(true).every(Number.isFinite)).toBe(true);
  });

  it('are moved to the nearest matrix that is semi-definite', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(), (n, seed) => {
        const packed = Float64Array.from(
          { length: packedGramLength(n) },
          (_, i) => Math.sin(seed + 7.3 * i) * 3,
        );
        const before = unpackGram(packed, n);
        const cut = projectPositive(packed, n);
        const after = unpackGram(packed, n);
        const negative = [...symmetricEigen(before, n).values].filter((value) => value < 0);
        const left = Math.min(...symmetricEigen(after, n).values);
        const distance = Math.hypot(...after.map((value, i) => value - before[i]!));
        expect(left).toBeGreaterThan(-1e-9);
        expect(cut).toBeCloseTo(-negative.reduce((sum, value) => sum + value, 0), 9);
        // Nearest: as far away as the negative eigenvalues are long, and no further.
        expect(distance).toBeCloseTo(Math.hypot(...negative), 9);
      }),
    );
  });

  it('are left alone, bit for bit, where they are semi-definite', () => {
    const packed = packedGramOf(initialItems(4, 7, 9), 4, 7);
    const before = packed.slice();
    expect(projectPositive(packed, 7)).toBe(0);
    expect(packed).toEqual(before);
  });
});

describe('chunks', () => {
  it('cover every item once and hold no more numbers than they may', () => {
    fc.assert(
      fc.property(
        fc.nat(200),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 400 }),
        (items, perItem, numbersMax) => {
          const chunks = itemChunks({ items, perItem, numbersMax });
          let next = 0;
          for (const { itemStart, itemEnd } of chunks) {
            expect(itemStart).toBe(next);
            expect((itemEnd - itemStart) * perItem).toBeLessThanOrEqual(Math.max(numbersMax, perItem));
            next = itemEnd;
          }
          expect(next).toBe(items);
        },
      ),
    );
  });
});

function all(items: number) {
  return { itemStart: 0, itemEnd: items };
}
