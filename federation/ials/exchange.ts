// What participants sum for the server in one sweep: the items' half-step, cut into exchanges.
//
// With x_u the users' factors, which stay at home, y_i an item's factors, S_i the item's interactions at all
// participants, w and c as in `models/ials/objective.ts`, the item's system is
//
//   (s·G + A_i + λ_i I) y_i = b_i,      G = Σ_u x_u x_uᵀ,  A_i = Σ_{u∈S_i} w x_u x_uᵀ,  b_i = Σ_{u∈S_i} c x_u
//
// and every part of it is a sum over users, hence over participants. The three solvers ask for it in different ways:
//
//   cholesky  one exchange: A_i and b_i
//   cg        first Σ (c − w x·y_i) x, which is b_i − A_i y_i; then, for each step, Σ w x (x·p_i), which is A_i p_i
//   ials++    for each block π of dimensions: A_ππ and Σ (c − w x·y_i) x_π
//
// G comes with the first exchange of a sweep. Source of the blocks: Rendle, Krichene, Zhang, Koren, "iALS++: Speeding
// up Matrix Factorization with Subspace Optimization", 2021.

import { UsageError } from '../../common/errors.js';
import type { SolverOptions } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { type RowSum, rowSumLength } from '../../models/ials/row-sums.js';

export type Exchange = RowSum;

/**
 * The exchanges of one sweep, in their order; the users' Gram comes with the first.
 *
 * @throws {UsageError} `STOA_USAGE`: no step, or no dimension of a block.
 */
export function exchangesOfSweep(solver: SolverOptions, factors: number): readonly Exchange[] {
  if (solver.name === 'cholesky') return [{ kind: 'full' }];
  if (solver.name === 'cg') {
    expectCount(solver.cgSteps, 'ials.cg_steps');
    return [{ kind: 'residual' }, ...Array<Exchange>(solver.cgSteps).fill({ kind: 'product' })];
  }
  expectCount(solver.block, 'ials.block');
  const blocks: Exchange[] = [];
  for (let start = 0; start < factors; start += solver.block) {
    blocks.push({ kind: 'block', start, end: Math.min(start + solver.block, factors) });
  }
  return blocks;
}

/** How many numbers an exchange takes for each item. @param factors K. */
export function numbersPerItem(exchange: Exchange, factors: number): number {
  return rowSumLength(exchange, factors);
}

/** Numbers that one participant uploads in a sweep, the users' Gram included. */
export function numbersPerSweep(solver: SolverOptions, o: { items: number; factors: number }): number {
  const perItem = exchangesOfSweep(solver, o.factors).reduce(
    (sum, exchange) => sum + numbersPerItem(exchange, o.factors),
    0,
  );
  return o.items * perItem + packedGramLength(o.factors);
}

function expectCount(value: number, field: string): void {
  if (Number.isInteger(value) && value >= 1) return;
  throw new UsageError('STOA_USAGE', `${field} is ${value}: a whole number of at least 1 was expected`, {
    fields: { field },
  });
}
