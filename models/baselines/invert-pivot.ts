import { NumericError } from '../../common/errors.js';

/**
 * Writes the inverse of a small symmetric positive definite matrix, both triangles, by its Cholesky factor:
 * D = L Lᵀ, D⁻¹ = L⁻ᵀ L⁻¹.
 *
 * @param matrix holds D's lower triangle: D's row r, column c at `at + r·stride + c`.
 * @param out [order, order], row-major.
 * @param firstRow number of D's first row, for the error.
 * @throws {NumericError} `STOA_NUMERIC_PIVOT`: not positive definite.
 */
export function invertPivot(
  matrix: Float64Array,
  at: number,
  stride: number,
  order: number,
  out: Float64Array,
  firstRow: number,
): void {
  const lower = cholesky(matrix, at, stride, order, firstRow);
  const inverse = invertLower(lower, order);
  for (let r = 0; r < order; r++) {
    for (let c = 0; c <= r; c++) {
      let sum = 0;
      for (let p = r; p < order; p++) sum += inverse[p * order + r]! * inverse[p * order + c]!;
      out[r * order + c] = sum;
      out[c * order + r] = sum;
    }
  }
}

function cholesky(
  matrix: Float64Array,
  at: number,
  stride: number,
  order: number,
  firstRow: number,
): Float64Array {
  const lower = new Float64Array(order * order);
  for (let r = 0; r < order; r++) {
    for (let c = 0; c < r; c++) {
      const sum = matrix[at + r * stride + c]! - dotRows(lower, order, r, c, c);
      lower[r * order + c] = sum / lower[c * order + c]!;
    }
    const pivot = matrix[at + r * stride + r]! - dotRows(lower, order, r, r, r);
    if (!(pivot > 0)) {
      throw new NumericError(
        'STOA_NUMERIC_PIVOT',
        `the matrix to invert is not positive definite: row ${firstRow + r} has the pivot ${pivot}; raise the regularization`,
        { fields: { row: firstRow + r } },
      );
    }
    lower[r * order + r] = Math.sqrt(pivot);
  }
  return lower;
}

function dotRows(rows: Float64Array, order: number, a: number, b: number, length: number): number {
  let sum = 0;
  for (let p = 0; p < length; p++) sum += rows[a * order + p]! * rows[b * order + p]!;
  return sum;
}

function invertLower(lower: Float64Array, order: number): Float64Array {
  const inverse = new Float64Array(order * order);
  for (let c = 0; c < order; c++) {
    for (let r = c; r < order; r++) {
      let sum = r === c ? 1 : 0;
      for (let p = c; p < r; p++) sum -= lower[r * order + p]! * inverse[p * order + c]!;
      inverse[r * order + c] = sum / lower[r * order + r]!;
    }
  }
  return inverse;
}
