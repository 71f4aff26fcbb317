// iALS++ in f64, written to be read: the row's whole system, and one dense subsystem a block. The fast solvers are
// held against it; it shares no code with them.

import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';
import { referenceGram } from './gram.js';
import { backwardError, type DenseSystem, gaussianElimination, referenceSystem } from './solve-rows.js';

/**
 * Improves the rows of a matrix by one pass over consecutive blocks of `width` dimensions, the last one shorter: for
 * each block π, A_ππ δ = b_π − A_π· x and x_π += δ. A row without entries is zero.
 *
 * @param prior where to start, [block.rows, factors]; absent: zeros.
 * @returns f64 [block.rows, factors].
 *
 * Source: Rendle, Krichene, Zhang, Koren, "iALS++: Speeding up Matrix Factorization with Subspace Optimization", 2021.
 */
export function referenceSubspaces(
  block: Csr,
  fixed: ArrayLike<number>,
  factors: number,
  objective: IalsObjective,
  width: number,
  prior?: ArrayLike<number>,
): Float64Array {
  const out = new Float64Array(block.rows * factors);
  const gram = referenceGram(fixed, block.cols, factors);
  for (let row = 0; row < block.rows; row++) {
    if (block.ptr[row] === block.ptr[row + 1]) continue;
    const system = referenceSystem(block, row, fixed, factors, objective, gram);
    const x = Array.from({ length: factors }, (_, k) => prior?.[row * factors + k] ?? 0);
    for (const dimensions of blocksOf(factors, width)) {
      const delta = gaussianElimination(subsystem(system, dimensions, x));
      for (const [at, k] of dimensions.entries()) x[k] = x[k]! + delta[at]!;
    }
    out.set(x, row * factors);
  }
  return out;
}

/**
 * How well a row was improved, whatever the condition of its system: the greatest backward error over its blocks,
 * ‖(A x − b)_π‖ / (‖A_π·‖_F ‖x‖ + ‖b_π‖) with x as it was once block π was solved. Later blocks still had their prior
 * then, so it can be told from the result.
 *
 * @param found the row, K numbers; @param prior where it started, K numbers; absent: zeros.
 * @param size  as in `backwardError`.
 */
export function subspaceBackwardError(
  system: DenseSystem,
  width: number,
  found: ArrayLike<number>,
  prior?: ArrayLike<number>,
  size: ArrayLike<number> = system.b,
): number {
  const factors = system.b.length;
  let worst = 0;
  for (const dimensions of blocksOf(factors, width)) {
    const end = dimensions.at(-1)! + 1;
    const x = Array.from({ length: factors }, (_, k) => (k < end ? found[k]! : (prior?.[k] ?? 0)));
    const rows = dimensions.flatMap((r) => [...system.a.subarray(r * factors, (r + 1) * factors)]);
    const part = { a: Float64Array.from(rows), b: Float64Array.from(dimensions, (r) => system.b[r]!) };
    const sizes = dimensions.map((r) => size[r]!);
    worst = Math.max(worst, backwardError(part, x, sizes));
  }
  return worst;
}

function blocksOf(factors: number, width: number): number[][] {
  const all = Array.from({ length: factors }, (_, k) => k);
  const blocks: number[][] = [];
  for (let start = 0; start < factors; start += width) blocks.push(all.slice(start, start + width));
  return blocks;
}

/** A_ππ δ = b_π − A_π· x. */
function subsystem({ a, b }: DenseSystem, dimensions: number[], x: number[]): DenseSystem {
  const factors = x.length;
  return {
    a: Float64Array.from(dimensions.flatMap((r) => dimensions.map((c) => a[r * factors + c]!))),
    b: Float64Array.from(dimensions, (r) =>
      x.reduce((left, xc, c) => left - a[r * factors + c]! * xc, b[r]!),
    ),
  };
}
