// Tables as tensors: uploaded when they are first used and again when they have changed, plain or turned into the basis
// of a Gram's eigenvectors. Each has one row of zeros more than the table, which padding points to.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import { symmetricEigen } from '../../models/dense/symmetric-eigen.js';
import type { Tf } from './tfjs-backend.js';
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
  rotated?: { basis: GramBasis; tensor: Tensor2D };
}

export class TfjsTables {
  readonly #tf: Tf;
  readonly #uploaded = new Map<number, Uploaded>();
  #basis: GramBasis | undefined;

  constructor(tf: Tf) {
    this.#tf = tf;
  }

  /** The table as it is, [rows + 1, K]. */
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

  /** The table times Q, [rows + 1, K]. */
  rotated(table: TableVersion, basis: GramBasis): Tensor2D {
    const uploaded = this.#current(table);
    if (uploaded.rotated?.basis === basis) return uploaded.rotated.tensor;
    uploaded.rotated?.tensor.dispose();
    uploaded.rotated = { basis, tensor: this.#rotate(table, uploaded, basis) };
    return uploaded.rotated.tensor;
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
    uploaded?.rotated?.tensor.dispose();
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

  #rotate(table: TableVersion, uploaded: Uploaded, basis: GramBasis): Tensor2D {
    const plain = uploaded.plain ?? this.#upload(withZeroRow(table), table);
    const rotated = this.#tf.keep(this.#tf.matMul<Tensor2D>(plain, basis.rotation));
    if (uploaded.plain === undefined) plain.dispose();
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
      uploaded.rotated?.tensor.dispose();
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
