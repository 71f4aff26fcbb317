// Preconditioned conjugate gradients in f64, in the textbook form, on dense matrices: which iterates the solver `cg`
// of a device has to reproduce. The devices use the equivalent whitened form.

import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';
import { referenceGram } from './gram.js';
import { type DenseSystem, gaussianElimination, referenceSystem } from './solve-rows.js';

/**
 * Improves the rows of a block by a number of steps.
 *
 * The preconditioner of a row of n entries is s·YᵀY + λ̄I, with λ̄ the penalty that a row of 2^⌊log₂ n⌋ entries has
 * (s = α₀ for `ials`, 1 for `hu2008`).
 *
 * @param prior where to start, [block.rows, factors]; absent: zeros.
 */
export function referenceConjugateGradients(
  block: Csr,
  fixed: ArrayLike<number>,
  factors: number,
  objective: IalsObjective,
  steps: number,
  prior?: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(block.rows * factors);
  const gram = referenceGram(fixed, block.cols, factors);
  for (let row = 0; row < block.rows; row++) {
    const entries = block.ptr[row + 1]! - block.ptr[row]!;
    if (entries === 0) continue;
    const system = referenceSystem(block, row, fixed, factors, objective, gram);
    const preconditioner = preconditionerOf(gram, block.cols, entries, factors, objective);
    const start = Array.from({ length: factors }, (_, k) => prior?.[row * factors + k] ?? 0);
    out.set(iterate(system, preconditioner, start, steps), row * factors);
  }
  return out;
}

function preconditionerOf(
  gram: Float64Array,
  otherSize: number,
  entries: number,
  factors: number,
  objective: IalsObjective,
): Float64Array {
  const isIals = objective.objective === 'ials';
  const shared = 2 ** Math.floor(Math.log2(entries));
  const penalty = isIals
    ? objective.regularization * (shared + objective.alpha0 * otherSize) ** objective.nu
    : objective.regularization;
  const m = gram.map((value) => (isIals ? objective.alpha0 : 1) * value);
  for (let k = 0; k < factors; k++) m[k * factors + k] = m[k * factors + k]! + penalty;
  return m;
}

/** Hestenes and Stiefel with z = M⁻¹r, as in Golub and Van Loan, "Matrix Computations". */
function iterate(system: DenseSystem, m: Float64Array, start: number[], steps: number): number[] {
  let x = start;
  let r = minus(system.b, times(system.a, x));
  let z = solve(m, r);
  let p = z;
  for (let step = 0; step < steps; step++) {
    const ap = times(system.a, p);
    const curvature = dot(p, ap);
    if (!(curvature > 0)) break;
    const rz = dot(r, z);
    const length = rz / curvature;
    x = x.map((value, k) => value + length * p[k]!);
    r = r.map((value, k) => value - length * ap[k]!);
    z = solve(m, r);
    const turn = dot(r, z) / rz;
    p = z.map((value, k) => value + turn * p[k]!);
  }
  return x;
}

function times(a: Float64Array, x: number[]): number[] {
  return x.map((_, r) => dot([...a.subarray(r * x.length, (r + 1) * x.length)], x));
}

function solve(a: Float64Array, b: number[]): number[] {
  return [...gaussianElimination({ a, b: Float64Array.from(b) })];
}

function minus(a: ArrayLike<number>, b: number[]): number[] {
  return b.map((value, k) => a[k]! - value);
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, k) => sum + value * b[k]!, 0);
}
