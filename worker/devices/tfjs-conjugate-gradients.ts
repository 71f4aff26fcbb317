// Conjugate gradients of a batch of rows, preconditioned by the part of their systems that all rows share.
//
// In the basis of the Gram's eigenvectors, G = QΛQᵀ, with ŷ = Qᵀy and x̂ = Qᵀx, a row's system is
//
//   (diag(sΛ + λ_row) + Σ w ŷ ŷᵀ) x̂ = Σ c ŷ
//
// and the shared part M = s·G + λ̄I is diagonal: whitening by its root costs K products where triangular factors cost K²
// flops. The iterates are those of models/ials/conjugate-gradients.ts, since they depend on M alone.

import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';
import type { Panel, Panels } from './tfjs-panels.js';

/** Steps end where the squared residual is this part of the first one: below it f32 sees no change any more. */
const RESIDUAL_RATIO = 1e-14;

/** In f32 the residuals of many steps lose their orthogonality, and the steps their worth; of this few they do not. */
const STEPS_FEW = 4;

/** Earlier residuals that a new one is made orthogonal to, so that steps stay those of exact arithmetic. */
const STEPS_KEPT = 16;

/** What a batch's rows are solved with; tensors are [B, K] or [1, K], in the eigenbasis. */
export interface GradientSystems {
  readonly panels: Panels;
  /** sΛ + λ_row. */
  readonly diagonal: Tensor2D;
  /** The whitening, (sΛ + λ̄)^(−1/2). */
  readonly root: Tensor2D;
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
  const start = tf.tidy(() => startResidual(tf, systems, prior));
  let state: GradientState = {
    solution: prior === undefined ? tf.zerosLike(start) : tf.clone(prior),
    residual: start,
    direction: tf.clone(start),
    norm: tf.sum(tf.square(start), 1, true) as Tensor2D,
  };
  if (steps > STEPS_FEW) state.earlier = normalised(tf, state);
  const enough = tf.mul(state.norm, RESIDUAL_RATIO) as Tensor2D;
  for (let step = 0; step < steps; step++) {
    const before = state;
    state = tf.tidy(() => takeStep(tf, systems, before, enough, step + 1 < steps));
    tf.dispose(Object.values(before));
  }
  return state.solution;
}

/** Between two steps; all but the solution are whitened, and [B, K]. */
type GradientState = {
  solution: Tensor2D;
  residual: Tensor2D;
  direction: Tensor2D;
  /** ‖residual‖², [B, 1]. */
  norm: Tensor2D;
  /** Earlier residuals of length 1, [B, steps, K]. */
  earlier?: Tensor3D;
};

function takeStep(
  tf: Tf,
  { panels, diagonal, root }: GradientSystems,
  { solution, residual, direction, norm, earlier }: GradientState,
  enough: Tensor2D,
  isFollowed: boolean,
): GradientState {
  const step = tf.mul(root, direction) as Tensor2D;
  const product = tf.mul(root, tf.add(tf.mul(diagonal, step), entryProducts(tf, panels, step)));
  const curvature = tf.sum(tf.mul(direction, product), 1, true);
  const isOn = tf.logicalAnd(tf.greater(curvature, 0), tf.greater(norm, enough));
  const length = tf.where(isOn, tf.div(norm, tf.where(isOn, curvature, 1)), 0);
  const moved = tf.add(solution, tf.mul(length, step)) as Tensor2D;
  let left = tf.sub(residual, tf.mul(length, product)) as Tensor2D;
  if (earlier !== undefined) left = tf.where(isOn, orthogonalTo(tf, left, earlier), residual) as Tensor2D;
  const leftNorm = tf.sum(tf.square(left), 1, true) as Tensor2D;
  const turn = tf.where(isOn, tf.div(leftNorm, tf.where(isOn, norm, 1)), 0);
  const next: GradientState = {
    solution: moved,
    residual: left,
    direction: tf.add(left, tf.mul(turn, direction)) as Tensor2D,
    norm: leftNorm,
  };
  if (earlier !== undefined && isFollowed) {
    const [batch, kept, factors] = earlier.shape;
    const from = Math.max(0, kept + 1 - STEPS_KEPT);
    const recent = tf.slice(earlier, [0, from, 0], [batch, kept - from, factors]);
    next.earlier = tf.concat([recent, normalised(tf, next)], 1);
  }
  return next;
}

/** The residual of length 1, [B, 1, K]; zero where it is zero. */
function normalised(tf: Tf, { residual, norm }: GradientState): Tensor3D {
  const [batch, factors] = residual.shape;
  const isLeft = tf.greater(norm, 0);
  const scale = tf.where(isLeft, tf.rsqrt(tf.where(isLeft, norm, 1)), 0);
  return tf.reshape(tf.mul(residual, scale), [batch, 1, factors]);
}

/** x less its parts along the rows of `earlier`. */
function orthogonalTo(tf: Tf, x: Tensor2D, earlier: Tensor3D): Tensor2D {
  const [batch, factors] = x.shape;
  const column = tf.reshape(x, [batch, factors, 1]);
  const parts = tf.matMul(earlier, tf.matMul(earlier, column), true, false);
  return tf.reshape(tf.sub(column, parts), [batch, factors]);
}

/** Σ ŷ (c − w (ŷ·x̂)) − (sΛ + λ_row) x̂, or Σ c ŷ from a start at zero, whitened. */
function startResidual(tf: Tf, systems: GradientSystems, prior: Tensor2D | undefined): Tensor2D {
  const { panels, diagonal, root, targetShift } = systems;
  const start = prior === undefined ? undefined : panels.spread(prior);
  const sums = panels.sum<Tensor2D>((panel) => {
    const targets = tf.add(panel.weights, targetShift);
    if (start === undefined)
      return weightedSum(tf, panel, tf.broadcastTo(targets, [...panel.y.shape.slice(0, 2), 1]));
    return weightedSum(tf, panel, tf.sub(targets, tf.mul(panel.weights, tf.matMul(panel.y, start))));
  });
  return tf.mul(root, prior === undefined ? sums : tf.sub(sums, tf.mul(diagonal, prior)));
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
