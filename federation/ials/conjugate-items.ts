// `cg`: preconditioned conjugate gradients on all items at once. Each item has steps of its own length; participants
// only ever multiply directions by their part of A_i. The iterates are those of a device's `cg`
// (models/ials/conjugate-gradients.ts) in the form without whitening: Golub and Van Loan, "Matrix Computations",
// section 11.5.

import { backwardSolve, forwardSolve } from '../../models/dense/triangular-solve.js';
import type { SharedFactor } from '../../models/ials/solve-workspace.js';
import type { Exchange } from './exchange.js';
import { type ItemSolve, type SolveArrays, storeFactors } from './item-solve.js';
import type { ItemSystems } from './item-systems.js';

export class ConjugateItems implements ItemSolve {
  readonly factors: Float32Array;
  readonly #systems: ItemSystems;
  readonly #items: number;
  /** y as it is so far: f64 [items, K]; `factors` has it when the sweep ends. */
  readonly #solution: Float64Array;
  /** r = b − (s·G + A + λI) y: f64 [items, K]. */
  readonly #residual: Float64Array;
  /** r·M⁻¹r: [items]; 0 where there is nothing left to do. */
  readonly #norm: Float64Array;
  /**
   * p, f32 [items, K]: rounded before anybody multiplies by it, so that a step is exact along what was multiplied.
   * Participants read the one while the other is made.
   */
  #direction: Float32Array;
  #nextDirection: Float32Array;
  /** (s·G + λ_i I) v of the item in hand, [K]. */
  readonly #shared: Float64Array;
  /** Before the first exchange participants multiply y itself. */
  #isFirst: boolean;

  constructor(systems: ItemSystems, factors: Float32Array, resumed?: SolveArrays) {
    const k = systems.factors;
    this.#systems = systems;
    this.#shared = new Float64Array(k);
    this.#items = factors.length / k;
    this.factors = factors.slice();
    this.#isFirst = resumed === undefined;
    this.#solution = (resumed?.['solution'] as Float64Array | undefined) ?? Float64Array.from(factors);
    this.#residual = (resumed?.['residual'] as Float64Array | undefined) ?? new Float64Array(factors.length);
    this.#norm = (resumed?.['norm'] as Float64Array | undefined) ?? new Float64Array(this.#items);
    this.#direction =
      (resumed?.['direction'] as Float32Array | undefined) ?? new Float32Array(factors.length);
    this.#nextDirection = new Float32Array(factors.length);
    if (resumed !== undefined) this.#finish();
  }

  get operand(): Float32Array {
    return this.#isFirst ? this.factors : this.#direction;
  }

  get arrays(): SolveArrays {
    return {
      solution: this.#solution,
      residual: this.#residual,
      norm: this.#norm,
      direction: this.#direction,
    };
  }

  receive(exchange: Exchange, item: number, sums: Float64Array): void {
    if (exchange.kind === 'residual') this.#start(item, sums);
    else this.#step(item, sums);
  }

  advance(): void {
    [this.#direction, this.#nextDirection] = [this.#nextDirection, this.#direction];
    this.#isFirst = false;
    this.#finish();
  }

  cut(done: number): void {
    if (done > 1) return;
    const k = this.#systems.factors;
    for (let item = 0; item < this.#items; item++) {
      const bound = this.#systems.bound(item);
      if (bound === undefined) return;
      const at = item * k;
      const step = bound.workspace.residual;
      step.fill(0);
      step.set(this.#residual.subarray(at, at + k));
      solve(bound.factor, bound.workspace.stride, step);
      for (let c = 0; c < k; c++) this.#solution[at + c] = this.#solution[at + c]! + step[c]!;
    }
    this.#finish();
  }

  /** r = Σ (c − w x·y) x − s·G y − λ_i y, p = M⁻¹ r. */
  #start(item: number, sums: Float64Array): void {
    const systems = this.#systems;
    const k = systems.factors;
    const at = item * k;
    if (systems.isEmpty(item)) {
      this.#solution.fill(0, at, at + k);
      this.#residual.fill(0, at, at + k);
      this.#norm[item] = 0;
      this.#nextDirection.fill(0, at, at + k);
      return;
    }
    const shared = this.#shared;
    systems.sharedProducts(item, this.#solution, at, shared);
    for (let r = 0; r < k; r++) this.#residual[at + r] = sums[r]! - shared[r]!;
    this.#norm[item] = this.#turn(item, 0);
  }

  /** One step along p, with sums = A_i p; then the next p. */
  #step(item: number, sums: Float64Array): void {
    const k = this.#systems.factors;
    const at = item * k;
    const norm = this.#norm[item]!;
    const p = this.#direction.subarray(at, at + k);
    let curvature = 0;
    let slope = 0;
    const shared = this.#shared;
    this.#systems.sharedProducts(item, this.#direction, at, shared);
    for (let r = 0; r < k; r++) {
      sums[r] = sums[r]! + shared[r]!;
      curvature += p[r]! * sums[r]!;
      slope += p[r]! * this.#residual[at + r]!;
    }
    // Converged, or a sum that noise made indefinite along p: stay.
    if (!(norm > 0 && curvature > 0)) {
      this.#norm[item] = 0;
      this.#nextDirection.fill(0, at, at + k);
      return;
    }
    const length = slope / curvature;
    for (let r = 0; r < k; r++) {
      this.#solution[at + r] = this.#solution[at + r]! + length * p[r]!;
      this.#residual[at + r] = this.#residual[at + r]! - length * sums[r]!;
    }
    this.#norm[item] = this.#turn(item, norm);
  }

  /** Makes the next direction, M⁻¹r + (r·M⁻¹r / before) p. @returns r·M⁻¹r. */
  #turn(item: number, before: number): number {
    const { factors: k, workspace } = this.#systems;
    const at = item * k;
    const z = workspace.residual;
    z.fill(0);
    z.set(this.#residual.subarray(at, at + k));
    solve(this.#systems.preconditioner(item), workspace.stride, z);
    let norm = 0;
    for (let r = 0; r < k; r++) norm += this.#residual[at + r]! * z[r]!;
    const turn = before > 0 ? norm / before : 0;
    for (let r = 0; r < k; r++) {
      this.#nextDirection[at + r] = z[r]! + (turn === 0 ? 0 : turn * this.#direction[at + r]!);
    }
    return norm;
  }

  #finish(): void {
    const k = this.#systems.factors;
    for (let item = 0, at = 0; item < this.#items; item++, at += k) {
      storeFactors(this.factors, at, this.#solution.subarray(at, at + k), item);
    }
  }
}

/** M⁻¹ in place, M = UᵀU. */
function solve({ u, inverse }: SharedFactor, stride: number, side: Float64Array): void {
  forwardSolve(u, inverse, stride, side);
  backwardSolve(u, inverse, stride, side);
}
