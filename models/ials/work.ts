import type { SolverOptions } from '../device.js';
import { dualIsCheaper } from './cholesky.js';

/**
 * Floating-point operations that one row costs: what blocks are sized by.
 *
 * @param entries number of the row's interactions, n.
 * @param factors K.
 *
 * `cholesky`: n·K(K+1) + K³/3 + 4K², or for a short row its dual, n·K² + n²·K + n³/3 + 4nK;
 * `cg` with s steps: (s+1)(4nK + 2K²); `ials++` with blocks of d: n·K(d+4) + K(K + d²/3).
 */
export function rowWork(entries: number, factors: number, solver: SolverOptions): number {
  const n = entries;
  const k = factors;
  if (n === 0) return 1;
  switch (solver.name) {
    case 'cholesky':
      return dualIsCheaper(n, k)
        ? n * k * k + n * n * k + (n * n * n) / 3 + 4 * n * k + 2 * k * k
        : n * k * (k + 1) + (k * k * k) / 3 + 4 * k * k;
    case 'cg':
      return (solver.cgSteps + 1) * (4 * n * k + 2 * k * k);
    case 'ials++':
      return n * k * (solver.block + 4) + k * (k + (solver.block * solver.block) / 3);
  }
}
