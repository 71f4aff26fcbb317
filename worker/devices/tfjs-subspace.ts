// iALS++ of a batch of rows: one pass over consecutive blocks of factors, each solved exactly with the others held
// (Rendle, Krichene, Zhang, Koren, "iALS++: Speeding up Matrix Factorization with Subspace Optimization", 2021).
//
//   A_ππ δ = b_π − A_π· x,  x_π += δ     with A = s·G + Σ w y yᵀ + λ_row I,  b = Σ c y
//
// is computed as A_ππ x_π = b_π − A_πρ x_ρ, with ρ the factors outside π: the same in exact arithmetic, and in f32 free of
// what a prior far from the solution would leave in the sum x_π + δ.
//
// Blocks are made of the table's own factors, so nothing here stands in the Gram's eigenbasis.

import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';
import type { ExactRows } from './tfjs-exact.js';
import type { Panels } from './tfjs-panels.js';
import { tfjsSpdFactor } from './tfjs-spd-solve.js';

export interface SubspaceSystems {
  readonly panels: Panels;
  /** s·G, [K, K]. */
  readonly gram: Tensor2D;
  /** λ_row, [B, 1]. */
  readonly penalties: Tensor2D;
  /** c − w. */
  readonly targetShift: number;
}

/**
 * One pass over all blocks. To be called in a tidy.
 *
 * @param prior where to start, [B, K].
 * @param block factors of a block; the last one may be shorter.
 */
export function tfjsSubspacePass(
  tf: Tf,
  systems: SubspaceSystems,
  block: number,
  prior: Tensor2D,
): ExactRows {
  const factors = prior.shape[1];
  let x = prior;
  let least: Tensor2D | undefined;
  for (let start = 0; start < factors; start += block) {
    const size = Math.min(block, factors - start);
    const before = x;
    const pivotsBefore = least;
    const [moved, pivots] = tf.tidy(() => {
      const { x: solved, pivots } = solveSubspace(tf, systems, before, start, size);
      return [
        replaceColumns(tf, before, solved, start),
        pivotsBefore === undefined ? pivots : (tf.minimum(pivotsBefore, pivots) as Tensor2D),
      ];
    });
    x = moved!;
    least = pivots!;
  }
  return { x, pivots: least! };
}

/** x with the columns from `start` replaced. */
function replaceColumns(tf: Tf, x: Tensor2D, columns: Tensor2D, start: number): Tensor2D {
  const [batch, factors] = x.shape;
  const end = start + columns.shape[1];
  return tf.concat2d(
    [tf.slice(x, [0, 0], [batch, start]), columns, tf.slice(x, [0, end], [batch, factors - end])],
    1,
  );
}

/** What x_π becomes, for the factors from `start`, `size` of them. */
function solveSubspace(
  tf: Tf,
  { panels, gram, penalties, targetShift }: SubspaceSystems,
  x: Tensor2D,
  start: number,
  size: number,
): ExactRows {
  const [batch, factors] = x.shape;
  const others = replaceColumns(tf, x, tf.zeros([batch, size]), start);
  const spread = panels.spread(others);
  const part = (y: Tensor3D) => tf.slice(y, [0, 0, start], [y.shape[0], y.shape[1], size]);
  const sums = panels.sum<Tensor3D>(({ y, weights }) => {
    const misses = tf.sub(tf.add(weights, targetShift), tf.mul(weights, tf.matMul(y, spread)));
    return tf.matMul(part(y), misses as Tensor3D, true, false);
  });
  const grams = panels.sum<Tensor3D>(({ y, weights }) => {
    const weighted = tf.mul(part(y), tf.sqrt(weights)) as Tensor3D;
    return tf.matMul(weighted, weighted, true, false);
  });
  const shared = tf.matMul(others, tf.slice(gram, [0, start], [factors, size]));
  const rhs = tf.sub(tf.reshape(sums, [batch, size]), shared) as Tensor2D;
  const identity = tf.reshape(tf.eye(size), [1, size, size]);
  const own = tf.reshape(tf.slice(gram, [start, start], [size, size]), [1, size, size]);
  const ridge = tf.mul(identity, tf.reshape(penalties, [batch, 1, 1]));
  const matrix = tf.add(tf.add(grams, own), ridge) as Tensor3D;
  const diagonal = tf.sum(tf.mul(matrix, identity), 2) as Tensor2D;
  const { pivots, solve } = tfjsSpdFactor(tf, matrix, diagonal);
  return { x: solve(rhs), pivots };
}
