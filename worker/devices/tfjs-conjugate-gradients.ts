// Conjugate gradients of a batch of rows, preconditioned by the part of their systems that all rows share.
//
// In the basis of the Gram's eigenvectors, G = QΛQᵀ, with ŷ = Qᵀy and x̂ = Qᵀx, a row's system is
//
//   (diag(sΛ + λ_row) + Σ w ŷ ŷᵀ) x̂ = Σ c ŷ
//
// and the shared part M = s·G + λ̄I is diagonal: applying it and its inverse costs K products where triangular factors
// cost K² flops. The iterates are those of models/ials/conjugate-gradients.ts, since they depend on M alone.

import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';
import type { Panel, Panels } from './tfjs-panels.js';

/** Steps end where the squared residual is this part of the first one: below it f32 sees no change any more. */
const RESIDUAL_RATIO = 1e-14;

/** What a batch's rows are solved with; tensors are [B, K] or [1, K], in the eigenbasis. */
export interface GradientSystems {
  readonly panels: Panels;
  /** sΛ + λ_row. */
  readonly diagonal: Tensor2D;
  /** 1 / (sΛ + λ̄). */
  readonly inverse: Tensor2D;
  /** c − w. */
  readonly targetShift: number;
}

/**
 * Takes `steps` steps for every row of a batch; a row that has converged, or whose direction has no curvature, stays.
 *
 * @param prior where to start, [B, K] in the eigenbasis; absent: zeros.
 * @returns x̂, [B, K].
 */
export function tfjsConjugateGradients(
  tf: Tf,
  systems: GradientSystems,
  steps: number,
  prior: Tensor2D | undefined,
): Tensor2D {
  const { panels, diagonal, inverse } = systems;
  let residual = tf.tidy(() => startResidual(tf, systems, prior));
  let solution = prior === undefined ? tf.zerosLike(residual) : tf.clone(prior);
  let direction = tf.mul(residual, inverse) as Tensor2D;
  let norm = tf.sum(tf.mul(residual, direction), 1, true) as Tensor2D;
  const enough = tf.mul(norm, RESIDUAL_RATIO);
  for (let step = 0; step < steps; step++) {
    const next = tf.tidy(() => {
      const product = tf.add(tf.mul(diagonal, direction), entryProducts(tf, panels, direction));
      const curvature = tf.sum(tf.mul(direction, product), 1, true);
      const isOn = tf.logicalAnd(tf.greater(curvature, 0), tf.greater(norm, enough));
      const length = tf.where(isOn, tf.div(norm, tf.where(isOn, curvature, 1)), 0);
      const moved = tf.add(solution, tf.mul(length, direction)) as Tensor2D;
      const left = tf.sub(residual, tf.mul(length, product)) as Tensor2D;
      const preconditioned = tf.mul(left, inverse);
      const leftNorm = tf.sum(tf.mul(left, preconditioned), 1, true) as Tensor2D;
      const turn = tf.where(isOn, tf.div(leftNorm, tf.where(isOn, norm, 1)), 0);
      const turned = tf.add(preconditioned, tf.mul(turn, direction)) as Tensor2D;
      return { solution: moved, residual: left, direction: turned, norm: leftNorm };
    });
    tf.dispose([solution, residual, direction, norm]);
    ({ solution, residual, direction, norm } = next);
  }
  return solution;
}

/** Σ ŷ (c − w (ŷ·x̂)) − (sΛ + λ_row) x̂, or Σ c ŷ from a start at zero. */
function startResidual(tf: Tf, systems: GradientSystems, prior: Tensor2D | undefined): Tensor2D {
  const { panels, diagonal, targetShift } = systems;
  const start = prior === undefined ? undefined : panels.spread(prior);
  const sums = panels.sum<Tensor2D>((panel) => {
    const targets = tf.add(panel.weights, targetShift);
    if (start === undefined)
      return weightedSum(tf, panel, tf.broadcastTo(targets, [...panel.y.shape.slice(0, 2), 1]));
    return weightedSum(tf, panel, tf.sub(targets, tf.mul(panel.weights, tf.matMul(panel.y, start))));
  });
  return prior === undefined ? sums : tf.sub(sums, tf.mul(diagonal, prior));
}

/** Σ w ŷ (ŷ·p) of each row, [B, K]. */
function entryProducts(tf: Tf, panels: Panels, p: Tensor2D): Tensor2D {
  const spread = panels.spread(p);
  return panels.sum<Tensor2D>((panel) =>
    weightedSum(tf, panel, tf.mul(panel.weights, tf.matMul(panel.y, spread))),
  );
}

/** Σ factor · y over a panel's entries: [B·C, K]. */
function weightedSum(tf: Tf, { y }: Panel, factors: ReturnType<Tf['tensor']>): Tensor2D {
  return tf.squeeze(tf.matMul(y, factors, true, false), [2]);
}
