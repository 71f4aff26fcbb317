// The factorisation and its solves, by multiplying back.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { choleskyFactor, forwardSolveMany } from '../../models/dense/cholesky-factor.js';
import { paddedLength } from '../../models/dense/padding.js';
import { backwardSolve, forwardSolve, upperTimes } from '../../models/dense/triangular-solve.js';

const orders = fc.integer({ min: 1, max: 23 });

describe('the Cholesky factor', () => {
  it('multiplied with its transpose is the matrix', () => {
    fc.assert(
      fc.property(orders, fc.nat(), (order, seed) => {
        const { a, u, stride } = factorised(order, seed);
        for (let r = 0; r < order; r++) {
          for (let c = r; c < order; c++) {
            let sum = 0;
            for (let k = 0; k <= r; k++) sum += u[k * stride + r]! * u[k * stride + c]!;
            expect(Math.abs(sum - a[r * stride + c]!)).toBeLessThan(1e-12 * order);
          }
        }
      }),
    );
  });

  it('solves forward and backward', () => {
    fc.assert(
      fc.property(orders, fc.nat(), (order, seed) => {
        const { a, u, inverse, stride } = factorised(order, seed);
        const expected = randomVector(order, stride, seed + 1);
        const x = times(a, expected, stride);
        forwardSolve(u, inverse, stride, x);
        const whitened = new Float64Array(stride);
        upperTimes(u, stride, expected, whitened);
        expectClose(x, whitened);
        backwardSolve(u, inverse, stride, x);
        expectClose(x, expected);
      }),
    );
  });

  it('solves many right-hand sides as it solves one', () => {
    fc.assert(
      fc.property(orders, fc.integer({ min: 1, max: 5 }), fc.nat(), (order, pairs, seed) => {
        const { u, inverse, stride } = factorised(order, seed);
        const width = 2 * pairs;
        const columns = Array.from({ length: width }, (_, c) => randomVector(order, stride, seed + c));
        const many = new Float64Array(stride * width);
        for (const [c, column] of columns.entries()) {
          for (let r = 0; r < stride; r++) many[r * width + c] = column[r]!;
        }
        forwardSolveMany(u, inverse, stride, many, width);
        for (const [c, column] of columns.entries()) {
          forwardSolve(u, inverse, stride, column);
          expectClose(
            many.filter((_, at) => at % width === c),
            column,
          );
        }
      }),
    );
  });

  it.each([
    ['negative', 9, -1],
    ['zero', 5, 0],
    ['not a number', 2, Number.NaN],
    ['infinite', 6, Number.POSITIVE_INFINITY],
  ])('of a matrix with a pivot that is %s names its row', (_, row, pivot) => {
    const a = new Float64Array(12 * 12);
    for (let k = 0; k < 12; k++) a[k * 13] = k === row ? pivot : 2 + k;
    expect(choleskyFactor(a, new Float64Array(12), 12)).toBe(row);
  });

  it('of a singular matrix fails, though rounding leaves a pivot above zero', () => {
    // Rank 6 of 8: xxᵀ sums of six vectors.
    const random = createRandom(9);
    for (let trial = 0; trial < 20; trial++) {
      const a = new Float64Array(64);
      for (let v = 0; v < 6; v++) {
        const x = Array.from({ length: 8 }, () => random.normal());
        for (let i = 0; i < 64; i++) a[i] = a[i]! + x[i >> 3]! * x[i & 7]!;
      }
      expect(choleskyFactor(a, new Float64Array(8), 8)).toBeGreaterThanOrEqual(6);
    }
  });
});

/** A = BᵀB + I with random B, padded, and its factor. */
function factorised(order: number, seed: number) {
  const stride = paddedLength(order);
  const random = createRandom(seed);
  const b = Float64Array.from({ length: order * order }, () => random.normal());
  const a = new Float64Array(stride * stride);
  for (let r = 0; r < stride; r++) a[r * stride + r] = 1;
  for (let r = 0; r < order; r++) {
    for (let c = 0; c < order; c++) {
      for (let k = 0; k < order; k++)
        a[r * stride + c] = a[r * stride + c]! + b[k * order + r]! * b[k * order + c]!;
    }
  }
  const u = a.slice();
  const inverse = new Float64Array(stride);
  expect(choleskyFactor(u, inverse, stride)).toBe(-1);
  return { a, u, inverse, stride };
}

function randomVector(order: number, stride: number, seed: number): Float64Array {
  const random = createRandom(seed, 1);
  return Float64Array.from({ length: stride }, (_, k) => (k < order ? random.normal() : 0));
}

function times(a: Float64Array, x: Float64Array, stride: number): Float64Array {
  return x.map((_, r) => x.reduce((sum, value, c) => sum + a[r * stride + c]! * value, 0));
}

function expectClose(found: Float64Array, expected: Float64Array): void {
  for (const [k, value] of found.entries()) expect(Math.abs(value - expected[k]!)).toBeLessThan(1e-9);
}
