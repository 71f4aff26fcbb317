// Where the rows of the fixed side are gathered from: a tensor of the provider, or an array of the host.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';

export interface FactorSource {
  readonly factors: number;
  /**
   * Copies rows, [idx.length, K]; a row number past the last one stands for zeros. To be called in a tidy.
   *
   * @param idx not shared: providers may keep it.
   */
  gather(idx: Int32Array): Tensor2D;
  dispose(): void;
}

/** Rows of a tensor [rows + 1, K] whose last one is zero. */
export function deviceSource(tf: Tf, table: Tensor2D): FactorSource {
  return {
    factors: table.shape[1],
    gather: (idx) => tf.gather(table, tf.tensor1d(idx, 'int32')),
    dispose: () => table.dispose(),
  };
}

/**
 * Rows of an array [rows, K]. The kernels of WebAssembly and JavaScript gather number by number: copying rows here and
 * handing them over is at least three times as fast. libtensorflow's is the faster one (half-steps of `cg`: 1.2 to 2.4
 * times).
 */
export function hostSource(tf: Tf, data: Float32Array, rows: number, factors: number): FactorSource {
  return {
    factors,
    gather: (idx) => {
      const gathered = new Float32Array(idx.length * factors);
      for (let e = 0, to = 0; e < idx.length; e++, to += factors) {
        const row = idx[e]!;
        if (row >= rows) continue;
        for (let k = 0, from = row * factors; k < factors; k++) gathered[to + k] = data[from + k]!;
      }
      return tf.tensor2d(gathered, [idx.length, factors]);
    },
    dispose: () => {},
  };
}
