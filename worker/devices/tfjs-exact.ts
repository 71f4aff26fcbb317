// Exact solution of a batch of rows in the Gram's eigenbasis, where the part that rows share is diagonal.
//
// With D = diag(sΛ + λ_row)^(−1/2) and the rows z = √w·Dŷ of Z, a row's system in x̃ = D⁻¹x̂ is
//
//   (I + ZᵀZ) x̃ = Zᵀ d,   d = c/√w                       of order K, or
//   x̃ = Zᵀ t,   (I + ZZᵀ) t = d                          of order n, for a row with fewer entries than factors
//
// (push-through identity). The second form costs less for short rows, and is the more accurate one: their solution
// lies in the span of their entries, and no rounding leads out of it.

import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';
import type { Panels } from './tfjs-panels.js';
import { tfjsSpdFactor } from './tfjs-spd-solve.js';

/** What a batch's rows are solved with; tensors are [B, K] or [1, K], in the eigenbasis. */
export interface ExactSystems {
  readonly panels: Panels;
  /** The scaling D. */
  readonly scale: Tensor2D;
  /** (sΛ + λ_row)·D²: 1, or less where D was bounded because sΛ + λ_row is not positive. */
  readonly unit: Tensor2D;
  /** c − w. */
  readonly targetShift: number;
}

export interface ExactRows {
  /** x̂, [B, K]. */
  readonly x: Tensor2D;
  /** Smallest pivot of each row's system, [B, 1]; see `pivotMin`. */
  readonly pivots: Tensor2D;
}

/** By the systems of order K. To be called in a tidy. */
export function tfjsSolvePrimal(tf: Tf, systems: ExactSystems): ExactRows {
  const { panels, scale, unit, targetShift } = systems;
  const factors = scale.shape[1];
  const d = tf.reshape(scale, [-1, 1, factors]);
  // D is one for all rows of a batch with several chunks a row only when it is one for all rows.
  const spread = tf.reshape(panels.spread(tf.broadcastTo(scale, [panels.rows, factors])), [-1, 1, factors]);
  const gram = panels.sum<Tensor3D>(({ y, weights }) => {
    const z = tf.mul(tf.mul(y, spread), tf.sqrt(weights)) as Tensor3D;
    return tf.matMul(z, z, true, false);
  });
  const rhs = panels.sum<Tensor3D>(({ y, weights }) => {
    const targets = tf.broadcastTo(tf.add(weights, targetShift), [y.shape[0], y.shape[1], 1]);
    return tf.matMul(targets, y, true, false);
  });
  const identity = tf.reshape(tf.eye(factors), [1, factors, factors]);
  const shared = tf.mul(identity, tf.reshape(unit, [-1, 1, factors]));
  const matrix = tf.add(gram, shared) as Tensor3D;
  const diagonal = tf.sum(tf.mul(matrix, identity), 2) as Tensor2D;
  const scaledRhs = tf.reshape(tf.mul(rhs, d), [panels.rows, factors]) as Tensor2D;
  const { pivots, solve } = tfjsSpdFactor(tf, matrix, diagonal);
  return { x: tf.mul(solve(scaledRhs), scale), pivots };
}

/** By the systems of order n, for rows of one chunk whose weights are all positive. To be called in a tidy. */
export function tfjsSolveDual(tf: Tf, systems: ExactSystems): ExactRows {
  const { panels, scale, targetShift } = systems;
  const { y, weights } = panels.single;
  const [batch, entries, factors] = y.shape;
  // On padding z is 0 and its own equation reads t = d, for any finite d.
  const root = tf.sqrt(tf.maximum(weights, tf.equal(weights, 0)));
  const z = tf.mul(tf.mul(y, tf.reshape(scale, [-1, 1, factors])), root) as Tensor3D;
  const d = tf.div(tf.add(weights, targetShift), root);
  const identity = tf.reshape(tf.eye(entries), [1, entries, entries]);
  const matrix = tf.add(tf.matMul(z, z, false, true), identity) as Tensor3D;
  const diagonal = tf.add(tf.sum(tf.square(z), 2), 1) as Tensor2D;
  const { pivots, solve } = tfjsSpdFactor(tf, matrix, diagonal);
  const solveColumns = (rhs: Tensor3D) =>
    tf.reshape(solve(tf.reshape(rhs, [batch, entries])), [batch, entries, 1]) as Tensor3D;
  const first = tf.matMul(z, solveColumns(tf.broadcastTo(d, [batch, entries, 1])), true, false);
  // Entries with large weights may cancel in Zᵀt; what that rounded off is found in the residual of order K, and
  // (I + ZᵀZ)⁻¹ of it is r − Zᵀ(I + ZZᵀ)⁻¹Zr.
  const misses = tf.sub(d, tf.matMul(z, first)) as Tensor3D;
  const residual = tf.sub(tf.matMul(z, misses, true, false), first) as Tensor3D;
  const inSpan = tf.matMul(z, solveColumns(tf.matMul(z, residual)), true, false);
  const whitened = tf.add(first, tf.sub(residual, inSpan));
  return { x: tf.mul(tf.reshape(whitened, [batch, factors]), scale), pivots };
}
