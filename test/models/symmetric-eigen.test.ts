// The eigenvalues and vectors of symmetric matrices: they rebuild the matrix, and are orthonormal.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { symmetricEigen } from '../../models/dense/symmetric-eigen.js';
import { referenceGram } from '../../models/reference/gram.js';

const shapes = fc.record({
  n: fc.integer({ min: 1, max: 24 }),
  rank: fc.integer({ min: 0, max: 30 }),
  decay: fc.constantFrom(1, 0.5),
  seed: fc.nat(),
});

describe('the eigenvalues of a symmetric matrix', () => {
  it('with their vectors rebuild it, of any rank and condition', () => {
    fc.assert(
      fc.property(shapes, ({ n, rank, decay, seed }) => {
        const random = createRandom(seed);
        const rows = Float64Array.from({ length: rank * n }, (_, i) => random.normal() * decay ** (i % n));
        const matrix = referenceGram(rows, rank, n);
        const before = [...matrix];
        const { values, vectors } = symmetricEigen(matrix, n);
        expect([...matrix]).toEqual(before);
        const scale = Math.max(1e-300, ...matrix.map(Math.abs));
        for (let r = 0; r < n; r++) {
          for (let c = 0; c < n; c++) {
            let product = 0;
            let orthogonal = 0;
            for (let k = 0; k < n; k++) {
              product += vectors[r * n + k]! * values[k]! * vectors[c * n + k]!;
              orthogonal += vectors[k * n + r]! * vectors[k * n + c]!;
            }
            expect(Math.abs(product - matrix[r * n + c]!)).toBeLessThan(1e-13 * n * scale);
            expect(Math.abs(orthogonal - (r === c ? 1 : 0))).toBeLessThan(1e-13 * n);
          }
        }
        // A Gram of fewer rows than columns has that many zeros.
        const zeros = values.filter((value) => Math.abs(value) < 1e-13 * n * scale).length;
        expect(zeros).toBeGreaterThanOrEqual(n - rank);
      }),
    );
  });

  it('of a matrix with negative ones too', () => {
    const { values } = symmetricEigen(Float64Array.of(0, 2, 2, 3), 2);
    expect([...values].sort((a, b) => a - b)).toEqual([expect.closeTo(-1, 12), expect.closeTo(4, 12)]);
  });
});
