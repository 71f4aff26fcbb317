// The gathered rows of a batch, and sums over them. A row's entries stand in chunks: with B rows of C chunks of n
// entries each, everything has a first dimension of B·C, and sums are added over C at the end.
//
// A batch of one row may be too long to be gathered whole; its chunks are then gathered a group at a time, again for
// every sum.

import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Csr } from '../../models/csr.js';
import type { Tf } from './tfjs-backend.js';
import { CHUNK_ENTRIES, padEntries, type RowBatch } from './tfjs-batches.js';
import type { FactorSource } from './tfjs-factor-source.js';

/** Chunks of a batch's rows, gathered. */
export interface Panel {
  /** Gathered rows of the fixed side, [B·C, n, K]; zeros on padding. */
  readonly y: Tensor3D;
  /** Weights, [B·C, n, 1] or [1, 1, 1]. */
  readonly weights: Tensor3D;
}

export class Panels {
  /** B: rows of the batch. */
  readonly rows: number;
  readonly #tf: Tf;
  readonly #source: FactorSource;
  readonly #idx: Int32Array;
  readonly #weights: Tensor2D | number;
  /** n. */
  readonly #chunk: number;
  /** Chunks of all rows, and how many are gathered at a time. */
  readonly #chunks: number;
  readonly #group: number;
  readonly #whole: Panel | undefined;

  /**
   * Gathers a batch; to be called in a tidy that holds all use of it.
   *
   * @param source    the fixed side.
   * @param floatsMax most floats that are gathered at a time.
   */
  constructor(
    tf: Tf,
    source: FactorSource,
    csr: Csr,
    batch: RowBatch,
    weights: Float64Array | number,
    floatsMax: number,
  ) {
    const padded = padEntries(csr, batch, weights);
    this.#tf = tf;
    this.#source = source;
    this.rows = batch.rows.length;
    this.#chunk = Math.min(batch.width, CHUNK_ENTRIES);
    this.#chunks = (this.rows * batch.width) / this.#chunk;
    const fitting = Math.max(1, Math.floor(floatsMax / (this.#chunk * source.factors)));
    this.#group = this.rows > 1 ? this.#chunks : Math.min(this.#chunks, fitting);
    this.#idx = padded.idx;
    this.#weights =
      padded.weights === undefined
        ? (weights as number)
        : tf.tensor2d(padded.weights, [this.#chunks, this.#chunk]);
    if (this.#group === this.#chunks) this.#whole = this.#gather(0, this.#chunks);
  }

  /**
   * Σ over each row's chunks of what `of` makes of them.
   *
   * @param of from a panel to [chunks, …]; temporaries are freed after it.
   * @returns [B, …]
   */
  sum<T extends Tensor>(of: (panel: Panel) => Tensor): T {
    const tf = this.#tf;
    if (this.#whole !== undefined) {
      const whole = this.#whole;
      return tf.tidy(() => this.#overChunks(of(whole))) as T;
    }
    let total: Tensor | undefined;
    for (let start = 0; start < this.#chunks; start += this.#group) {
      const end = Math.min(start + this.#group, this.#chunks);
      const part = tf.tidy(() => {
        const sum = tf.sum(of(this.#gather(start, end)), 0, true);
        return total === undefined ? sum : tf.add(total, sum);
      });
      total?.dispose();
      total = part;
    }
    return total as T;
  }

  /** What `of` makes of every entry, [B · entries of a padded row]; `of` is from a panel to [chunks, n, 1]. */
  each(of: (panel: Panel) => Tensor): Tensor1D {
    const tf = this.#tf;
    if (this.#whole !== undefined) return tf.reshape(of(this.#whole), [-1]);
    const parts: Tensor1D[] = [];
    for (let start = 0; start < this.#chunks; start += this.#group) {
      const end = Math.min(start + this.#group, this.#chunks);
      parts.push(tf.tidy(() => tf.reshape(of(this.#gather(start, end)), [-1])));
    }
    return tf.concat1d(parts);
  }

  /** One value a row and factor, [B, K], for every chunk of the row: [B·C, K, 1], or [1, K, 1] for a single row. */
  spread(x: Tensor2D): Tensor3D {
    const tf = this.#tf;
    const [rows, factors] = x.shape;
    const repeats = this.#chunks / this.rows;
    if (rows === 1 || repeats === 1) return tf.reshape(x, [rows, factors, 1]);
    const repeated = tf.tile(tf.reshape(x, [rows, 1, factors]), [1, repeats, 1]);
    return tf.reshape(repeated, [rows * repeats, factors, 1]);
  }

  /** The one panel of a batch whose rows have one chunk each. */
  get single(): Panel {
    if (this.#whole === undefined || this.#chunks !== this.rows)
      throw new Error('the batch has several chunks');
    return this.#whole;
  }

  #gather(start: number, end: number): Panel {
    const tf = this.#tf;
    const n = this.#chunk;
    const isWhole = start === 0 && end === this.#chunks;
    const idx = isWhole ? this.#idx : this.#idx.slice(start * n, end * n);
    const y = tf.reshape(this.#source.gather(idx), [end - start, n, this.#source.factors]) as Tensor3D;
    if (typeof this.#weights === 'number')
      return { y, weights: tf.fill([1, 1, 1], this.#weights) as Tensor3D };
    const weights = isWhole ? this.#weights : tf.slice(this.#weights, [start, 0], [end - start, n]);
    return { y, weights: tf.reshape(weights, [end - start, n, 1]) as Tensor3D };
  }

  #overChunks(parts: Tensor): Tensor {
    const tf = this.#tf;
    const repeats = this.#chunks / this.rows;
    if (repeats === 1) return parts;
    return tf.sum(tf.reshape(parts, [this.rows, repeats, ...parts.shape.slice(1)]), 1);
  }
}
