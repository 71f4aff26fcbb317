// The exact solver against Gaussian elimination in f64 (models/reference/), and against the equations themselves by
// the backward error ‖Ax − b‖ / (‖A‖_F ‖x‖ + ‖b‖), which does not depend on the condition of the data.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csrSlice } from '../../models/csr.js';
import { dualIsCheaper } from '../../models/ials/cholesky.js';
import { solveBlock } from '../../models/ials/solve-block.js';
import { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { backwardError, referenceSolve, referenceSystem } from '../../models/reference/solve-rows.js';
import {
  anyProblemOptions,
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
} from '../support/ials-problems.js';

const cholesky = { name: 'cholesky' as const, cgSteps: 1, block: 1 };

describe('the exact solution', () => {
  it('agrees with Gaussian elimination on rows of every length, any weights and any K', () => {
    fc.assert(
      fc.property(anyProblemOptions, (options) => {
        const problem = buildProblem(options);
        const { rows } = solve(problem);
        const expected = referenceSolve(problem.block, problem.fixed, problem.factors, problem.objective);
        expect(Math.max(...rowDistances(rows, expected, problem.factors))).toBeLessThan(1e-5);
        expect(worstBackwardError(problem, rows)).toBeLessThan(2e-7);
      }),
      { numRuns: 150 },
    );
  });

  it.each([
    ['ials', defaultObjective],
    ['hu2008', huObjective],
  ])('solves the normal equations of %s at K = 64, rows of one entry and of all', (_, objective) => {
    const problem = buildProblem({ rows: 12, cols: 300, factors: 64, objective, seed: 3 });
    expect(worstBackwardError(problem, solve(problem).rows)).toBeLessThan(1e-7);
  });

  it.each([
    ['ials', 0.01],
    ['hu2008', 0.01],
    ['ials', 1e-12],
    ['hu2008', 1e-12],
  ] as const)(
    'holds its backward error for %s on an ill-conditioned Gram, λ = %f',
    (name, regularization) => {
      const base = name === 'ials' ? defaultObjective : huObjective;
      const objective = { ...base, regularization, weights: 'value' as const };
      const problem = buildProblem({
        rows: 20,
        cols: 200,
        factors: 40,
        objective,
        seed: 5,
        valueMax: 5000,
        decay: 0.7,
      });
      expect(worstBackwardError(problem, solve(problem).rows)).toBeLessThan(1e-6);
    },
  );

  it('solves lengths on both sides of the switch to the dual alike', () => {
    // Forty columns, K = 18: rows of every length from 1 to 40.
    const cols = 40;
    const ptr = Int32Array.from({ length: cols + 1 }, (_, n) => (n * (n + 1)) / 2);
    const idx = new Int32Array(ptr[cols]!);
    for (let n = 0; n < cols; n++) for (let e = 0; e <= n; e++) idx[ptr[n]! + e] = e;
    const base = buildProblem({ rows: 0, cols, factors: 18, objective: defaultObjective, seed: 8 });
    const problem = { ...base, block: { rows: cols, cols, ptr, idx }, prior: new Float32Array(cols * 18) };
    expect(dualIsCheaper(9, 18)).toBe(true);
    expect(dualIsCheaper(10, 18)).toBe(false);
    const expected = referenceSolve(problem.block, problem.fixed, 18, problem.objective);
    expect(Math.max(...rowDistances(solve(problem).rows, expected, 18))).toBeLessThan(1e-6);
  });

  it('counts interactions of value 0 as the objective does, in short rows and long ones', () => {
    for (const objective of [defaultObjective, huObjective]) {
      const weighted = { ...objective, weights: 'value' as const };
      const problem = buildProblem({
        rows: 9,
        cols: 40,
        factors: 11,
        objective: weighted,
        seed: 4,
        valueMax: 3,
      });
      for (let e = 0; e < problem.block.values!.length; e += 2) problem.block.values![e] = 0;
      const expected = referenceSolve(problem.block, problem.fixed, 11, weighted);
      expect(Math.max(...rowDistances(solve(problem).rows, expected, 11))).toBeLessThan(1e-5);
    }
  });

  it('of a row without entries is exactly zero, whatever stood there before', () => {
    const problem = buildProblem({ rows: 3, cols: 9, factors: 5, objective: defaultObjective, seed: 6 });
    const out = new Float32Array(problem.block.rows * 5).fill(7);
    const { rows } = solveBlock({ ...problem, solver: cholesky, wantLoss: false, out });
    expect(rows).toBe(out);
    expect([...rows.subarray(0, 5)]).toEqual([0, 0, 0, 0, 0]);
    expect(rows.subarray(5).some((value) => value === 7)).toBe(false);
  });

  it('is found without any penalty where the data determine it', () => {
    const objective = { ...defaultObjective, alpha0: 0, regularization: 0 };
    const problem = buildProblem({ rows: 0, cols: 60, factors: 7, objective, seed: 2 });
    const block = csrSlice(problem.block, 2, 3);
    const full = { ...problem, block, prior: problem.prior.subarray(14, 21) };
    const expected = referenceSolve(block, problem.fixed, 7, objective);
    expect(rowDistances(solve(full).rows, expected, 7)[0]).toBeLessThan(1e-6);
  });
});

describe('the same row', () => {
  it.each(['cholesky', 'cg'] as const)(
    'has the same bits in every partition into blocks, with %s',
    (name) => {
      fc.assert(
        fc.property(anyProblemOptions, fc.array(fc.nat(11), { maxLength: 4 }), (options, cuts) => {
          const problem = buildProblem(options);
          const solver = { name, cgSteps: 3, block: 1 };
          const whole = solveBlock({ ...problem, solver, wantLoss: false });
          const { factors } = problem;
          const { rows } = problem.block;
          const bounds = [0, ...cuts.map((cut) => Math.min(cut, rows)).sort((a, b) => a - b), rows];
          const workspace = new SolveWorkspace();
          // Last block first, one scratch for all: nothing of the order or of what came before may show.
          for (let cut = bounds.length - 2; cut >= 0; cut--) {
            const [start, end] = [bounds[cut]!, bounds[cut + 1]!];
            const part = solveBlock({
              ...problem,
              block: csrSlice(problem.block, start, end),
              prior: problem.prior.subarray(start * factors, end * factors),
              solver,
              wantLoss: false,
              workspace,
            });
            expect(bits(part.rows)).toEqual(bits(whole.rows.subarray(start * factors, end * factors)));
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  it('is not touched by a scratch that served another Gram, K or objective before', () => {
    const workspace = new SolveWorkspace();
    for (const [factors, seed, objective] of [
      [9, 1, defaultObjective],
      [9, 2, defaultObjective],
      [9, 2, huObjective],
      [9, 2, { ...defaultObjective, alpha0: 0.7 }],
      [14, 2, { ...defaultObjective, alpha0: 0.7 }],
    ] as const) {
      const problem = buildProblem({ rows: 5, cols: 30, factors, objective, seed });
      const fresh = solve(problem).rows;
      const reused = solveBlock({ ...problem, solver: cholesky, wantLoss: false, workspace }).rows;
      expect(bits(reused)).toEqual(bits(fresh));
    }
  });
});

function solve(problem: IalsProblem) {
  return solveBlock({ ...problem, solver: cholesky, wantLoss: false });
}

function worstBackwardError(problem: IalsProblem, rows: Float32Array): number {
  const { block, fixed, factors, objective, gram } = problem;
  const errors = Array.from({ length: block.rows }, (_, row) => {
    if (block.ptr[row] === block.ptr[row + 1]) return 0;
    const system = referenceSystem(block, row, fixed, factors, objective, gram);
    return backwardError(system, rows.subarray(row * factors, (row + 1) * factors));
  });
  return Math.max(...errors);
}

function bits(rows: Float32Array): number[] {
  return [...new Uint32Array(rows.slice().buffer)];
}
