// What the solvers refuse, and how they say it: each message is read.

import { describe, expect, it } from 'vitest';
import { DeviceError, NumericError, ShapeError } from '../../common/errors.js';
import type { SolverName } from '../../models/device.js';
import { SolveAborted, type SolveBlockInput, solveBlock } from '../../models/ials/solve-block.js';
import { buildProblem, defaultObjective, huObjective } from '../support/ials-problems.js';

describe.each(['cholesky', 'cg', 'ials++'] as const)('with %s, a block', (name) => {
  const input = (): SolveBlockInput => {
    const objective = { ...defaultObjective, weights: 'value' as const };
    const problem = buildProblem({ rows: 4, cols: 30, factors: 10, objective, seed: 1, valueMax: 3 });
    return { ...problem, solver: { name, cgSteps: 3, block: 4 }, wantLoss: false };
  };

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'is refused when a factor of a row it needs is %f, naming both rows',
    (bad) => {
      const block = input();
      const column = block.block.idx[block.block.ptr[1]!]!;
      block.fixed[column * 10 + 3] = bad;
      expect(() => solveBlock(block)).toThrow(
        expect.objectContaining({
          constructor: NumericError,
          code: 'STOA_NUMERIC_NOT_FINITE',
          fields: { row: 1 },
          message: `row 1 of the block cannot be solved: factor 3 of row ${column} of the fixed side is not finite`,
        }),
      );
    },
  );

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -0.5])('is refused when a value is %f', (bad) => {
    const block = input();
    block.block.values![block.block.ptr[2]! + 4] = bad;
    expect(() => solveBlock(block)).toThrow(
      `row 2 of the block cannot be solved: the value of column 4 is ${bad} where a finite number >= 0 was expected`,
    );
  });

  it('is refused when the Gram is not finite', () => {
    const block = input();
    block.gram[7] = Number.NaN;
    expect(() => solveBlock(block)).toThrow(
      /row 1 .*the Gram of the fixed side holds a number that is not finite/,
    );
  });

  it('is refused when a column is no row of the fixed side', () => {
    const block = input();
    block.block.idx[block.block.ptr[3]! - 1] = 30;
    expect(() => solveBlock(block)).toThrow(
      expect.objectContaining({
        constructor: ShapeError,
        message: 'row 2 of the block has column 30 where 0 to 29 was expected',
      }),
    );
  });

  it('is refused when its solution does not fit f32', () => {
    const block = input();
    for (let i = 0; i < block.fixed.length; i++) block.fixed[i] = block.fixed[i]! * 1e-42;
    for (let i = 0; i < block.gram.length; i++) block.gram[i] = block.gram[i]! * 1e-84;
    const tiny = { ...block, objective: { ...block.objective, regularization: 1e-100 } };
    expect(() => solveBlock({ ...tiny, prior: undefined })).toThrow(
      /its solution is too large for f32; raise/,
    );
  });

  it.each([
    ['fixed', { fixed: new Float32Array(299) }, 'the fixed factors has length 299 where 300 was expected'],
    ['gram', { gram: new Float64Array(55) }, 'the Gram has length 55 where 100 was expected'],
    ['prior', { prior: new Float32Array(10) }, 'the prior has length 10 where 70 was expected'],
    ['fixedRows', { fixedRows: 31 }, 'cols of the block has length 30 where 31 was expected'],
  ])('is refused when the length of %s is wrong', (_, change, message) => {
    expect(() => solveBlock({ ...input(), ...change })).toThrow(
      expect.objectContaining({ constructor: ShapeError, code: 'STOA_SHAPE', message }),
    );
  });

  it('is refused when a setting is not a number', () => {
    const objective = { ...defaultObjective, regularization: Number.NaN };
    expect(() => solveBlock({ ...input(), objective })).toThrow(
      /a setting of the objective is not a finite number/,
    );
  });

  it('ends when the caller no longer wants it', () => {
    let asked = 0;
    expect(() => solveBlock({ ...input(), isAborted: () => ++asked > 2 })).toThrow(SolveAborted);
  });

  it('within one long row ends when the caller no longer wants it', () => {
    const problem = buildProblem({ rows: 0, cols: 5000, factors: 64, objective: huObjective, seed: 1 });
    let asked = 0;
    const isAborted = () => ++asked > 4;
    const solver = { name, cgSteps: 3, block: 16 };
    expect(() => solveBlock({ ...problem, solver, wantLoss: false, isAborted })).toThrow(SolveAborted);
  });
});

it.each(['cg', 'ials++'] as const)('a prior that is not finite is refused by %s, naming the row', (name) => {
  const problem = buildProblem({ rows: 4, cols: 30, factors: 10, objective: defaultObjective, seed: 1 });
  problem.prior[2 * 10] = Number.NaN;
  const solver = { name, cgSteps: 3, block: 3 };
  expect(() => solveBlock({ ...problem, solver, wantLoss: false })).toThrow(
    /row 2 of the block .* prior factors hold a number that is not finite/,
  );
});

it('a singular system without a penalty is refused with the row and its pivot', () => {
  const objective = { ...defaultObjective, alpha0: 0, regularization: 0 };
  const problem = buildProblem({ rows: 0, cols: 30, factors: 10, objective, seed: 1 });
  const solver = { name: 'cholesky' as const, cgSteps: 1, block: 1 };
  // Row 1 has one entry: its system has rank 1.
  expect(() => solveBlock({ ...problem, solver, wantLoss: false })).toThrow(
    expect.objectContaining({
      constructor: NumericError,
      code: 'STOA_NUMERIC_PIVOT',
      fields: { row: 1, pivot: 1 },
      message:
        'row 1 of the block: its system is not positive definite at pivot 1; raise ials.regularization',
    }),
  );
});

it('a singular block of dimensions is refused with the row and its pivot', () => {
  const objective = { ...defaultObjective, alpha0: 0, regularization: 0 };
  const problem = buildProblem({ rows: 0, cols: 30, factors: 10, objective, seed: 1 });
  const solver = { name: 'ials++' as const, cgSteps: 1, block: 4 };
  expect(() => solveBlock({ ...problem, solver, wantLoss: false })).toThrow(
    expect.objectContaining({ code: 'STOA_NUMERIC_PIVOT', fields: { row: 1, pivot: 1 } }),
  );
});

it.each([0, -3, 2.5, Number.NaN])('a block of %f dimensions is refused', (width) => {
  const problem = buildProblem({ rows: 0, cols: 3, factors: 2, objective: defaultObjective, seed: 1 });
  const solver = { name: 'ials++' as const, cgSteps: 1, block: width };
  expect(() => solveBlock({ ...problem, solver, wantLoss: false })).toThrow(
    expect.objectContaining({ constructor: ShapeError, fields: { field: 'ials.block' } }),
  );
});

it.each([
  [
    'solver',
    { name: 'sgd' as SolverName, cgSteps: 1, block: 1 },
    /no solver "sgd"; choose cholesky, cg, ials\+\+/,
  ],
  [
    'gather',
    { name: 'cg' as const, cgSteps: 1, block: 1, gather: 'f16' as const },
    /no gather "f16"; choose f32/,
  ],
])('a %s that is not there is refused by its name', (_, solver, message) => {
  const problem = buildProblem({ rows: 0, cols: 3, factors: 2, objective: defaultObjective, seed: 1 });
  expect(() => solveBlock({ ...problem, solver, wantLoss: false })).toThrow(
    expect.objectContaining({ constructor: DeviceError, message: expect.stringMatching(message) }),
  );
});
