import { choleskyFactor } from '../dense/cholesky-factor.js';
import { paddedLength } from '../dense/padding.js';
import type { IalsObjective } from '../device.js';
import { gramScale } from './objective.js';

/** Factors of shared systems kept at a time, in doubles: 64 MiB. Beyond it the oldest is made again when needed. */
export const SHARED_FACTOR_DOUBLES_MAX = 2 ** 23;

/** A factor UᵀU = s·G + λI that many rows share. */
export interface SharedFactor {
  /** [stride, stride], see `choleskyFactor`. */
  readonly u: Float64Array;
  /** [stride]: 1 / U_kk. */
  readonly inverse: Float64Array;
  /** False when s·G + λI is not positive definite; `u` is then without meaning. */
  readonly isPositive: boolean;
}

/**
 * Scratch memory of one thread that solves rows, and the factors of s·G + λI that rows of the same length share.
 * Whether a factor was found here or made anew changes no bit of any result.
 */
export class SolveWorkspace {
  /** K. */
  factors = 0;
  /** K rounded up to whole tiles. */
  stride = 0;
  /** [stride, stride]: the system of a row. */
  system = new Float64Array(0);
  /** [stride]: its inverse diagonal once factorised. */
  inverse = new Float64Array(0);
  /** [stride]: right-hand side, then solution. Its padding stays zero. */
  solution = new Float64Array(0);
  /** [stride] each: residual, direction and product of conjugate gradients. */
  residual = new Float64Array(0);
  direction = new Float64Array(0);
  product = new Float64Array(0);
  #panel = new Float64Array(0);
  #dual = new Float64Array(0);
  #weights = new Float64Array(0);
  #gram = new Float64Array(0);
  #scale = Number.NaN;
  #subspaces: { width: number; of: readonly SolveWorkspace[] } | undefined;
  readonly #shared = new Map<number, SharedFactor>();

  /** Makes room for K factors, and drops shared factors that were made of another Gram. */
  prepare(factors: number, gram: Float64Array, objective: IalsObjective): void {
    this.#prepare(factors, gram, gramScale(objective));
  }

  #prepare(factors: number, gram: Float64Array, scale: number): void {
    if (factors === this.factors && scale === this.#scale && sameBits(gram, this.#gram)) return;
    this.#shared.clear();
    this.#subspaces = undefined;
    this.#scale = scale;
    this.#gram = Float64Array.from(gram);
    if (factors === this.factors) return;
    this.factors = factors;
    this.stride = paddedLength(factors);
    this.system = new Float64Array(this.stride * this.stride);
    this.inverse = new Float64Array(this.stride);
    this.solution = new Float64Array(this.stride);
    this.residual = new Float64Array(this.stride);
    this.direction = new Float64Array(this.stride);
    this.product = new Float64Array(this.stride);
  }

  /** Scratch for gathered rows, of at least `length` doubles, as it was left by the last row. */
  panel(length: number): Float64Array {
    if (this.#panel.length < length) this.#panel = new Float64Array(length);
    return this.#panel;
  }

  /** Scratch for a row's dual system, of at least `length` doubles, as it was left by the last row. */
  dual(length: number): Float64Array {
    if (this.#dual.length < length) this.#dual = new Float64Array(length);
    return this.#dual;
  }

  /** Scratch for one number an entry, of at least `length` doubles, as it was left by the last row. */
  weights(length: number): Float64Array {
    if (this.#weights.length < length) this.#weights = new Float64Array(length);
    return this.#weights;
  }

  /** Writes s·G + λI into `target`, upper triangle, with 1 on the padding's diagonal. */
  fillSystem(target: Float64Array, penalty: number): void {
    const { factors, stride } = this;
    for (let r = 0; r < factors; r++) {
      const from = r * factors;
      const to = r * stride;
      for (let c = r; c < factors; c++) target[to + c] = this.#scale * this.#gram[from + c]!;
      for (let c = factors; c < stride; c++) target[to + c] = 0;
      target[to + r] = target[to + r]! + penalty;
    }
    for (let r = factors; r < stride; r++) {
      for (let c = r; c < stride; c++) target[r * stride + c] = r === c ? 1 : 0;
    }
  }

  /** The factor of s·G + λI. Cost: K³/3 flops where it is not kept. */
  sharedFactor(penalty: number): SharedFactor {
    const kept = this.#shared.get(penalty);
    if (kept !== undefined) return kept;
    const u = new Float64Array(this.stride * this.stride);
    const inverse = new Float64Array(this.stride);
    this.fillSystem(u, penalty);
    const made = { u, inverse, isPositive: choleskyFactor(u, inverse, this.stride) < 0 };
    if ((this.#shared.size + 1) * u.length > SHARED_FACTOR_DOUBLES_MAX) {
      for (const oldest of this.#shared.keys()) {
        this.#shared.delete(oldest);
        break;
      }
    }
    this.#shared.set(penalty, made);
    return made;
  }

  /**
   * Workspaces of the consecutive blocks of `width` dimensions, the last one shorter: each with the block's part of
   * the Gram and shared factors of its own.
   */
  subspaces(width: number): readonly SolveWorkspace[] {
    if (this.#subspaces?.width === width) return this.#subspaces.of;
    const of: SolveWorkspace[] = [];
    for (let start = 0; start < this.factors; start += width) {
      const count = Math.min(width, this.factors - start);
      const part = new Float64Array(count * count);
      for (let r = 0; r < count; r++) {
        const row = (start + r) * this.factors + start;
        part.set(this.#gram.subarray(row, row + count), r * count);
      }
      const subspace = new SolveWorkspace();
      subspace.#prepare(count, part, this.#scale);
      of.push(subspace);
    }
    this.#subspaces = { width, of };
    return of;
  }

  /** target −= (s·G + λI) x over the dimensions from `start`, with x the present `solution`. Cost: 2 · count · K. */
  subtractSystemProduct(target: Float64Array, start: number, count: number, penalty: number): void {
    const { factors, solution } = this;
    const gram = this.#gram;
    for (let r = 0; r < count; r++) {
      const row = (start + r) * factors;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      let c = 0;
      for (; c + 3 < factors; c += 4) {
        s0 += gram[row + c]! * solution[c]!;
        s1 += gram[row + c + 1]! * solution[c + 1]!;
        s2 += gram[row + c + 2]! * solution[c + 2]!;
        s3 += gram[row + c + 3]! * solution[c + 3]!;
      }
      for (; c < factors; c++) s0 += gram[row + c]! * solution[c]!;
      target[r] = target[r]! - this.#scale * (s0 + s1 + (s2 + s3)) - penalty * solution[start + r]!;
    }
  }

  /** Mean of the diagonal of s·G. */
  meanDiagonal(): number {
    let trace = 0;
    for (let k = 0; k < this.factors; k++) trace += this.#gram[k * this.factors + k]!;
    return (this.#scale * trace) / this.factors;
  }
}

function sameBits(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
