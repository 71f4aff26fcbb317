import type { SolverOptions } from '../device.js';

/** Whether a solver starts from a row's earlier factors; an exact one does not read them. @param factors K. */
export function readsPrior(solver: SolverOptions, factors: number): boolean {
  return solver.name === 'cg' || (solver.name === 'ials++' && solver.block < factors);
}
