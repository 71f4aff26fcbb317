// The Gram FᵀF of a side's factors. "Packed" is the lower triangle by rows: entry (r, c <= r) at r(r+1)/2 + c.

import { addGram } from './dense/add-gram.js';
import { paddedLength } from './dense/padding.js';

/** Rows converted to f64 at a time: a panel of K = 128 then takes 64 KiB, which the second cache holds. */
const PANEL_ROWS = 64;

/** Length of a packed Gram. */
export function packedGramLength(factors: number): number {
  return (factors * (factors + 1)) / 2;
}

/**
 * Computes the packed Gram of f32 rows, in f64.
 *
 * @param rows    [n, factors] row-major.
 * @param n       rows that count.
 * @param out     written; @default a new array of K(K+1)/2.
 *
 * Rows are summed in their order, so the same rows give the same bits. Cost: n·K(K+1) flops.
 */
export function packedGramOf(
  rows: Float32Array,
  n: number,
  factors: number,
  out?: Float64Array,
): Float64Array {
  const stride = paddedLength(factors);
  const sum = new Float64Array(stride * stride);
  const panel = new Float64Array(PANEL_ROWS * stride);
  for (let start = 0; start < n; start += PANEL_ROWS) {
    const count = Math.min(PANEL_ROWS, n - start);
    fillPanel(panel, stride, rows, start, count, factors);
    addGram(sum, panel, count, stride);
  }
  const packed = out ?? new Float64Array(packedGramLength(factors));
  for (let r = 0, at = 0; r < factors; r++) {
    for (let c = 0; c <= r; c++) packed[at++] = sum[c * stride + r]!;
  }
  return packed;
}

/** sum += part, both packed. The order of additions is the caller's: chunk after chunk, never by arrival. */
export function addPackedGram(sum: Float64Array, part: Float64Array): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + part[i]!;
}

/** The full symmetric matrix of a packed Gram: f64 [factors, factors], both triangles. */
export function unpackGram(packed: Float64Array, factors: number): Float64Array {
  const full = new Float64Array(factors * factors);
  for (let r = 0, at = 0; r < factors; r++) {
    for (let c = 0; c <= r; c++, at++) {
      full[r * factors + c] = packed[at]!;
      full[c * factors + r] = packed[at]!;
    }
  }
  return full;
}

function fillPanel(
  panel: Float64Array,
  stride: number,
  rows: Float32Array,
  start: number,
  count: number,
  factors: number,
): void {
  for (let row = 0; row < count; row++) {
    const from = (start + row) * factors;
    const to = row * stride;
    for (let k = 0; k < factors; k++) panel[to + k] = rows[from + k]!;
  }
}
