// iALS++ for one row: blocks of dimensions are solved one after the other, each exactly, holding the others fixed.
//
// For the block π of the dimensions, with the row's system A x = b of `objective.ts`:
//
//   A_ππ δ = b_π − A_π· x,   x_π += δ,      A_ππ = s·G_ππ + Σ w y_π y_πᵀ + λ_row I
//   b_π − A_π· x = Σ (c − w (x·y)) y_π − s·G_π· x − λ_row x_π
//
// The products x·y of the row's entries are kept and corrected by δ·y_π, so that a block touches its own dimensions
// only. Each step minimises the row's loss over the block: the loss never rises. Once through the blocks costs about
// n·K·d + K·d²/3 flops, where the exact solution costs n·K² + K³/3.
//
// Source: Rendle, Krichene, Zhang, Koren, "iALS++: Speeding up Matrix Factorization with Subspace Optimization",
// 2021 (arXiv 2110.14044).

import { addGram } from '../dense/add-gram.js';
import { choleskyFactor, forwardSolveMany } from '../dense/cholesky-factor.js';
import { paddedLength } from '../dense/padding.js';
import { backwardSolve, forwardSolve } from '../dense/triangular-solve.js';
import { dualIsCheaper } from './cholesky.js';
import { loadPrior } from './load-prior.js';
import { rowPenalty } from './objective.js';
import type { RowSystems } from './row-systems.js';
import type { SolveWorkspace } from './solve-workspace.js';

/** Entries gathered at a time: 64 rows of a block of 64 in f64 take 32 KiB, which the first cache nearly holds. */
const PANEL_ROWS = 64;

/** Entries between two looks at the abort flag while products are summed: half a million flops at K = 128. */
const ENTRIES_PER_CHECK = 2048;

/** One block of dimensions of one row. */
interface Subspace {
  readonly systems: RowSystems;
  /** Scratch of the block; its Gram is G_ππ, its `solution` takes the residual and then δ. */
  readonly own: SolveWorkspace;
  /** First dimension. */
  readonly start: number;
  /** The row's entries, half-open. */
  readonly from: number;
  readonly to: number;
  /** λ_row. */
  readonly penalty: number;
  /** x·y of the row's entries. */
  readonly scores: Float64Array;
}

/**
 * Improves one row by one pass over its blocks of `width` dimensions (the last one may be shorter). The solution is
 * left in `workspace.solution`.
 *
 * @param width less than K; a block of K is the exact solution, which `solveRowByCholesky` has.
 * @param prior where to start, K numbers from `priorAt`; absent: zeros.
 * @returns -1, or the first dimension whose pivot was not positive (or not a number).
 *
 * Same row, same bits, whatever block of rows it is in.
 */
export function solveRowBySubspaces(
  systems: RowSystems,
  row: number,
  width: number,
  prior: Float32Array | undefined,
  priorAt: number,
): number {
  const { workspace, block, factors } = systems;
  const from = block.ptr[row]!;
  const to = block.ptr[row + 1]!;
  const penalty = rowPenalty(systems.objective, to - from, systems.fixedRows);
  const scores = workspace.weights(to - from);
  const { solution } = workspace;
  loadPrior(solution, factors, prior, priorAt);
  scores.fill(0, 0, to - from);
  if (prior !== undefined) addScores(systems, from, to, 0, factors, solution, scores);

  let start = 0;
  for (const own of workspace.subspaces(width)) {
    const subspace = { systems, own, start, from, to, penalty, scores };
    const failed = solveSubspace(subspace);
    if (failed >= 0) return start + failed;
    for (let k = 0; k < own.factors; k++) solution[start + k] = solution[start + k]! + own.solution[k]!;
    const end = start + own.factors;
    if (end < factors) addScores(systems, from, to, start, end, own.solution, scores);
    start = end;
  }
  return -1;
}

/** Leaves δ in `own.solution`. @returns as `solveRowBySubspaces`, counted within the block. */
function solveSubspace(subspace: Subspace): number {
  const { systems, own, start, from, to, penalty } = subspace;
  const residual = own.solution;
  systems.checkAborted();
  residual.fill(0);
  systems.workspace.subtractSystemProduct(residual, start, own.factors, penalty);
  if (dualIsCheaper(to - from, own.factors) && solveByDual(subspace)) return -1;

  own.fillSystem(own.system, penalty);
  const panel = systems.workspace.panel(PANEL_ROWS * own.stride);
  for (let first = from; first < to; first += PANEL_ROWS) {
    systems.checkAborted();
    const end = Math.min(first + PANEL_ROWS, to);
    gatherRows(subspace, first, end, panel);
    addGram(own.system, panel, end - first, own.stride);
  }
  const failed = choleskyFactor(own.system, own.inverse, own.stride);
  if (failed >= 0) return failed;
  forwardSolve(own.system, own.inverse, own.stride, residual);
  backwardSolve(own.system, own.inverse, own.stride, residual);
  return -1;
}

/** Writes √w·y_π of entries as rows of the panel, and adds their (c − w (x·y))·y_π to the residual. */
function gatherRows(subspace: Subspace, first: number, end: number, panel: Float64Array): void {
  const { systems, own, start, from, scores } = subspace;
  const { fixed, factors, weights, targetShift } = systems;
  const { idx } = systems.block;
  const { stride, factors: width, solution: residual } = own;
  for (let e = first, at = 0; e < end; e++, at += stride) {
    const o = idx[e]! * factors + start;
    const weight = weights[e]!;
    const root = Math.sqrt(weight);
    const miss = weight + targetShift - weight * scores[e - from]!;
    for (let k = 0; k < width; k++) {
      const y = fixed[o + k]!;
      panel[at + k] = root * y;
      residual[k] = residual[k]! + miss * y;
    }
    for (let k = width; k < stride; k++) panel[at + k] = 0;
  }
}

/**
 * Solves a block of a row of n entries by an n × n system. With M = s·G_ππ + λI = UᵀU, which all rows of n entries
 * share, Ỹ the matrix whose columns are √w·y_π, Z = U⁻ᵀỸ and r the residual:
 *
 *   (M + ỸỸᵀ)⁻¹ r = U⁻¹ (r̃ − Z t),   r̃ = U⁻ᵀ r,   (I + ZᵀZ) t = Zᵀ r̃
 *
 * (Woodbury's identity). Cost: n·d² + n²·d + n³/3 flops and a bit.
 *
 * @returns false, with the residual as it was, where M is not positive definite.
 */
function solveByDual(subspace: Subspace): boolean {
  const { systems, own, from, to } = subspace;
  const { u, inverse, isPositive } = own.sharedFactor(subspace.penalty);
  if (!isPositive) return false;
  const { stride, solution: residual } = own;
  const width = paddedLength(to - from);
  const z = systems.workspace.panel(stride * width);
  const dual = systems.workspace.dual(width * width + 2 * width);
  const t = dual.subarray(width * width, width * width + width);
  const dualInverse = dual.subarray(width * width + width, width * width + 2 * width);
  gatherColumns(subspace, width, z);

  forwardSolveMany(u, inverse, stride, z, width);
  forwardSolve(u, inverse, stride, residual);
  dual.fill(0, 0, width * width + width);
  for (let e = 0; e < width; e++) dual[e * width + e] = 1;
  addGram(dual, z, stride, width);
  for (let k = 0, at = 0; k < stride; k++, at += width) {
    const r = residual[k]!;
    for (let e = 0; e < width; e++) t[e] = t[e]! + z[at + e]! * r;
  }
  // I + ZᵀZ has no pivot below 1: only what is not a number fails here, and it is found in the result.
  choleskyFactor(dual, dualInverse, width);
  forwardSolve(dual, dualInverse, width, t);
  backwardSolve(dual, dualInverse, width, t);
  for (let k = 0, at = 0; k < stride; k++, at += width) {
    let sum = 0;
    for (let e = 0; e < width; e++) sum += z[at + e]! * t[e]!;
    residual[k] = residual[k]! - sum;
  }
  backwardSolve(u, inverse, stride, residual);
  return true;
}

/** Writes √w·y_π of the entries as columns of `z`, and adds their (c − w (x·y))·y_π to the residual. */
function gatherColumns(subspace: Subspace, width: number, z: Float64Array): void {
  const { systems, own, start, from, to, scores } = subspace;
  const { fixed, factors, weights, targetShift } = systems;
  const { idx } = systems.block;
  const { solution: residual } = own;
  z.fill(0, 0, own.stride * width);
  for (let e = 0; e < to - from; e++) {
    const o = idx[from + e]! * factors + start;
    const weight = weights[from + e]!;
    const root = Math.sqrt(weight);
    const miss = weight + targetShift - weight * scores[e]!;
    for (let k = 0; k < own.factors; k++) {
      const y = fixed[o + k]!;
      z[k * width + e] = root * y;
      residual[k] = residual[k]! + miss * y;
    }
  }
}

/** scores += x·y of the entries over the dimensions `start` to `end`; `x` holds those only. */
function addScores(
  systems: RowSystems,
  from: number,
  to: number,
  start: number,
  end: number,
  x: Float64Array,
  scores: Float64Array,
): void {
  const { fixed, factors } = systems;
  const { idx } = systems.block;
  for (let first = from; first < to; first += ENTRIES_PER_CHECK) {
    systems.checkAborted();
    const last = Math.min(first + ENTRIES_PER_CHECK, to);
    for (let e = first; e < last; e++) {
      const o = idx[e]! * factors;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let k = start;
      let j = 0;
      for (; k + 3 < end; k += 4, j += 4) {
        s0 += fixed[o + k]! * x[j]!;
        s1 += fixed[o + k + 1]! * x[j + 1]!;
        s2 += fixed[o + k + 2]! * x[j + 2]!;
        s3 += fixed[o + k + 3]! * x[j + 3]!;
      }
      for (; k < end; k++, j++) s0 += fixed[o + k]! * x[j]!;
      scores[e - from] = scores[e - from]! + (s0 + s1 + (s2 + s3));
    }
  }
}
