// Problems for the solvers of iALS: every one has a row without entries, a row with one and a row that touches
// everything, between rows of skewed lengths.

import fc from 'fast-check';
import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { referenceGram } from '../../models/reference/gram.js';
import { gaussianElimination, referenceSystem } from '../../models/reference/solve-rows.js';

export interface IalsProblem {
  block: Csr;
  fixed: Float32Array;
  fixedRows: number;
  factors: number;
  objective: IalsObjective;
  /** Both triangles, f64 [factors, factors]. */
  gram: Float64Array;
  prior: Float32Array;
}

export interface ProblemOptions {
  /** Rows of the block, besides the empty one, the short one and the full one. */
  rows: number;
  cols: number;
  factors: number;
  objective: IalsObjective;
  seed: number;
  /** Values lie between 0 and this; absent: no values. */
  valueMax?: number;
  /** Each column of the fixed side is this much smaller than the one before: the Gram's condition. @default 1 */
  decay?: number;
}

export const defaultObjective: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.01,
  nu: 1,
};

export const huObjective: IalsObjective = { ...defaultObjective, objective: 'hu2008', alpha: 40 };

export function buildProblem(o: ProblemOptions): IalsProblem {
  const random = createRandom(o.seed, 7);
  const lengths = [
    0,
    1,
    o.cols,
    ...Array.from({ length: o.rows }, () => Math.floor(o.cols * random.next() ** 3)),
  ];
  const rows = lengths.map((length) => pickColumns(length, o.cols, () => random.next()));
  const ptr = new Int32Array(rows.length + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  const idx = Int32Array.from(rows.flat());
  const { valueMax } = o;
  const values =
    valueMax === undefined ? undefined : Float32Array.from(idx, () => valueMax * random.next() ** 2);
  const fixed = new Float32Array(o.cols * o.factors);
  for (let i = 0; i < fixed.length; i++) {
    fixed[i] = (random.normal() / Math.sqrt(o.factors)) * (o.decay ?? 1) ** (i % o.factors);
  }
  return {
    block: { rows: rows.length, cols: o.cols, ptr, idx, values },
    fixed,
    fixedRows: o.cols,
    factors: o.factors,
    objective: o.objective,
    gram: referenceGram(fixed, o.cols, o.factors),
    prior: Float32Array.from({ length: rows.length * o.factors }, () => 0.3 * random.normal()),
  };
}

/** Distinct columns, ascending; the first ones are the most likely. */
function pickColumns(count: number, cols: number, next: () => number): number[] {
  const left = Array.from({ length: cols }, (_, column) => column);
  const picked: number[] = [];
  while (picked.length < count) picked.push(...left.splice(Math.floor(left.length * next() ** 2), 1));
  return picked.sort((a, b) => a - b);
}

export const anyObjective: fc.Arbitrary<IalsObjective> = fc.record({
  objective: fc.constantFrom('ials' as const, 'hu2008' as const),
  weights: fc.constantFrom('binary' as const, 'value' as const),
  alpha0: fc.constantFrom(0.01, 0.3, 1.5),
  alpha: fc.constantFrom(0.5, 3, 40),
  regularization: fc.constantFrom(0.003, 0.2, 5),
  nu: fc.constantFrom(0, 0.5, 1),
});

/** Well-conditioned problems of all shapes; K is mostly no multiple of anything. */
export const anyProblemOptions: fc.Arbitrary<ProblemOptions> = problemOptionsWith(
  fc.integer({ min: 1, max: 37 }),
);

/** The same, with K drawn from some numbers only. */
export function problemOptionsWith(factors: fc.Arbitrary<number>): fc.Arbitrary<ProblemOptions> {
  return fc.record({
    rows: fc.integer({ min: 0, max: 9 }),
    cols: fc.integer({ min: 1, max: 70 }),
    factors,
    objective: anyObjective,
    seed: fc.nat(),
    valueMax: fc.option(fc.constantFrom(1, 7.5), { nil: undefined }),
  });
}

/** Largest 2-norm distance between rows, relative to the expected row; rows near zero count absolutely, by 1e-6. */
export function rowDistances(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  factors: number,
): number[] {
  return Array.from({ length: expected.length / factors }, (_, row) => {
    let distance = 0;
    let size = 0;
    for (let k = row * factors; k < (row + 1) * factors; k++) {
      distance += (found[k]! - expected[k]!) ** 2;
      size += expected[k]! ** 2;
    }
    return Math.sqrt(distance) / Math.max(Math.sqrt(size), 1e-6);
  });
}

/**
 * How rounding grows in each row: `condition`, an estimate of ‖A‖ ‖A⁻¹‖ in 2-norms, and `cancellation`, the size of
 * the terms of b over that of b. Both 1 for a row without entries.
 */
export function rowConditions(
  problem: Omit<IalsProblem, 'prior'>,
): { condition: number; cancellation: number }[] {
  const { block, fixed, factors, objective, gram } = problem;
  return Array.from({ length: block.rows }, (_, row) => {
    if (block.ptr[row] === block.ptr[row + 1]) return { condition: 1, cancellation: 1 };
    const { a, b } = referenceSystem(block, row, fixed, factors, objective, gram);
    const times = (x: Float64Array): Float64Array =>
      Float64Array.from(x, (_, r) => x.reduce((sum, value, c) => sum + a[r * factors + c]! * value, 0));
    return {
      condition: growth(factors, times) * growth(factors, (side) => gaussianElimination({ a, b: side })),
      cancellation: Math.hypot(...termSizes(problem, row)) / Math.hypot(...b),
    };
  });
}

/** Σ |c y| of a row: how large the terms are that its right-hand side is the sum of, [factors]. */
export function termSizes(
  { block, fixed, factors, objective }: Omit<IalsProblem, 'prior'>,
  row: number,
): Float64Array {
  const [from, to] = [block.ptr[row]!, block.ptr[row + 1]!];
  const values = block.values?.subarray(from, to);
  const sizes = fixed.map(Math.abs);
  const one = { rows: 1, cols: block.cols, ptr: Int32Array.of(0, to - from) };
  const entries = { ...one, idx: block.idx.subarray(from, to), values };
  return referenceSystem(entries, 0, sizes, factors, objective, new Float64Array(factors * factors)).b;
}

/** The greatest eigenvalue by a few steps of the power method; the matrix is symmetric. */
function growth(size: number, times: (x: Float64Array) => Float64Array): number {
  let x: Float64Array = Float64Array.from({ length: size }, (_, k) => 1 + ((k * 7) % 5) / 4);
  let length = Math.hypot(...x);
  for (let step = 0; step < 5; step++) {
    x = times(x.map((value) => value / length));
    length = Math.hypot(...x);
  }
  return length;
}

/** The other orientation of a matrix, values included. */
export function transpose(csr: Csr): Csr {
  const columns: { row: number; value: number }[][] = Array.from({ length: csr.cols }, () => []);
  for (let row = 0; row < csr.rows; row++) {
    for (let e = csr.ptr[row]!; e < csr.ptr[row + 1]!; e++) {
      columns[csr.idx[e]!]!.push({ row, value: csr.values?.[e] ?? 1 });
    }
  }
  const ptr = new Int32Array(csr.cols + 1);
  for (const [column, entries] of columns.entries()) ptr[column + 1] = ptr[column]! + entries.length;
  const entries = columns.flat();
  const values = csr.values && Float32Array.from(entries, (entry) => entry.value);
  return { rows: csr.cols, cols: csr.rows, ptr, idx: Int32Array.from(entries, (entry) => entry.row), values };
}
