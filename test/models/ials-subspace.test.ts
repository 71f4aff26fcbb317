// iALS++ against dense subsystems in f64 (models/reference/), against the exact solution it comes to, and against what
// it promises: no pass over the blocks lets a row's loss rise.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { solveBlock } from '../../models/ials/solve-block.js';
import { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { type DenseSystem, referenceSolve, referenceSystem } from '../../models/reference/solve-rows.js';
import { referenceSubspaces } from '../../models/reference/subspace.js';
import {
  anyProblemOptions,
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
} from '../support/ials-problems.js';

const anyWidth = fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 40 }));

describe('blocks of dimensions', () => {
  it('are solved as their dense subsystems are, from a prior and from zero', () => {
    fc.assert(
      fc.property(anyProblemOptions, anyWidth, fc.boolean(), (options, width, isWarm) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective } = problem;
        const prior = isWarm ? problem.prior : undefined;
        const expected = referenceSubspaces(block, fixed, factors, objective, width, prior);
        const found = solve({ ...problem, prior }, width);
        expect(Math.max(...rowDistances(found, expected, factors))).toBeLessThan(1e-6);
      }),
    );
  });

  it('come to the exact solution, pass after pass', () => {
    const problem = buildProblem({ rows: 9, cols: 70, factors: 22, objective: defaultObjective, seed: 4 });
    const { block, fixed, factors, objective } = problem;
    const expected = referenceSolve(block, fixed, factors, objective);
    const distance = (rows: Float32Array) => Math.max(...rowDistances(rows, expected, factors));
    let rows = solve({ ...problem, prior: undefined }, 5);
    const first = distance(rows);
    for (let pass = 1; pass < 60; pass++) rows = solve({ ...problem, prior: rows }, 5);
    expect(first).toBeGreaterThan(1e-2);
    expect(distance(rows)).toBeLessThan(1e-5);
  });

  it('never let the loss of a row rise, from any start', () => {
    fc.assert(
      fc.property(anyProblemOptions, anyWidth, (options, width) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective, prior } = problem;
        const rows = solve(problem, width);
        for (let row = 1; row < block.rows; row++) {
          const system = referenceSystem(block, row, fixed, factors, objective);
          const before = energy(system, prior.subarray(row * factors, (row + 1) * factors));
          const after = energy(system, rows.subarray(row * factors, (row + 1) * factors));
          expect(after.value).toBeLessThanOrEqual(before.value + 1e-6 * (before.size + after.size));
        }
      }),
    );
  });

  it('as wide as K, or wider, give the bits of cholesky and do not read the prior', () => {
    const problem = buildProblem({ rows: 8, cols: 40, factors: 11, objective: huObjective, seed: 2 });
    const solver = { name: 'cholesky' as const, cgSteps: 1, block: 1 };
    const exact = solveBlock({ ...problem, solver, wantLoss: false }).rows;
    const prior = new Float32Array(problem.prior.length).fill(Number.NaN);
    for (const width of [11, 12, 1024]) expect(solve({ ...problem, prior }, width)).toEqual(exact);
  });

  it('of a Gram without full rank are solved without a penalty where their rows make them regular', () => {
    const objective = { ...defaultObjective, alpha0: 0, regularization: 0 };
    const problem = buildProblem({ rows: 0, cols: 30, factors: 10, objective, seed: 1 });
    // Row 1 has one entry: only blocks of one dimension are regular.
    const { block, fixed, factors } = problem;
    const expected = referenceSubspaces(block, fixed, factors, objective, 1, problem.prior);
    expect(Math.max(...rowDistances(solve(problem, 1), expected, factors))).toBeLessThan(1e-5);
  });

  it('give a row the same bits with a workspace that was used before, for other blocks and another Gram', () => {
    const problem = buildProblem({ rows: 10, cols: 50, factors: 18, objective: defaultObjective, seed: 7 });
    const other = buildProblem({ rows: 5, cols: 50, factors: 18, objective: huObjective, seed: 8 });
    const workspace = new SolveWorkspace();
    const fresh = solve(problem, 7);
    solve(other, 7, workspace);
    solve(problem, 4, workspace);
    expect(solve(problem, 7, workspace)).toEqual(fresh);
    expect(solve(problem, 7, workspace)).toEqual(fresh);
  });
});

function solve(
  problem: Omit<IalsProblem, 'prior'> & { prior?: Float32Array },
  width: number,
  workspace?: SolveWorkspace,
): Float32Array {
  const solver = { name: 'ials++' as const, cgSteps: 1, block: width };
  return solveBlock({ ...problem, solver, wantLoss: false, workspace }).rows;
}

/** xᵀAx − 2bᵀx: the row's loss, up to a constant; and the size of its terms, which is what rounding is a part of. */
function energy({ a, b }: DenseSystem, x: Float32Array): { value: number; size: number } {
  let quadratic = 0;
  let linear = 0;
  let size = 0;
  for (let r = 0; r < x.length; r++) {
    for (let c = 0; c < x.length; c++) {
      quadratic += a[r * x.length + c]! * x[r]! * x[c]!;
      size += Math.abs(a[r * x.length + c]! * x[r]! * x[c]!);
    }
    linear += b[r]! * x[r]!;
    size += Math.abs(b[r]! * x[r]!);
  }
  return { value: quadratic - 2 * linear, size };
}
