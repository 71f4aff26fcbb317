// The part of the device suite about sums over the entries of rows: against sums in f64, number by number.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../common/errors.js';
import { itemSums } from '../../federation/ials/item-sums.js';
import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice } from '../../models/device.js';
import { type RowSum, rowSumLength } from '../../models/ials/row-sums.js';
import { buildProblem, defaultObjective, huObjective, type IalsProblem } from '../support/ials-problems.js';

/** Error of a number, as a part of the sum of its terms' sizes: 64 terms are summed in f32 at a time. */
const SUM = 4e-6;

const objectives = [
  defaultObjective,
  { ...defaultObjective, weights: 'value', alpha: 2.5 },
  huObjective,
  { ...huObjective, weights: 'value' },
] as const;

const problems = fc.record({
  rows: fc.integer({ min: 1, max: 12 }),
  cols: fc.integer({ min: 1, max: 700 }),
  factors: fc.integer({ min: 1, max: 67 }),
  objective: fc.constantFrom(...objectives),
  seed: fc.nat(),
  valueMax: fc.option(fc.constant(6), { nil: undefined }),
});

export function describeDeviceSums(device: () => ComputeDevice): void {
  describe('sums over the entries of rows', () => {
    it('are those of every kind, in f64, of any rows', async () => {
      await fc.assert(
        fc.asyncProperty(problems, fc.nat(), async (options, at) => {
          const problem = buildProblem(options);
          for (const sum of sumsOf(options.factors, at)) {
            expectSums(await sumRows(device(), problem, sum), problem, sum);
          }
        }),
        { numRuns: 25 },
      );
    });

    it('have the same bits whatever the block that a row is in', async () => {
      const problem = buildProblem({ rows: 9, cols: 300, factors: 19, objective: defaultObjective, seed: 4 });
      for (const sum of sumsOf(19, 5)) {
        const whole = await sumRows(device(), problem, sum);
        const length = rowSumLength(sum, 19);
        const { rows } = problem.block;
        for (const [from, to] of [
          [0, 5],
          [5, rows],
        ] as const) {
          const block = csrSlice(problem.block, from, to);
          const prior = problem.prior.subarray(from * 19, to * 19);
          const part = await sumRows(device(), { ...problem, block, prior }, sum);
          expect(part).toEqual(whole.slice(from * length, to * length));
        }
      }
    });

    it('refuse an operand of another length, and entries of columns that are not there', async () => {
      const problem = buildProblem({ rows: 2, cols: 30, factors: 5, objective: defaultObjective, seed: 6 });
      const wrong = [
        { ...problem, prior: new Float32Array(4) },
        { ...problem, block: { ...problem.block, idx: problem.block.idx.map(() => 30) } },
        { ...problem, block: { ...problem.block, cols: 31 } },
      ];
      for (const one of wrong) {
        await expect(sumRows(device(), one, { kind: 'residual' })).rejects.toBeInstanceOf(ShapeError);
      }
    });

    it('refuse factors that are not finite, and name the row', async () => {
      const problem = buildProblem({ rows: 2, cols: 30, factors: 5, objective: defaultObjective, seed: 6 });
      const fixed = problem.fixed.slice();
      fixed[7 * 5 + 1] = Number.NaN;
      for (const sum of sumsOf(5, 1)) {
        const summed = sumRows(device(), { ...problem, fixed }, sum);
        await expect(summed).rejects.toBeInstanceOf(NumericError);
        await expect(summed).rejects.toMatchObject({ code: 'STOA_NUMERIC_NOT_FINITE' });
      }
    });
  });
}

/** Every kind; of blocks one that begins and ends anywhere. */
function sumsOf(factors: number, at: number): RowSum[] {
  const start = at % factors;
  const end = start + 1 + (Math.floor(at / factors) % (factors - start));
  return [{ kind: 'full' }, { kind: 'residual' }, { kind: 'product' }, { kind: 'block', start, end }];
}

async function sumRows(device: ComputeDevice, problem: IalsProblem, sum: RowSum): Promise<Float64Array> {
  const { block, objective, factors, fixedRows } = problem;
  const fixed = await device.createTable(fixedRows, factors);
  try {
    await device.write(fixed, 0, problem.fixed);
    return await device.sumRows!({ rows: block, fixed, objective, sum, operand: problem.prior });
  } finally {
    fixed.dispose();
  }
}

function expectSums(found: Float64Array, problem: IalsProblem, exchange: RowSum): void {
  const { block: byItem, fixed: users, prior: operand, factors, objective } = problem;
  const chunk = { itemStart: 0, itemEnd: byItem.rows };
  const expected = itemSums({ byItem, users, factors, objective, exchange, operand }, chunk);
  // The same sums over the sizes of all terms: w, c >= 0, and of c − w x·y both have one sign where y is below zero.
  const sizes = itemSums(
    {
      byItem,
      users: users.map(Math.abs),
      factors,
      objective,
      exchange,
      operand: operand.map((value) => (exchange.kind === 'product' ? Math.abs(value) : -Math.abs(value))),
    },
    chunk,
  );
  expect(found.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < found.length; i++) {
    const error = Math.abs(found[i]! - expected[i]!);
    if (error > 0) worst = Math.max(worst, error / sizes[i]!);
  }
  expect(worst, exchange.kind).toBeLessThan(SUM);
}
