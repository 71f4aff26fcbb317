import type { SolverOptions } from '../device.js';
import { dualIsCheaper } from './cholesky.js';

/**
 * Floating-point operations that one row costs: what blocks are sized by.
 *
 * @param entries number of the row's interactions, n.
 * @param factors K.
 *
 * `cholesky`: n·K(K+1) + K³/3 + 4K², or for a short row its dual, n·K² + n²·K + n³/3 + 4nK;
 * `cg` with s steps: (s+1)(4nK + 2K²);
 * `ials++` with K/d blocks of d: for each a system of d as above, its n·d(d+1) + d³/3 or the dual of it, and
 * 4nd + 2dK + 4d² for its residual; a block of K or more is `cholesky`.
 */
export function rowWork(entries: number, factors: number, solver: SolverOptions): number {
  const n = entries;
  const k = factors;
  if (n === 0) return 1;
  switch (solver.name) {
    case 'cholesky':
      return systemWork(n, k);
    case 'cg':
      return (solver.cgSteps + 1) * (4 * n * k + 2 * k * k);
    case 'ials++':
      if (solver.block >= k) return systemWork(n, k);
      return (k / solver.block) * systemWork(n, solver.block) + 4 * n * k + 2 * k * k;
  }
}

/** Flops of one system of `k` unknowns made of `n` entries, its solution included. */
function systemWork(n: number, k: number): number {
  return dualIsCheaper(n, k)
    ? n * k * k + n * n * k + (n * n * n) / 3 + 4 * n * k + 2 * k * k
    : n * k * (k + 1) + (k * k * k) / 3 + 4 * k * k;
}
