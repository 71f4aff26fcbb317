// A few steps of conjugate gradients for one row, whitened and warm-started.
//
// Whitening takes the part that all rows share out of the system. With M = s·G + λ̄I = UᵀU and x̃ = Ux:
//
//   (s·G + Σ w y yᵀ + λ_row I) x = b    ⇔    (I + U⁻ᵀ (Σ w y yᵀ + (λ_row − λ̄) I) U⁻¹) x̃ = U⁻ᵀ b
//
// so that what is left differs from the identity by the row's own entries only: a few steps come close to the answer
// where plain conjugate gradients on a skewed catalogue do not. The two triangular solves of a step cost the 2K²
// flops that the product with G would cost without whitening. λ̄ need not equal λ_row: with ν ≠ 0 rows of different
// lengths share the λ̄ of the power of two below, and the difference (never negative) stays in the operator, exactly.
// Nothing of K × K is made for a row.

import { backwardSolve, forwardSolve, upperTimes } from '../dense/triangular-solve.js';
import { loadPrior } from './load-prior.js';
import { rowPenalty } from './objective.js';
import type { RowSystems } from './row-systems.js';
import type { SharedFactor, SolveWorkspace } from './solve-workspace.js';

/** Gathered rows kept in f64 at a time: 256 KiB, a part of the second cache. Longer rows are gathered in each step. */
const PANEL_DOUBLES = 32_768;

/**
 * Steps end when the squared residual is this part of ‖x̃‖² + ‖r̃‖² at the start, which bounds the size of the whitened
 * solution from both sides well enough: below it, f32 sees no change any more.
 */
const RESIDUAL_RATIO = 1e-18;

/** Shift of a singular M, as part of its mean diagonal. Far below it M is no longer safely positive in f64. */
const SINGULAR_SHIFT = 1e-6;

/**
 * Improves one row by at most `steps` steps. The solution is left in `workspace.solution`.
 *
 * @param prior where to start, K numbers from `priorAt`; absent: zeros.
 * @returns false when a number is not finite, or M is not positive definite even when shifted.
 *
 * Same row, same bits, whatever block it is in. Cost: (steps + 1)(4nK + 2K²) flops.
 */
export function solveRowByConjugateGradients(
  systems: RowSystems,
  row: number,
  steps: number,
  prior: Float32Array | undefined,
  priorAt: number,
): boolean {
  const { workspace, block } = systems;
  const entries = block.ptr[row + 1]! - block.ptr[row]!;
  const penalty = rowPenalty(systems.objective, entries, systems.fixedRows);
  const octave = rowPenalty(systems.objective, 2 ** (31 - Math.clz32(entries)), systems.fixedRows);
  const sharedPenalty = positivePenalty(workspace, octave);
  const whitening = workspace.sharedFactor(sharedPenalty);
  if (!whitening.isPositive) return false;
  const rest = penalty - sharedPenalty;

  loadPrior(workspace.solution, systems.factors, prior, priorAt);
  const size = startResidual(systems, row, whitening, rest, prior !== undefined);
  workspace.direction.set(workspace.residual);
  let norm = dot(workspace.residual, workspace.residual);
  const enough = RESIDUAL_RATIO * (size + norm);
  for (let step = 0; step < steps && norm > enough; step++) {
    const next = takeStep(systems, row, whitening, rest, norm);
    if (next < 0) break;
    norm = next;
  }
  return Number.isFinite(norm) && Number.isFinite(size);
}

/** λ̄ itself, or where s·G + λ̄I is singular (λ = 0) a greater one; the operator takes the shift back. */
function positivePenalty(workspace: SolveWorkspace, penalty: number): number {
  if (workspace.sharedFactor(penalty).isPositive) return penalty;
  const mean = workspace.meanDiagonal();
  return penalty + (mean > 0 ? SINGULAR_SHIFT * mean : 1);
}

/** Leaves r̃ = U⁻ᵀ(b − (Σ w y yᵀ + rest·I) x) − U x in `residual`. @returns ‖U x‖². */
function startResidual(
  systems: RowSystems,
  row: number,
  { u, inverse }: SharedFactor,
  rest: number,
  isWarm: boolean,
): number {
  const { stride, solution, residual, product } = systems.workspace;
  for (let k = 0; k < stride; k++) residual[k] = -rest * solution[k]!;
  addEntries(systems, row, RESIDUALS, solution, residual);
  forwardSolve(u, inverse, stride, residual);
  if (!isWarm) return 0;
  upperTimes(u, stride, solution, product);
  for (let k = 0; k < stride; k++) residual[k] = residual[k]! - product[k]!;
  return dot(product, product);
}

/** One step. @returns the new ‖r̃‖², or -1 when the direction has no curvature left and nothing was changed. */
function takeStep(
  systems: RowSystems,
  row: number,
  { u, inverse }: SharedFactor,
  rest: number,
  norm: number,
): number {
  const { stride, solution, residual, direction, product, inverse: unwhitened } = systems.workspace;
  unwhitened.set(direction);
  backwardSolve(u, inverse, stride, unwhitened);
  for (let k = 0; k < stride; k++) product[k] = rest * unwhitened[k]!;
  addEntries(systems, row, PRODUCTS, unwhitened, product);
  forwardSolve(u, inverse, stride, product);
  let curvature = 0;
  for (let k = 0; k < stride; k++) {
    const d = direction[k]!;
    const q = product[k]! + d;
    product[k] = q;
    curvature += d * q;
  }
  if (Number.isNaN(curvature)) return curvature;
  if (!(curvature > 0)) return -1;
  const length = norm / curvature;
  let next = 0;
  for (let k = 0; k < stride; k++) {
    solution[k] = solution[k]! + length * unwhitened[k]!;
    const r = residual[k]! - length * product[k]!;
    residual[k] = r;
    next += r * r;
  }
  const turn = next / norm;
  for (let k = 0; k < stride; k++) direction[k] = residual[k]! + turn * direction[k]!;
  return next;
}

const RESIDUALS = 0;
const PRODUCTS = 1;

/** sum += Σ y (c − w (y·x)) (`RESIDUALS`) or Σ y w (y·x) (`PRODUCTS`) over the row's entries, in their order. */
function addEntries(
  systems: RowSystems,
  row: number,
  mode: number,
  x: Float64Array,
  sum: Float64Array,
): void {
  const { block, workspace } = systems;
  const { stride } = workspace;
  const from = block.ptr[row]!;
  const to = block.ptr[row + 1]!;
  const panelRows = Math.max(4, (PANEL_DOUBLES / stride) & ~3);
  const isLong = to - from > panelRows;
  const panel = workspace.panel(panelRows * stride);
  const weights = workspace.weights(2 * panelRows);
  for (let start = from; start < to; start += panelRows) {
    const count = Math.min(panelRows, to - start);
    // A short row is gathered once, for the residual that comes first.
    if (isLong || mode === RESIDUALS) {
      systems.checkAborted();
      gather(systems, start, count, stride, panel, weights, panelRows);
    }
    addRows(panel, count, stride, weights, panelRows, mode, x, sum);
  }
}

/** Gathers y, w and c of entries, with zeros up to the next multiple of 4. */
function gather(
  systems: RowSystems,
  start: number,
  count: number,
  stride: number,
  panel: Float64Array,
  weights: Float64Array,
  targetsAt: number,
): void {
  const { fixed, factors, targetShift } = systems;
  const { idx } = systems.block;
  const padded = (count + 3) & ~3;
  for (let e = 0, at = 0; e < count; e++, at += stride) {
    const o = idx[start + e]! * factors;
    for (let k = 0; k < factors; k++) panel[at + k] = fixed[o + k]!;
    for (let k = factors; k < stride; k++) panel[at + k] = 0;
    const weight = systems.weights[start + e]!;
    weights[e] = weight;
    weights[targetsAt + e] = weight + targetShift;
  }
  panel.fill(0, count * stride, padded * stride);
  weights.fill(0, count, padded);
  weights.fill(0, targetsAt + count, targetsAt + padded);
}

/** The sums of `addEntries` over gathered rows, four at a time: four products hide each other's latency. */
function addRows(
  panel: Float64Array,
  count: number,
  stride: number,
  weights: Float64Array,
  targetsAt: number,
  mode: number,
  x: Float64Array,
  sum: Float64Array,
): void {
  for (let e = 0, t = targetsAt; e < count; e += 4, t += 4) {
    const p0 = e * stride;
    const p1 = p0 + stride;
    const p2 = p1 + stride;
    const p3 = p2 + stride;
    let d0 = 0;
    let d1 = 0;
    let d2 = 0;
    let d3 = 0;
    for (let k = 0; k < stride; k++) {
      const xk = x[k]!;
      d0 += panel[p0 + k]! * xk;
      d1 += panel[p1 + k]! * xk;
      d2 += panel[p2 + k]! * xk;
      d3 += panel[p3 + k]! * xk;
    }
    d0 *= weights[e]!;
    d1 *= weights[e + 1]!;
    d2 *= weights[e + 2]!;
    d3 *= weights[e + 3]!;
    if (mode === RESIDUALS) {
      d0 = weights[t]! - d0;
      d1 = weights[t + 1]! - d1;
      d2 = weights[t + 2]! - d2;
      d3 = weights[t + 3]! - d3;
    }
    for (let k = 0; k < stride; k++) {
      sum[k] =
        sum[k]! + (d0 * panel[p0 + k]! + d1 * panel[p1 + k]! + d2 * panel[p2 + k]! + d3 * panel[p3 + k]!);
    }
  }
}

/** a·b by four sums, the length a multiple of 4. */
function dot(a: Float64Array, b: Float64Array): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  for (let k = 0; k < a.length; k += 4) {
    s0 += a[k]! * b[k]!;
    s1 += a[k + 1]! * b[k + 1]!;
    s2 += a[k + 2]! * b[k + 2]!;
    s3 += a[k + 3]! * b[k + 3]!;
  }
  return s0 + s1 + (s2 + s3);
}
