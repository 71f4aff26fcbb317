// The loss put together from blocks and Grams against the objective written out pair by pair; and what exact
// half-steps must do to it.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { BlockLoss, BlockResult, IalsObjective } from '../../models/device.js';
import { addPackedGram, packedGramLength, packedGramOf, unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { totalLoss } from '../../models/ials/loss.js';
import { solveBlock } from '../../models/ials/solve-block.js';
import { referenceLoss } from '../../models/reference/loss.js';
import {
  anyProblemOptions,
  buildProblem,
  defaultObjective,
  huObjective,
  transpose,
} from '../support/ials-problems.js';

describe('the loss of a training', () => {
  it('from blocks and Grams is the objective, after every phase, for both objectives and any weights', () => {
    fc.assert(
      fc.property(anyProblemOptions, fc.integer({ min: 1, max: 4 }), (options, blocks) => {
        const { block, objective, factors } = buildProblem(options);
        for (const { loss, users, items } of train(block, objective, factors, 2, blocks)) {
          const expected = referenceLoss(block, users, items, factors, objective);
          expect(Math.abs(loss - expected)).toBeLessThan(1e-8 * Math.abs(expected) + 1e-9);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('never rises from phase to phase', () => {
    fc.assert(
      fc.property(anyProblemOptions, (options) => {
        const { block, objective, factors } = buildProblem(options);
        const losses = [...train(block, objective, factors, 4, 2)].map((phase) => phase.loss);
        for (let phase = 1; phase < losses.length; phase++) {
          // Factors are rounded to f32: a converged loss may waver in its seventh digit.
          expect(losses[phase]!).toBeLessThanOrEqual(losses[phase - 1]! * (1 + 1e-6));
        }
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    ['ials', defaultObjective],
    ['hu2008', huObjective],
  ])('falls well below that of a model of zeros, for %s', (_, objective) => {
    const { block } = buildProblem({ rows: 50, cols: 60, factors: 8, objective, seed: 4 });
    const zeros = new Float32Array(8 * 60);
    const nothing = referenceLoss(block, zeros, zeros, 8, objective);
    const trained = [...train(block, objective, 8, 5, 1)].at(-1)!.loss;
    expect(trained).toBeLessThan(0.9 * nothing);
  });
});

/** Trains with exact half-steps, as the coordinator does: block by block, Grams and losses added in block order. */
function* train(byUser: Csr, objective: IalsObjective, factors: number, epochs: number, blocks: number) {
  const byItem = transpose(byUser);
  let users: Float32Array = new Float32Array(byUser.rows * factors);
  let items: Float32Array = new Float32Array(byItem.rows * factors);
  const all = { seed: 3, side: 'items' as const, rowStart: 0, rowEnd: byItem.rows, factors, stdDev: 1 };
  initFactors(items, all);
  let gramItems = packedGramOf(items, byItem.rows, factors);
  let penaltyItems = Number.NaN;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const usersPhase = phase(byUser, items, gramItems, objective, factors, blocks);
    users = usersPhase.rows;
    if (epoch > 0) {
      const loss = totalLoss({
        objective,
        observed: usersPhase.loss.observed,
        penaltyUsers: usersPhase.loss.penalty,
        penaltyItems,
        gramUsers: usersPhase.gram,
        gramItems,
        factors,
      });
      yield { loss, users, items };
    }
    const itemsPhase = phase(byItem, users, usersPhase.gram, objective, factors, blocks);
    items = itemsPhase.rows;
    gramItems = itemsPhase.gram;
    penaltyItems = itemsPhase.loss.penalty;
    const loss = totalLoss({
      objective,
      observed: itemsPhase.loss.observed,
      penaltyUsers: usersPhase.loss.penalty,
      penaltyItems,
      gramUsers: usersPhase.gram,
      gramItems,
      factors,
    });
    yield { loss, users, items };
  }
}

function phase(
  csr: Csr,
  fixed: Float32Array,
  packed: Float64Array,
  objective: IalsObjective,
  factors: number,
  blocks: number,
): { rows: Float32Array; gram: Float64Array; loss: BlockLoss } {
  const rows = new Float32Array(csr.rows * factors);
  const gram = new Float64Array(packedGramLength(factors));
  const loss = { observed: 0, penalty: 0 };
  for (let part = 0; part < blocks; part++) {
    const start = Math.floor((part * csr.rows) / blocks);
    const end = Math.floor(((part + 1) * csr.rows) / blocks);
    const result: Omit<BlockResult, 'ms'> = solveBlock({
      block: csrSlice(csr, start, end),
      fixed,
      fixedRows: csr.cols,
      factors,
      gram: unpackGram(packed, factors),
      objective,
      solver: { name: 'cholesky', cgSteps: 1, block: 1 },
      wantLoss: true,
    });
    rows.set(result.rows, start * factors);
    addPackedGram(gram, result.gram);
    loss.observed += result.loss!.observed;
    loss.penalty += result.loss!.penalty;
  }
  return { rows, gram, loss };
}
