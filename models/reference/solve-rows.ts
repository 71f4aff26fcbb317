// The rows' systems in f64, written to be read: one dense matrix a row, Gaussian elimination. The fast solvers of
// models/ials/ are held against it; it shares no code with them, the equations included.

import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';
import { referenceGram } from './gram.js';

export interface DenseSystem {
  /** [factors, factors]. */
  readonly a: Float64Array;
  /** [factors]. */
  readonly b: Float64Array;
}

/**
 * Writes out A x = b of one row:
 *
 *   `ials`    A = α₀ YᵀY + Σ w y yᵀ + λ (n + α₀ m)^ν I,   b = Σ w y,   w = 1 or α·value
 *   `hu2008`  A = YᵀY + Σ (c − 1) y yᵀ + λI,              b = Σ c y,   c = 1 + α or 1 + α·value
 *
 * over the row's n entries, with Y the m rows of `fixed`.
 *
 * @param gram YᵀY. @default computed here
 */
export function referenceSystem(
  block: Csr,
  row: number,
  fixed: ArrayLike<number>,
  factors: number,
  objective: IalsObjective,
  gram: Float64Array = referenceGram(fixed, block.cols, factors),
): DenseSystem {
  const isIals = objective.objective === 'ials';
  const from = block.ptr[row]!;
  const to = block.ptr[row + 1]!;
  const scale = isIals ? objective.alpha0 : 1;
  const a = gram.map((value) => scale * value);
  const b = new Float64Array(factors);
  for (let e = from; e < to; e++) {
    const value = objective.weights === 'value' ? (block.values?.[e] ?? 1) : 1;
    const scaled = objective.weights === 'binary' && isIals ? 1 : objective.alpha * value;
    const target = isIals ? scaled : 1 + scaled;
    const y = block.idx[e]! * factors;
    for (let r = 0; r < factors; r++) {
      for (let c = 0; c < factors; c++) {
        a[r * factors + c] = a[r * factors + c]! + scaled * fixed[y + r]! * fixed[y + c]!;
      }
      b[r] = b[r]! + target * fixed[y + r]!;
    }
  }
  const count = to - from + objective.alpha0 * block.cols;
  const penalty = isIals ? objective.regularization * count ** objective.nu : objective.regularization;
  for (let k = 0; k < factors; k++) a[k * factors + k] = a[k * factors + k]! + penalty;
  return { a, b };
}

/** Solves A x = b by Gaussian elimination with partial pivoting. */
export function gaussianElimination(system: DenseSystem): Float64Array {
  const n = system.b.length;
  const a = Array.from({ length: n }, (_, r) => [...system.a.subarray(r * n, (r + 1) * n), system.b[r]!]);
  for (let k = 0; k < n; k++) {
    let best = k;
    for (let r = k + 1; r < n; r++) if (Math.abs(a[r]![k]!) > Math.abs(a[best]![k]!)) best = r;
    [a[k], a[best]] = [a[best]!, a[k]!];
    for (let r = k + 1; r < n; r++) {
      const ratio = a[r]![k]! / a[k]![k]!;
      for (let c = k; c <= n; c++) a[r]![c] = a[r]![c]! - ratio * a[k]![c]!;
    }
  }
  const x = new Float64Array(n);
  for (let r = n - 1; r >= 0; r--) {
    let sum = a[r]![n]!;
    for (let c = r + 1; c < n; c++) sum -= a[r]![c]! * x[c]!;
    x[r] = sum / a[r]![r]!;
  }
  return x;
}

/** The rows of a block, [block.rows, factors] f64; a row without entries is zero. Cost: m·K² + rows · K³. */
export function referenceSolve(
  block: Csr,
  fixed: ArrayLike<number>,
  factors: number,
  objective: IalsObjective,
): Float64Array {
  const out = new Float64Array(block.rows * factors);
  const gram = referenceGram(fixed, block.cols, factors);
  for (let row = 0; row < block.rows; row++) {
    if (block.ptr[row] === block.ptr[row + 1]) continue;
    out.set(gaussianElimination(referenceSystem(block, row, fixed, factors, objective, gram)), row * factors);
  }
  return out;
}

/**
 * How well x solves A x = b, whatever the condition of A: the normwise backward error
 * ‖Ax − b‖ / (‖A‖_F ‖x‖ + ‖b‖), in 2-norms. A may be some of a system's rows.
 *
 * @param size for each entry of b, how large the terms are that it is the sum of: where they cancel, a sum in f32 is as
 *   good as they are large, whatever is left of them. @default |b|
 */
export function backwardError(
  system: DenseSystem,
  x: ArrayLike<number>,
  size: ArrayLike<number> = system.b,
): number {
  const columns = x.length;
  const residual = Array.from(system.b, (value, r) => {
    let sum = -value;
    for (let c = 0; c < columns; c++) sum += system.a[r * columns + c]! * x[c]!;
    return sum;
  });
  const scale = norm(system.a) * norm(x) + norm(size);
  return scale === 0 ? 0 : norm(residual) / scale;
}

function norm(values: ArrayLike<number>): number {
  let square = 0;
  for (let i = 0; i < values.length; i++) square += values[i]! ** 2;
  return Math.sqrt(square);
}
