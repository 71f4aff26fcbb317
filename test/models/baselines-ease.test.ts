// EASE. The inverse is checked by multiplying it with what it inverts, the weights by the conditions that make them
// optimal (not by the closed form they come from).

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { easeBytes, writeGramRow, writeWeightsRow } from '../../models/baselines/ease.js';
import { createSweepState, invertSpd } from '../../models/baselines/invert-spd.js';
import { transposeCsr } from '../../models/baselines/transpose-csr.js';
import { binaryCsr, binaryMatrices } from './baselines-matrices.js';

describe('the blocked inverse', () => {
  it.each([1, 5, 96, 97, 250])('of a matrix of order %i times the matrix is the identity', (n) => {
    const matrix = randomSpd(n);
    const state = createSweepState(n);
    fillLower(state, matrix, n);
    invertSpd(state);
    for (let r = 0; r < n; r += 7) {
      for (let c = 0; c < n; c += 5) {
        let product = 0;
        for (let p = 0; p < n; p++) product -= inverseAt(state, r, p) * matrix[p * n + c]!;
        expect(Math.abs(product - (r === c ? 1 : 0))).toBeLessThan(1e-10);
      }
    }
  });

  it('refuses a matrix that is not positive definite and names the row', () => {
    const state = createSweepState(120);
    for (let i = 0; i < 120; i++) state.matrix[i * state.n + i] = i === 100 ? -1 : 1;
    expect(() => invertSpd(state)).toThrow(/not positive definite: row 100/);
  });
});

it('the weights are optimal: the residual is orthogonal to every item but the own, and the diagonal is zero', () => {
  const lambda = 0.7;
  fc.assert(
    fc.property(binaryMatrices(), (dense) => {
      const items = dense[0]!.length;
      const weights = easeWeights(dense, lambda);
      const gram = gramOf(dense);
      // Zero gradient of ‖X − XB‖² + λ‖B‖² in every B_ji with j ≠ i: (XᵀX B + λB − XᵀX)_ji = 0.
      for (let j = 0; j < items; j++) {
        expect(weights[j * items + j]).toBe(0);
        for (let i = 0; i < items; i++) {
          if (i === j) continue;
          let gradient = lambda * weights[j * items + i]! - gram[j]![i]!;
          for (let p = 0; p < items; p++) gradient += gram[j]![p]! * weights[p * items + i]!;
          expect(Math.abs(gradient)).toBeLessThan(1e-5);
        }
      }
    }),
  );
});

it('says what memory it takes: the padded matrix in doubles and the weights in floats', () => {
  expect(easeBytes(8192)).toBeGreaterThan(8192 * 8192 * 12);
  expect(easeBytes(8192)).toBeLessThan(8192 * 8192 * 13);
});

function easeWeights(dense: number[][], lambda: number): Float32Array {
  const users = binaryCsr(dense);
  const items = transposeCsr(users);
  const state = createSweepState(users.cols);
  const scratch = new Float64Array(users.cols);
  for (let item = 0; item < users.cols; item++) writeGramRow(state, users, items, item, lambda, scratch);
  invertSpd(state);
  const weights = new Float32Array(users.cols * users.cols).fill(99);
  for (let item = 0; item < users.cols; item++) writeWeightsRow(state, item, users.cols, weights);
  return weights;
}

function gramOf(dense: number[][]): number[][] {
  const items = dense[0]!.length;
  const entry = (a: number, b: number) => dense.reduce((sum, row) => sum + row[a]! * row[b]!, 0);
  return Array.from({ length: items }, (_, a) => Array.from({ length: items }, (_, b) => entry(a, b)));
}

/** M Mᵀ + 0.1 I of a random M with fewer columns than rows: far from the identity, still well posed. */
function randomSpd(n: number): Float64Array {
  const random = createRandom(n, 3);
  const rank = Math.max(1, n >> 1);
  const m = Float64Array.from({ length: n * rank }, () => random.normal());
  const spd = new Float64Array(n * n);
  for (let r = 0; r < n; r++) {
    for (let c = 0; c < n; c++) {
      for (let p = 0; p < rank; p++) spd[r * n + c]! += m[r * rank + p]! * m[c * rank + p]!;
    }
    spd[r * n + r]! += 0.1;
  }
  return spd;
}

type State = ReturnType<typeof createSweepState>;

function fillLower(state: State, matrix: Float64Array, n: number): void {
  for (let r = 0; r < n; r++) {
    for (let c = 0; c <= r; c++) state.matrix[r * state.n + c] = matrix[r * n + c]!;
  }
}

function inverseAt(state: State, r: number, c: number): number {
  return state.matrix[Math.max(r, c) * state.n + Math.min(r, c)]!;
}
