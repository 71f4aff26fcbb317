// What the systems of all items share at the server: the users' Gram, the penalties, scratch memory.

import { NumericError, ShapeError } from '../../common/errors.js';
import { choleskyFactor } from '../../models/dense/cholesky-factor.js';
import { backwardSolve, forwardSolve } from '../../models/dense/triangular-solve.js';
import type { IalsObjective } from '../../models/device.js';
import { packedGramLength, unpackGram } from '../../models/gram.js';
import { entryWeight, gramScale, rowPenalty } from '../../models/ials/objective.js';
import { type SharedFactor, SolveWorkspace } from '../../models/ials/solve-workspace.js';
import type { Census } from './census.js';
import { projectPositive } from './project-positive.js';

/** Shift of a singular s·G + λI, as part of its mean diagonal; as `models/ials/conjugate-gradients.ts` has it. */
const SINGULAR_SHIFT = 1e-6;

export class ItemSystems {
  readonly factors: number;
  readonly #objective: IalsObjective;
  readonly #scale: number;
  readonly #census: Census | undefined;
  readonly #weightMax: number | undefined;
  /** Holds s·G, and its factors with the penalties that items share. */
  readonly workspace = new SolveWorkspace();
  /** Systems of blocks by their width: scratch of their own. */
  readonly #scratch = new Map<number, SolveWorkspace>();
  #bound: SolveWorkspace | undefined;
  #gram: Float64Array | undefined;

  constructor(o: {
    factors: number;
    objective: IalsObjective;
    census?: Census;
    weightMax?: number;
  }) {
    this.factors = o.factors;
    this.#objective = o.objective;
    this.#scale = gramScale(o.objective);
    this.#census = o.census;
    const ofAll = o.objective.weights === 'binary' ? entryWeight(o.objective, 1) : undefined;
    this.#weightMax = o.weightMax ?? ofAll;
  }

  get hasGram(): boolean {
    return this.#gram !== undefined;
  }

  /** G, f64 [K, K], both triangles; empty before it came. */
  get gram(): Float64Array {
    return this.#gram ?? new Float64Array(0);
  }

  receiveGram(packed: Float64Array, isProjected: boolean): void {
    const { factors } = this;
    if (packed.length !== packedGramLength(factors)) {
      const expected = packedGramLength(factors);
      throw new ShapeError(
        'STOA_SHAPE',
        `the users’ Gram has length ${packed.length} where ${expected} was expected`,
        { fields: { found: packed.length, expected } },
      );
    }
    if (!packed.every(Number.isFinite)) {
      throw new NumericError('STOA_NUMERIC_NOT_FINITE', 'a number of the users’ Gram is not finite');
    }
    const sum = Float64Array.from(packed);
    if (isProjected) projectPositive(sum, factors);
    this.setGram(unpackGram(sum, factors));
  }

  /** @param gram f64 [K, K], or nothing when none came yet. */
  setGram(gram: Float64Array): void {
    if (gram.length === 0) return;
    this.#gram = gram;
    this.workspace.prepare(this.factors, gram, this.#objective);
  }

  /** s·G_rc. */
  shared(r: number, c: number): number {
    return this.#scale * this.#gram![r * this.factors + c]!;
  }

  /** Row r of (s·G + λ_i I) v, with v the K numbers of `table` from `at` on. */
  sharedProduct(item: number, r: number, table: Float32Array | Float64Array, at: number): number {
    const gram = this.#gram!;
    const k = this.factors;
    let sum = 0;
    for (let c = 0, g = r * k; c < k; c++, g++) sum += gram[g]! * table[at + c]!;
    return this.#scale * sum + this.penalty(item) * table[at + r]!;
  }

  /**
   * All rows of (s·G + λ_i I) v: as `sharedProduct`, bit for bit, but four rows at a time, whose sums do not wait for one
   * another.
   *
   * @param out written, [K].
   */
  sharedProducts(item: number, table: Float32Array | Float64Array, at: number, out: Float64Array): void {
    const gram = this.#gram!;
    const k = this.factors;
    const penalty = this.penalty(item);
    const quads = k - (k % 4);
    for (let r = 0; r < quads; r += 4) {
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let c = 0, g = r * k; c < k; c++, g++) {
        const v = table[at + c]!;
        s0 += gram[g]! * v;
        s1 += gram[g + k]! * v;
        s2 += gram[g + 2 * k]! * v;
        s3 += gram[g + 3 * k]! * v;
      }
      out[r] = this.#scale * s0 + penalty * table[at + r]!;
      out[r + 1] = this.#scale * s1 + penalty * table[at + r + 1]!;
      out[r + 2] = this.#scale * s2 + penalty * table[at + r + 2]!;
      out[r + 3] = this.#scale * s3 + penalty * table[at + r + 3]!;
    }
    for (let r = quads; r < k; r++) out[r] = this.sharedProduct(item, r, table, at);
  }

  /** λ_i. */
  penalty(item: number): number {
    return this.#penaltyOf(this.#census?.itemCounts[item] ?? 0);
  }

  /** Nobody has interactions with it: its factors are 0. */
  isEmpty(item: number): boolean {
    return this.#census?.itemCounts[item] === 0;
  }

  /**
   * The factor of s·G + λ̄I that whitens an item's system, with λ̄ the penalty of a row of 2^⌊log₂ n⌋ entries, which
   * many items share: the one that a device's `cg` takes, so that the iterates are the same.
   */
  preconditioner(item: number): SharedFactor {
    const count = this.#census?.itemCounts[item] ?? 1;
    const octave = this.#penaltyOf(count > 0 ? 2 ** Math.floor(Math.log2(count)) : 0);
    return positiveFactor(this.workspace, octave);
  }

  /** The factor of (s + w_max)·G + λ_i I, which no item's system exceeds; undefined where w has no bound. */
  bound(item: number): { factor: SharedFactor; workspace: SolveWorkspace } | undefined {
    if (this.#weightMax === undefined) return undefined;
    if (this.#bound === undefined) {
      this.#bound = new SolveWorkspace();
      const alpha0 = this.#scale + this.#weightMax;
      this.#bound.prepare(this.factors, this.#gram!, { ...this.#objective, objective: 'ials', alpha0 });
    }
    return { factor: positiveFactor(this.#bound, this.penalty(item)), workspace: this.#bound };
  }

  /** Scratch for systems of `width` dimensions. */
  scratch(width: number): SolveWorkspace {
    let scratch = this.#scratch.get(width);
    if (scratch === undefined) {
      scratch = new SolveWorkspace();
      scratch.prepare(width, new Float64Array(width * width), this.#objective);
      this.#scratch.set(width, scratch);
    }
    return scratch;
  }

  /**
   * Solves (A + s·G_ππ + λ_i I) δ = r for a block π of dimensions.
   *
   * @param packed A, the sum over users, packed; changed where `isProjected`.
   * @param side   r, [end − start]: changed to δ.
   * @throws {NumericError} `STOA_NUMERIC_PIVOT`.
   */
  solveBlock(
    item: number,
    block: { start: number; end: number; isProjected: boolean },
    packed: Float64Array,
    side: Float64Array,
  ): void {
    const { start, end } = block;
    const width = end - start;
    if (block.isProjected) projectPositive(packed, width);
    const { system, inverse, solution, stride } = this.scratch(width);
    const penalty = this.penalty(item);
    for (let c = 0, at = 0; c < width; c++) {
      for (let r = 0; r <= c; r++, at++) {
        system[r * stride + c] = packed[at]! + this.shared(start + r, start + c) + (r === c ? penalty : 0);
      }
    }
    for (let c = width; c < stride; c++) {
      for (let r = 0; r <= c; r++) system[r * stride + c] = r === c ? 1 : 0;
    }
    const pivot = choleskyFactor(system, inverse, stride);
    if (pivot >= 0) {
      throw new NumericError(
        'STOA_NUMERIC_PIVOT',
        `the system of item ${item} is not positive definite at dimension ${start + pivot}; raise ials.regularization`,
        { fields: { row: item, pivot: start + pivot } },
      );
    }
    solution.fill(0);
    solution.set(side);
    forwardSolve(system, inverse, stride, solution);
    backwardSolve(system, inverse, stride, solution);
    side.set(solution.subarray(0, width));
  }

  #penaltyOf(count: number): number {
    return rowPenalty(this.#objective, count, this.#census?.users ?? 0);
  }
}

/** The factor of s·G + λI, or where it is singular (λ = 0) of one with a greater λ. */
function positiveFactor(workspace: SolveWorkspace, penalty: number): SharedFactor {
  const factor = workspace.sharedFactor(penalty);
  if (factor.isPositive) return factor;
  const mean = workspace.meanDiagonal();
  return workspace.sharedFactor(penalty + (mean > 0 ? SINGULAR_SHIFT * mean : 1));
}
