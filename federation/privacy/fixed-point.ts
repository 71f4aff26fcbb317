// Sums as whole numbers of grid steps of 2^−fractionBits, held in f64, which is exact up to 2^53: what noise is added to
// and what masks cover. A symmetric matrix travels as its lower triangle with the entries off the diagonal times √2, so
// that distances between vectors are those between matrices.

import { NumericError } from '../../common/errors.js';

/** Beyond this a step more and noise could no longer be counted one by one. */
const STEPS_MAX = 2 ** 52;

/**
 * Rounds values to the grid, to the nearest step.
 *
 * @param out written; may be `values`. @default a new array
 * @throws {NumericError} `STOA_NUMERIC_NOT_FINITE`: a value is not finite or beyond 2^(52 − fractionBits); never wrapped.
 */
export function toGrid(values: Float64Array, fractionBits: number, out?: Float64Array): Float64Array {
  const grid = out ?? new Float64Array(values.length);
  const scale = 2 ** fractionBits;
  for (let i = 0; i < values.length; i++) {
    const steps = Math.round(values[i]! * scale);
    if (!(Math.abs(steps) <= STEPS_MAX)) {
      throw new NumericError(
        'STOA_NUMERIC_NOT_FINITE',
        `entry ${i} of a sum is ${values[i]}, beyond what ${fractionBits} fraction bits can hold`,
        { fields: { row: i } },
      );
    }
    grid[i] = steps;
  }
  return grid;
}

/** Values of grid steps. @param out written; may be `grid`. @default a new array */
export function fromGrid(grid: Float64Array, fractionBits: number, out?: Float64Array): Float64Array {
  const values = out ?? new Float64Array(grid.length);
  const step = 2 ** -fractionBits;
  for (let i = 0; i < grid.length; i++) values[i] = grid[i]! * step;
  return values;
}

/**
 * Multiplies the entries off the diagonal of packed lower triangles, in place: by √2 before noise, by 1/√2 after the sum.
 *
 * @param packed changed, any number of triangles of K(K+1)/2 (models/gram.ts), one after the other.
 */
export function scaleOffDiagonals(packed: Float64Array, factors: number, scale: number): void {
  for (let at = 0; at < packed.length; ) {
    for (let r = 0; r < factors; r++) {
      for (let c = 0; c < r; c++, at++) packed[at] = packed[at]! * scale;
      at++;
    }
  }
}
