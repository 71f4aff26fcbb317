// Solves batches of small symmetric positive definite systems by tensor operations: tfjs has no kernel for it.
//
// A blocked Cholesky factorisation, S = LLᵀ, that looks to the right. Of each diagonal tile only the inverse of its
// factor is kept; it comes from eliminating the tile beside an identity, column by column, and turns everything else,
// panels and substitutions, into batched products. The matrix is scaled to a unit diagonal first, so that a pivot says
// by itself how much of its row was left.

import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tf } from './tfjs-backend.js';

/** Order of a diagonal tile: its columns are eliminated one by one, at a dozen operations each. */
const TILE = 8;

/**
 * Pivots below this, times the root of the order, are lost in the rounding of f32: they are raised to it so that the
 * other rows of the batch go on, and reported.
 */
const PIVOT_MIN = 2 ** -21;

/** A batch of factorised systems. */
export interface SpdFactor {
  /** Smallest pivot of each system, [B, 1]; one below `pivotMin` was not factorised. */
  readonly pivots: Tensor2D;
  /** x of S x = b, [B, s] both. To be called in a tidy. */
  solve(rhs: Tensor2D): Tensor2D;
}

/** The smallest pivot that counts as one, of systems of order s. */
export function pivotMin(order: number): number {
  return PIVOT_MIN * Math.sqrt(order);
}

/**
 * Factorises every matrix of a batch. To be called in a tidy that holds all use of the factor.
 *
 * @param matrix   [B, s, s], symmetric.
 * @param diagonal [B, s]: its diagonal, positive.
 *
 * Cost: B·s³/3 flops, in about 13 s operations; a solution takes 8·B·s² flops.
 */
export function tfjsSpdFactor(tf: Tf, matrix: Tensor3D, diagonal: Tensor2D): SpdFactor {
  const [batch, order] = diagonal.shape;
  const scale = tf.rsqrt(diagonal);
  const column = tf.reshape(scale, [batch, order, 1]);
  const scaled = tf.mul(tf.mul(matrix, column), tf.reshape(scale, [batch, 1, order])) as Tensor3D;
  const factor = factorise(tf, scaled, pivotMin(order));
  return {
    pivots: factor.pivots,
    solve: (rhs) => {
      const target = tf.mul(tf.reshape(rhs, [batch, order, 1]), column) as Tensor3D;
      const first = substitute(tf, factor, target);
      // Inverses of tiles cost digits where a tile is badly conditioned; a correction by the residual brings them back.
      const residual = tf.sub(target, tf.matMul(scaled, first)) as Tensor3D;
      const x = tf.add(first, substitute(tf, factor, residual));
      return tf.mul(tf.reshape(x, [batch, order]), scale);
    },
  };
}

/** A tile column of the factor. */
interface TileColumn {
  /** Inverse of the diagonal tile's factor, [B, t, t]. */
  readonly inverse: Tensor3D;
  /** What stands below it, [B, rest, t]; absent in the last one. */
  readonly below?: Tensor3D;
}

function factorise(tf: Tf, matrix: Tensor3D, least: number): { columns: TileColumn[]; pivots: Tensor2D } {
  const columns: TileColumn[] = [];
  const pivots: Tensor3D[] = [];
  let rest = matrix;
  for (;;) {
    const [batch, order] = rest.shape;
    const t = Math.min(TILE, order);
    const tile = tf.slice(rest, [0, 0, 0], [batch, t, t]);
    const { inverse, tilePivots } = invertTileFactor(tf, tile, least);
    pivots.push(...tilePivots);
    if (t === order) {
      columns.push({ inverse });
      return { columns, pivots: tf.squeeze(tf.min(tf.concat(pivots, 1), 1, true), [2]) };
    }
    const current = rest;
    const [below, trailing] = tf.tidy(() => {
      const panel = tf.slice(current, [0, t, 0], [batch, order - t, t]);
      const solved = tf.matMul<Tensor3D>(panel, inverse, false, true);
      const square = tf.slice(current, [0, t, t], [batch, order - t, order - t]);
      return [solved, tf.sub(square, tf.matMul(solved, solved, false, true))] as [Tensor3D, Tensor3D];
    });
    columns.push({ inverse, below });
    if (rest !== matrix) rest.dispose();
    rest = trailing;
  }
}

/** L⁻¹ of a tile LLᵀ: [tile | I] is eliminated to [Lᵀ | L⁻¹]; finished columns and rows are cut off as it goes. */
function invertTileFactor(
  tf: Tf,
  tile: Tensor3D,
  least: number,
): { inverse: Tensor3D; tilePivots: Tensor3D[] } {
  const [batch, t] = tile.shape;
  const identity = tf.tile(tf.reshape(tf.eye(t), [1, t, t]), [batch, 1, 1]);
  let work = tf.concat([tile, identity as Tensor3D], 2);
  const rows: Tensor3D[] = [];
  const tilePivots: Tensor3D[] = [];
  for (let left = t; left > 0; left--) {
    const width = left + t;
    const pivot = tf.slice(work, [0, 0, 0], [batch, 1, 1]);
    const root = tf.rsqrt(tf.maximum(pivot, least));
    const row = tf.mul(tf.slice(work, [0, 0, 1], [batch, 1, width - 1]), root) as Tensor3D;
    tilePivots.push(pivot);
    rows.push(tf.slice(row, [0, 0, left - 1], [batch, 1, t]));
    if (left === 1) break;
    const column = tf.mul(tf.slice(work, [0, 1, 0], [batch, left - 1, 1]), root);
    work = tf.sub<Tensor3D>(tf.slice(work, [0, 1, 1], [batch, left - 1, width - 1]), tf.mul(column, row));
  }
  return { inverse: tf.concat(rows, 1), tilePivots };
}

/** x of LLᵀx = b, b [B, s, 1]: forward and backward over the tile columns. */
function substitute(tf: Tf, { columns }: { columns: TileColumn[] }, rhs: Tensor3D): Tensor3D {
  const batch = rhs.shape[0];
  let rest = rhs;
  const forward: Tensor3D[] = [];
  for (const { inverse, below } of columns) {
    const t = inverse.shape[1];
    const part = tf.matMul<Tensor3D>(inverse, tf.slice(rest, [0, 0, 0], [batch, t, 1]));
    forward.push(part);
    if (below === undefined) break;
    rest = tf.sub<Tensor3D>(tf.slice(rest, [0, t, 0], [batch, below.shape[1], 1]), tf.matMul(below, part));
  }
  let solved: Tensor3D | undefined;
  for (let j = columns.length - 1; j >= 0; j--) {
    const { inverse, below } = columns[j]!;
    const rhsHere =
      below === undefined ? forward[j]! : tf.sub(forward[j]!, tf.matMul(below, solved!, true, false));
    const part = tf.matMul<Tensor3D>(inverse, rhsHere as Tensor3D, true, false);
    solved = solved === undefined ? part : tf.concat([part, solved], 1);
  }
  return solved!;
}
