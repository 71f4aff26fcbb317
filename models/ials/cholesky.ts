// Exact solution of one row, by the K × K system or, for a short row, by its n × n dual.

import { addGram } from '../dense/add-gram.js';
import { choleskyFactor, forwardSolveMany } from '../dense/cholesky-factor.js';
import { paddedLength } from '../dense/padding.js';
import { backwardSolve, forwardSolve } from '../dense/triangular-solve.js';
import { rowPenalty } from './objective.js';
import type { RowSystems } from './row-systems.js';
import { SHARED_FACTOR_DOUBLES_MAX } from './solve-workspace.js';

/** Entries gathered at a time: 64 rows of K = 128 in f64 take 64 KiB, which the second cache holds. */
const PANEL_ROWS = 64;

/**
 * Whether a row of `entries` is solved by its dual. Up to half of K the dual costs less; every length has a factor of
 * its own to share, so the lengths are also limited to what the workspace keeps.
 */
export function dualIsCheaper(entries: number, factors: number): boolean {
  return entries <= Math.min(factors / 2, SHARED_FACTOR_DOUBLES_MAX / (factors * factors));
}

/**
 * Solves one row exactly. The solution is left in `workspace.solution`.
 *
 * @returns -1, or the pivot that was not positive (or not a number).
 */
export function solveRowByCholesky(systems: RowSystems, row: number): number {
  const { block, factors, objective, fixedRows, workspace } = systems;
  const from = block.ptr[row]!;
  const to = block.ptr[row + 1]!;
  const penalty = rowPenalty(objective, to - from, fixedRows);
  if (dualIsCheaper(to - from, factors) && solveByDual(systems, from, to, penalty)) return -1;

  const { stride, system, inverse, solution } = workspace;
  workspace.fillSystem(system, penalty);
  solution.fill(0);
  const panel = workspace.panel(PANEL_ROWS * stride);
  for (let start = from; start < to; start += PANEL_ROWS) {
    systems.checkAborted();
    const end = Math.min(start + PANEL_ROWS, to);
    gatherRows(systems, start, end, stride, panel, solution);
    addGram(system, panel, end - start, stride);
  }
  const failed = choleskyFactor(system, inverse, stride);
  if (failed >= 0) return failed;
  forwardSolve(system, inverse, stride, solution);
  backwardSolve(system, inverse, stride, solution);
  return -1;
}

/** Writes √w·y of the entries as rows of the panel, and adds their c·y to `target`. */
function gatherRows(
  systems: RowSystems,
  start: number,
  end: number,
  stride: number,
  panel: Float64Array,
  target: Float64Array,
): void {
  const { fixed, factors, weights, targetShift } = systems;
  const { idx } = systems.block;
  for (let e = start, at = 0; e < end; e++, at += stride) {
    const o = idx[e]! * factors;
    const c = weights[e]! + targetShift;
    const root = Math.sqrt(weights[e]!);
    for (let k = 0; k < factors; k++) {
      const y = fixed[o + k]!;
      panel[at + k] = root * y;
      target[k] = target[k]! + c * y;
    }
    for (let k = factors; k < stride; k++) panel[at + k] = 0;
  }
}

/**
 * Solves a row of n entries by an n × n system. With M = s·G + λI = UᵀU, which all rows of n entries share,
 * Ỹ the matrix whose columns are √w·y, and Z = U⁻ᵀỸ:
 *
 *   (M + ỸỸᵀ) x = Ỹ d,  d = c/√w     ⇔     x = U⁻¹ Z t,  (I + ZᵀZ) t = d
 *
 * (push-through identity, (M + ỸỸᵀ)⁻¹Ỹ = M⁻¹Ỹ(I + ỸᵀM⁻¹Ỹ)⁻¹). Cost: n·K² + n²·K + n³/3 flops and a bit.
 *
 * @returns false, with nothing solved, where it does not apply: M is not positive definite, or a weight is 0.
 */
function solveByDual(systems: RowSystems, from: number, to: number, penalty: number): boolean {
  const { workspace } = systems;
  const { stride } = workspace;
  const { u, inverse, isPositive } = workspace.sharedFactor(penalty);
  if (!isPositive) return false;
  const width = paddedLength(to - from);
  const z = workspace.panel(stride * width);
  const dual = workspace.dual(width * width + 2 * width);
  const t = dual.subarray(width * width, width * width + width);
  const dualInverse = dual.subarray(width * width + width, width * width + 2 * width);
  if (!gatherColumns(systems, from, to, width, z, t)) return false;

  systems.checkAborted();
  forwardSolveMany(u, inverse, stride, z, width);
  dual.fill(0, 0, width * width);
  for (let e = 0; e < width; e++) dual[e * width + e] = 1;
  addGram(dual, z, stride, width);
  if (choleskyFactor(dual, dualInverse, width) >= 0) return false;
  forwardSolve(dual, dualInverse, width, t);
  backwardSolve(dual, dualInverse, width, t);

  const { solution } = workspace;
  for (let k = 0, at = 0; k < stride; k++, at += width) {
    let sum = 0;
    for (let e = 0; e < width; e++) sum += z[at + e]! * t[e]!;
    solution[k] = sum;
  }
  backwardSolve(u, inverse, stride, solution);
  return true;
}

/** Writes √w·y of the entries as columns of `z`, and d = c/√w; false when a weight is 0. */
function gatherColumns(
  systems: RowSystems,
  from: number,
  to: number,
  width: number,
  z: Float64Array,
  d: Float64Array,
): boolean {
  const { fixed, factors, weights, targetShift } = systems;
  const { idx } = systems.block;
  const count = to - from;
  for (let e = 0; e < width; e++) {
    const weight = e < count ? weights[from + e]! : 0;
    if (e < count && weight === 0) return false;
    const root = Math.sqrt(weight);
    const o = e < count ? idx[from + e]! * factors : 0;
    for (let k = 0; k < factors; k++) z[k * width + e] = e < count ? root * fixed[o + k]! : 0;
    d[e] = e < count ? (weight + targetShift) / root : 0;
  }
  z.fill(0, factors * width, systems.workspace.stride * width);
  return true;
}
