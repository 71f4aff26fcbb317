// Conjugate gradients against the textbook form in f64 (models/reference/), against the exact solution, and against
// what they are for: falling energy at every step, and few steps being enough where plain ones are not.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { solveBlock } from '../../models/ials/solve-block.js';
import { referenceConjugateGradients } from '../../models/reference/conjugate-gradients.js';
import {
  backwardError,
  type DenseSystem,
  referenceSolve,
  referenceSystem,
} from '../../models/reference/solve-rows.js';
import {
  anyProblemOptions,
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
} from '../support/ials-problems.js';

describe('conjugate gradients', () => {
  it('take the steps of the textbook form, from a prior and from zero', () => {
    fc.assert(
      fc.property(
        anyProblemOptions,
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        (options, steps, isWarm) => {
          const problem = buildProblem(options);
          const prior = isWarm ? problem.prior : undefined;
          const { block, fixed, factors, objective } = problem;
          const expected = referenceConjugateGradients(block, fixed, factors, objective, steps, prior);
          // Once converged, further steps of the reference only stir rounding: rows are compared to f32's precision.
          expect(Math.max(...rowDistances(solve(problem, steps, prior), expected, factors))).toBeLessThan(
            1e-5,
          );
        },
      ),
    );
  });

  it('come to the exact solution', () => {
    fc.assert(
      fc.property(anyProblemOptions, (options) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective } = problem;
        const expected = referenceSolve(block, fixed, factors, objective);
        expect(Math.max(...rowDistances(solve(problem, 3 * factors + 10), expected, factors))).toBeLessThan(
          2e-5,
        );
      }),
    );
  });

  it.each([
    ['ials', 0.01],
    ['hu2008', 0.01],
    ['ials', 1e-9],
    ['hu2008', 1e-9],
  ] as const)('come to it for %s on an ill-conditioned Gram too, λ = %f', (name, regularization) => {
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
    const rows = solve(problem, 400);
    forEachSystem(problem, (system, row, at) => {
      expect(backwardError(system, rows.subarray(at, at + 40)), `row ${row}`).toBeLessThan(1e-6);
    });
  });

  it('never raise the energy ½xᵀAx − bᵀx, step by step', () => {
    fc.assert(
      fc.property(anyProblemOptions, (options) => {
        const problem = buildProblem(options);
        const { factors, prior } = problem;
        const runs = [0, 1, 2, 3, 5, 8].map((steps) => (steps === 0 ? prior : solve(problem, steps, prior)));
        forEachSystem(problem, (system, _row, at) => {
          const energies = runs.map((rows) => energy(system, rows.subarray(at, at + factors)));
          for (let step = 1; step < energies.length; step++) {
            const rounding =
              1e-6 * Math.abs(energies[0]! - energies.at(-1)!) + 1e-7 * Math.abs(energies.at(-1)!);
            expect(energies[step]!).toBeLessThanOrEqual(energies[step - 1]! + rounding);
          }
        });
      }),
      { numRuns: 60 },
    );
  });

  it('do better in 3 whitened steps than in 8 plain ones where the Gram is skewed', () => {
    const objective = { ...defaultObjective, alpha0: 0.5, regularization: 1e-4 };
    const problem = buildProblem({ rows: 60, cols: 400, factors: 32, objective, seed: 1, decay: 0.85 });
    const { block, fixed } = problem;
    const exact = referenceSolve(block, fixed, 32, objective);
    const whitened = mean(rowDistances(solve(problem, 3), exact, 32));
    const plain = new Float64Array(exact.length);
    forEachSystem(problem, (system, _row, at) => plain.set(plainSteps(system, 8), at));
    expect(whitened).toBeLessThan(0.5 * mean(rowDistances(plain, exact, 32)));
  });

  it('stay at a solution they are started from', () => {
    const problem = buildProblem({ rows: 20, cols: 90, factors: 13, objective: defaultObjective, seed: 2 });
    const exact = Float32Array.from(referenceSolve(problem.block, problem.fixed, 13, defaultObjective));
    expect(Math.max(...rowDistances(solve(problem, 3, exact), exact, 13))).toBeLessThan(1e-6);
  });

  it('treat rows longer than their scratch as they treat the others', () => {
    // K = 128 keeps 256 rows of the fixed side at a time; the full row has 700.
    const problem = buildProblem({ rows: 3, cols: 700, factors: 128, objective: huObjective, seed: 3 });
    const { block, fixed } = problem;
    const expected = referenceConjugateGradients(block, fixed, 128, huObjective, 3, problem.prior);
    expect(Math.max(...rowDistances(solve(problem, 3, problem.prior), expected, 128))).toBeLessThan(1e-5);
  });

  it('need no penalty: a singular system gets a solution of least residual', () => {
    // Two columns of the fixed side are the same: G is singular, and so is every row's system.
    const objective = { ...defaultObjective, regularization: 0 };
    const problem = buildProblem({ rows: 8, cols: 40, factors: 6, objective, seed: 4 });
    for (let item = 0; item < 40; item++) problem.fixed[item * 6 + 5] = problem.fixed[item * 6 + 4]!;
    for (let k = 0; k < 6; k++) problem.gram[5 * 6 + k] = problem.gram[4 * 6 + k]!;
    for (let k = 0; k < 6; k++) problem.gram[k * 6 + 5] = problem.gram[k * 6 + 4]!;
    const rows = solve(problem, 30);
    forEachSystem(problem, (system, row, at) => {
      expect(backwardError(system, rows.subarray(at, at + 6)), `row ${row}`).toBeLessThan(1e-6);
    });
  });
});

function solve(problem: IalsProblem, steps: number, prior?: Float32Array): Float32Array {
  const solver = { name: 'cg' as const, cgSteps: steps, block: 1 };
  return solveBlock({ ...problem, prior, solver, wantLoss: false }).rows;
}

function forEachSystem(
  { block, fixed, factors, objective }: IalsProblem,
  visit: (system: DenseSystem, row: number, at: number) => void,
): void {
  for (let row = 0; row < block.rows; row++) {
    if (block.ptr[row] === block.ptr[row + 1]) continue;
    visit(referenceSystem(block, row, fixed, factors, objective), row, row * factors);
  }
}

function energy({ a, b }: DenseSystem, x: ArrayLike<number>): number {
  let sum = 0;
  for (let r = 0; r < b.length; r++) {
    for (let c = 0; c < b.length; c++) sum += 0.5 * x[r]! * a[r * b.length + c]! * x[c]!;
    sum -= b[r]! * x[r]!;
  }
  return sum;
}

/** Conjugate gradients without any preconditioner, from zero. */
function plainSteps({ a, b }: DenseSystem, steps: number): number[] {
  const n = b.length;
  const dot = (u: number[], v: number[]): number => u.reduce((sum, value, k) => sum + value * v[k]!, 0);
  let x = new Array<number>(n).fill(0);
  let r = [...b];
  let p = r;
  for (let step = 0; step < steps; step++) {
    const ap = p.map((_, row) => dot([...a.subarray(row * n, (row + 1) * n)], p));
    const length = dot(r, r) / dot(p, ap);
    x = x.map((value, k) => value + length * p[k]!);
    const next = r.map((value, k) => value - length * ap[k]!);
    const turn = dot(next, next) / dot(r, r);
    r = next;
    p = r.map((value, k) => value + turn * p[k]!);
  }
  return x;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
