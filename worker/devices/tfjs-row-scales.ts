// The diagonal that rows of a batch share or have of their own, for the Gram's eigenbasis.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { IalsObjective } from '../../models/device.js';
import { gramScale, rowPenalty } from '../../models/ials/objective.js';
import type { Tf } from './tfjs-backend.js';

/** Eigenvalues of a Gram are known to this part of the greatest, times K: less than it is no more than zero. */
const EIGEN_EPSILON = 2 ** -50;

/** Shift of a singular M, as part of its mean diagonal: as in models/ials/conjugate-gradients.ts. */
const SINGULAR_SHIFT = 1e-6;

/** Diagonals sΛ + λ of a phase, by row length. */
export class RowScales {
  readonly #objective: IalsObjective;
  readonly #otherSize: number;
  /** sΛ. */
  readonly #shared: Float64Array;
  /** What counts as positive on the diagonal. */
  readonly #least: number;
  readonly #made = new Map<string, Float32Array>();

  constructor(objective: IalsObjective, otherSize: number, eigenvalues: Float64Array) {
    this.#objective = objective;
    this.#otherSize = otherSize;
    this.#shared = eigenvalues.map((value) => gramScale(objective) * value);
    this.#least = eigenvalues.length * EIGEN_EPSILON * Math.max(...this.#shared);
  }

  /** Whether s·G + λ_row I of a row of `entries` is positive definite beyond rounding. */
  isPositive(entries: number): boolean {
    return this.#isPositive(this.#penalty(entries));
  }

  /** sΛ + λ_row of each row, [rows, K], or [1, K] when it is the same for all. */
  diagonals(tf: Tf, lengths: Int32Array): Tensor2D {
    return this.#stack(tf, lengths, 'diagonal', (entries) => {
      const penalty = this.#penalty(entries);
      return this.#shared.map((value) => value + penalty);
    });
  }

  /** (sΛ + λ̄)^(−1/2), with λ̄ the penalty of a row of 2^⌊log₂ n⌋ entries, shifted where that is singular. */
  roots(tf: Tf, lengths: Int32Array): Tensor2D {
    return this.#stack(tf, lengths, 'root', (entries) => {
      const octave = this.#penalty(2 ** (31 - Math.clz32(entries)));
      const mean = this.#shared.reduce((sum, value) => sum + value, 0) / this.#shared.length;
      const shift = this.#isPositive(octave) ? 0 : mean > 0 ? SINGULAR_SHIFT * mean : 1;
      return this.#shared.map((value) => 1 / Math.sqrt(value + octave + shift));
    });
  }

  /** D = (sΛ + λ_row)^(−1/2), bounded where that is not positive. */
  scales(tf: Tf, lengths: Int32Array): Tensor2D {
    return this.#stack(tf, lengths, 'scale', (entries) =>
      this.#bounded(entries).map((x) => 1 / Math.sqrt(x)),
    );
  }

  /** (sΛ + λ_row)·D². */
  units(tf: Tf, lengths: Int32Array): Tensor2D {
    return this.#stack(tf, lengths, 'unit', (entries) => {
      const penalty = this.#penalty(entries);
      return this.#bounded(entries).map((bounded, k) => (this.#shared[k]! + penalty) / bounded);
    });
  }

  #bounded(entries: number): Float64Array {
    const penalty = this.#penalty(entries);
    const least = this.#least > 0 || penalty > 0 ? this.#least : 1;
    return this.#shared.map((value) => Math.max(value + penalty, least));
  }

  #isPositive(penalty: number): boolean {
    return this.#shared.every((value) => value + penalty > this.#least);
  }

  #penalty(entries: number): number {
    return rowPenalty(this.#objective, entries, this.#otherSize);
  }

  #stack(tf: Tf, lengths: Int32Array, kind: string, make: (entries: number) => Float64Array): Tensor2D {
    const isShared = this.#objective.objective === 'hu2008' || this.#objective.nu === 0;
    const count = isShared ? 1 : lengths.length;
    const factors = this.#shared.length;
    const stacked = new Float32Array(count * factors);
    for (let row = 0; row < count; row++) {
      const key = `${kind} ${isShared ? '' : lengths[row]}`;
      let values = this.#made.get(key);
      if (values === undefined) {
        values = Float32Array.from(make(lengths[row]!));
        this.#made.set(key, values);
      }
      stacked.set(values, row * factors);
    }
    return tf.tensor2d(stacked, [count, factors]);
  }
}
