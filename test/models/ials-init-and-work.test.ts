// Initial factors, the work that rows are planned by, and fold-in.

import { describe, expect, it } from 'vitest';
import { foldIn } from '../../models/ials/fold-in.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { solveBlock } from '../../models/ials/solve-block.js';
import { rowWork } from '../../models/ials/work.js';
import { buildProblem, defaultObjective } from '../support/ials-problems.js';

describe('initial factors', () => {
  const init = (rowStart: number, rowEnd: number, change = {}): Float32Array => {
    const o = { seed: 11, side: 'items' as const, rowStart, rowEnd, factors: 7, stdDev: 0.1, ...change };
    const out = new Float32Array((rowEnd - rowStart) * o.factors);
    initFactors(out, o);
    return out;
  };

  it('of a row do not depend on the range they were made with', () => {
    const whole = init(0, 100);
    expect(init(37, 61)).toEqual(whole.subarray(37 * 7, 61 * 7));
    expect(init(99, 100)).toEqual(whole.subarray(99 * 7));
  });

  it('differ by seed and by side', () => {
    expect(init(0, 1, { seed: 12 })[0]).not.toBe(init(0, 1)[0]);
    expect(init(0, 1, { side: 'users' })[0]).not.toBe(init(0, 1)[0]);
  });

  it('have mean 0 and variance σ*²/K', () => {
    const factors = init(0, 5000, { stdDev: 0.3, factors: 16 });
    const mean = factors.reduce((sum, value) => sum + value, 0) / factors.length;
    const variance = factors.reduce((sum, value) => sum + value * value, 0) / factors.length;
    const expected = 0.3 ** 2 / 16;
    // Four standard errors of mean and variance of 80 000 normals.
    expect(Math.abs(mean)).toBeLessThan(4 * Math.sqrt(expected / factors.length));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(4 * Math.sqrt(2 / factors.length));
  });
});

describe('the work of a row', () => {
  const cholesky = { name: 'cholesky' as const, cgSteps: 3, block: 16 };

  it.each(['cholesky', 'cg', 'ials++'] as const)('grows with its entries, with %s', (name) => {
    const solver = { ...cholesky, name };
    for (let n = 0; n < 300; n++) expect(rowWork(n + 1, 64, solver)).toBeGreaterThan(rowWork(n, 64, solver));
  });

  it('of a long row is that of its Gram', () => {
    expect(rowWork(100_000, 64, cholesky) / (100_000 * 64 * 65)).toBeCloseTo(1, 3);
  });

  it('of blocks of dimensions is near that of their own systems, and exact for a block of K', () => {
    const blocks = (block: number) => rowWork(100_000, 64, { name: 'ials++', cgSteps: 1, block });
    expect(blocks(16) / (100_000 * 64 * 17)).toBeCloseTo(1 + 4 / 17, 3);
    expect(blocks(64)).toBe(rowWork(100_000, 64, cholesky));
    expect(blocks(1000)).toBe(blocks(64));
  });

  it('of conjugate gradients grows with their steps', () => {
    const steps = (cgSteps: number) => rowWork(20, 32, { name: 'cg', cgSteps, block: 1 });
    expect(steps(7) / steps(3)).toBe(2);
  });
});

describe('fold-in', () => {
  it('gives a history the factors that training would give it', () => {
    const problem = buildProblem({ rows: 6, cols: 50, factors: 9, objective: defaultObjective, seed: 5 });
    const trained = solveBlock({
      ...problem,
      solver: { name: 'cholesky', cgSteps: 1, block: 1 },
      wantLoss: false,
    }).rows;
    const folded = foldIn({
      histories: problem.block,
      items: problem.fixed,
      itemCount: problem.fixedRows,
      factors: 9,
      gram: problem.gram,
      objective: problem.objective,
    });
    expect(folded).toEqual(trained);
  });
});
