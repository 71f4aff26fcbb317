// Tables as tensors: uploaded when they are first used and again when they have changed, plain or turned into the basis
// of a Gram's eigenvectors. Each has one row of zeros more than the table, which padding points to.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import { symmetricEigen } from '../../models/dense/symmetric-eigen.js';
import type { Tf } from './tfjs-backend.js';
import { deviceSource, type FactorSource, hostSource } from './tfjs-factor-source.js';
import { rowsNotFinite } from './tfjs-finite.js';
import type { TableVersion } from './tfjs-messages.js';

/** The Gram of a phase, taken apart: G = QΛQᵀ. */
export interface GramBasis {
  /** G as it was given. */
  readonly gram: Float64Array;
  /** Λ, none below zero: f64 [K]. */
  readonly values: Float64Array;
  /** Q, f32 [K, K]. */
  readonly rotation: Tensor2D;
}

interface Uploaded {
  version: number;
  badRows?: ReadonlySet<number>;
  plain?: Tensor2D;
  rotated?: { basis: GramBasis; source: FactorSource };
}

/** Rows of a table that are turned at a time where it stays on the host. */
const ROTATED_ROWS = 4096;

export class TfjsTables {
  readonly #tf: Tf;
  readonly #isGatheredOnHost: boolean;
  readonly #uploaded = new Map<number, Uploaded>();
  #basis: GramBasis | undefined;

  constructor(tf: Tf, isGatheredOnHost: boolean) {
    this.#tf = tf;
    this.#isGatheredOnHost = isGatheredOnHost;
  }

  /** The table as it is, as a tensor [rows + 1, K]. */
  plain(table: TableVersion): Tensor2D {
    const uploaded = this.#current(table);
    uploaded.plain ??= this.#upload(withZeroRow(table), table);
    return uploaded.plain;
  }

  /** Rows of the table with a number that is not finite. */
  rowsNotFinite(table: TableVersion): ReadonlySet<number> {
    const uploaded = this.#current(table);
    uploaded.badRows ??= rowsNotFinite(table.data, table.rows, table.factors);
    return uploaded.badRows;
  }

  /** The table as it is, to gather rows from. */
  source(table: TableVersion): FactorSource {
    return this.#isGatheredOnHost
      ? hostSource(this.#tf, table.data, table.rows, table.factors)
      : deviceSource(this.#tf, this.plain(table));
  }

  /** The table times Q, to gather rows from. */
  rotated(table: TableVersion, basis: GramBasis): FactorSource {
    const uploaded = this.#current(table);
    if (uploaded.rotated?.basis === basis) return uploaded.rotated.source;
    uploaded.rotated?.source.dispose();
    uploaded.rotated = { basis, source: this.#rotate(table, uploaded, basis) };
    return uploaded.rotated.source;
  }

  /** The eigenbasis of a Gram; kept until another one comes. @param gram finite. */
  basisOf(gram: Float64Array, factors: number): GramBasis {
    if (this.#basis !== undefined && sameBits(this.#basis.gram, gram)) return this.#basis;
    this.#dropBasis();
    const { values, vectors } = symmetricEigen(gram, factors);
    this.#basis = {
      gram: Float64Array.from(gram),
      values: values.map((value) => Math.max(value, 0)),
      rotation: this.#tf.keep(this.#tf.tensor2d(Float32Array.from(vectors), [factors, factors])),
    };
    return this.#basis;
  }

  free(id: number): void {
    const uploaded = this.#uploaded.get(id);
    this.#uploaded.delete(id);
    uploaded?.plain?.dispose();
    uploaded?.rotated?.source.dispose();
  }

  dispose(): void {
    for (const id of [...this.#uploaded.keys()]) this.free(id);
    this.#dropBasis();
  }

  #current(table: TableVersion): Uploaded {
    const found = this.#uploaded.get(table.id);
    if (found?.version === table.version) return found;
    this.free(table.id);
    const made: Uploaded = { version: table.version };
    this.#uploaded.set(table.id, made);
    return made;
  }

  #rotate(table: TableVersion, uploaded: Uploaded, { rotation }: GramBasis): FactorSource {
    const tf = this.#tf;
    const { rows, factors } = table;
    if (this.#isGatheredOnHost) return hostSource(tf, this.#rotateOnHost(table, rotation), rows, factors);
    const plain = uploaded.plain ?? this.#upload(withZeroRow(table), table);
    const rotated = tf.keep(tf.matMul<Tensor2D>(plain, rotation));
    if (uploaded.plain === undefined) plain.dispose();
    return deviceSource(tf, rotated);
  }

  /** Chunk by chunk, so that the provider never holds the table as a whole. */
  #rotateOnHost({ data, rows, factors }: TableVersion, rotation: Tensor2D): Float32Array {
    const tf = this.#tf;
    const rotated = new Float32Array(rows * factors);
    for (let row = 0; row < rows; row += ROTATED_ROWS) {
      const count = Math.min(ROTATED_ROWS, rows - row);
      const part = Float32Array.from(data.subarray(row * factors, (row + count) * factors));
      const product = tf.tidy(() => tf.matMul(tf.tensor2d(part, [count, factors]), rotation));
      rotated.set(product.dataSync<'float32'>(), row * factors);
      product.dispose();
    }
    return rotated;
  }

  /** A tensor of a table's size that outlives the step that asks for it. */
  #upload(values: Float32Array, { rows, factors }: TableVersion): Tensor2D {
    return this.#tf.keep(this.#tf.tensor2d(values, [rows + 1, factors]));
  }

  #dropBasis(): void {
    this.#basis?.rotation.dispose();
    this.#basis = undefined;
    for (const uploaded of this.#uploaded.values()) {
      uploaded.rotated?.source.dispose();
      uploaded.rotated = undefined;
    }
  }
}

/** A copy that is not shared: providers keep it, and Dawn cannot take shared memory. */
function withZeroRow({ data, rows, factors }: TableVersion): Float32Array {
  const copy = new Float32Array((rows + 1) * factors);
  copy.set(data);
  return copy;
}

function sameBits(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
