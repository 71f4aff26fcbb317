// Popularity and item-kNN against the same things computed from dense matrices.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { cosineRow, nearestNeighbours, scoreByNeighbours } from '../../models/baselines/item-knn.js';
import { popularOrder, rankPopular } from '../../models/baselines/popular.js';
import { scoreByWeights } from '../../models/baselines/score-by-weights.js';
import { selectTop } from '../../models/baselines/select-top.js';
import { columnCounts, transposeCsr } from '../../models/baselines/transpose-csr.js';
import type { Csr } from '../../models/csr.js';
import { binaryCsr, binaryMatrices } from './baselines-matrices.js';

it('the popular come first, equal ones by row, and what a user took is left out', () => {
  const order = popularOrder(Int32Array.of(2, 5, 2, 0, 7));
  expect([...order]).toEqual([4, 1, 0, 2, 3]);
  const out = new Int32Array(4);
  rankPopular(order, Uint8Array.of(0, 1, 0, 0, 1), out);
  expect([...out]).toEqual([0, 2, 3, -1]);
});

it('turning a matrix twice gives it back, and turning counts its columns', () => {
  fc.assert(
    fc.property(binaryMatrices(), (dense) => {
      const csr = binaryCsr(dense);
      const turned = transposeCsr(csr);
      expect(turned).toMatchObject({ rows: csr.cols, cols: csr.rows });
      const back = transposeCsr(turned);
      expect([...back.ptr]).toEqual([...csr.ptr]);
      expect([...back.idx]).toEqual([...csr.idx]);
      const counts = columnCounts(csr);
      counts.forEach((count, col) => {
        expect(count).toBe(turned.ptr[col + 1]! - turned.ptr[col]!);
      });
    }),
  );
});

it('cosines are those of the dense columns', () => {
  fc.assert(
    fc.property(binaryMatrices(), (dense) => {
      const csr = binaryCsr(dense);
      for (let item = 0; item < csr.cols; item++) {
        const row = cosinesOf(csr, item);
        for (let other = 0; other < csr.cols; other++) {
          const expected = other === item ? 0 : denseCosine(dense, item, other);
          expect(row[other]).toBeCloseTo(expected, 12);
        }
      }
    }),
  );
});

it('keeping all neighbours scores like the whole matrix, keeping one scores by the nearest alone', () => {
  // Learners' courses; 0 and 1 go together most, then 1 and 2.
  const csr = binaryCsr([
    [1, 1, 0, 0],
    [1, 1, 0, 0],
    [1, 1, 1, 0],
    [0, 1, 1, 0],
    [0, 0, 1, 1],
  ]);
  const all = neighboursOf(csr, 3);
  const one = neighboursOf(csr, 1);
  const weights = Float32Array.from({ length: 16 }, (_, e) => cosinesOf(csr, e >> 2)[e & 3]!);
  const [byAll, byWeights, byOne] = [new Float64Array(4), new Float64Array(4), new Float64Array(4)];
  const history = Int32Array.of(1, 3);
  scoreByWeights(history, weights, byWeights);
  scoreByNeighbours(history, all.neighbours, all.cosines, 3, byAll);
  scoreByNeighbours(history, one.neighbours, one.cosines, 1, byOne);
  expect([...byAll]).toEqual([...byWeights]);
  // Nearest to 1 is 0: 3 common of 3 and 4; nearest to 3 is 2: 1 common of 1 and 3.
  expect(byOne[0]).toBeCloseTo(3 / Math.sqrt(12), 6);
  expect(byOne[2]).toBeCloseTo(1 / Math.sqrt(3), 6);
  expect([byOne[1], byOne[3]]).toEqual([0, 0]);
});

it('the top of a list is the top of the sorted list, equal scores by lower row', () => {
  const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(Number.NEGATIVE_INFINITY));
  fc.assert(
    fc.property(fc.array(score, { maxLength: 60 }), fc.integer({ min: 0, max: 70 }), (scores, n) => {
      const out = new Int32Array(n);
      selectTop(Float64Array.from(scores), out);
      const sorted = scores
        .map((_, row) => row)
        .filter((row) => scores[row] !== Number.NEGATIVE_INFINITY)
        .sort((a, b) => scores[b]! - scores[a]! || a - b)
        .slice(0, n);
      expect([...out]).toEqual([...sorted, ...new Array(n - sorted.length).fill(-1)]);
    }),
  );
});

function cosinesOf(csr: Csr, item: number): Float64Array {
  const row = new Float64Array(csr.cols).fill(99);
  cosineRow(csr, transposeCsr(csr), columnCounts(csr), item, row);
  return row;
}

function neighboursOf(csr: Csr, width: number) {
  const neighbours = new Int32Array(csr.cols * width);
  const cosines = new Float32Array(csr.cols * width);
  for (let item = 0; item < csr.cols; item++) {
    const range = [item * width, (item + 1) * width] as const;
    nearestNeighbours(cosinesOf(csr, item), neighbours.subarray(...range), cosines.subarray(...range));
  }
  return { neighbours, cosines };
}

function denseCosine(dense: number[][], a: number, b: number): number {
  let both = 0;
  let inA = 0;
  let inB = 0;
  for (const row of dense) {
    both += row[a]! * row[b]!;
    inA += row[a]!;
    inB += row[b]!;
  }
  return both === 0 ? 0 : both / Math.sqrt(inA * inB);
}
