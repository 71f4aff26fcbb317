import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';
import { solveBlock } from './solve-block.js';
import type { SolveWorkspace } from './solve-workspace.js';

/**
 * Solves the factors of rows that were not trained, from their histories, holding the items fixed: exactly what a
 * training phase would give them.
 *
 * @param o `histories`: one row for each learner, columns are rows of `items`; `items` f32 [itemCount, factors];
 *          `gram` = YᵀY of the items, f64 [K, K]; `workspace` is worth keeping between calls on the same items.
 * @returns f32 [histories.rows, factors]; a row without history is zero.
 * @throws as `solveBlock`.
 */
export function foldIn(o: {
  histories: Csr;
  items: Float32Array;
  itemCount: number;
  factors: number;
  gram: Float64Array;
  objective: IalsObjective;
  workspace?: SolveWorkspace;
}): Float32Array {
  return solveBlock({
    block: o.histories,
    fixed: o.items,
    fixedRows: o.itemCount,
    factors: o.factors,
    gram: o.gram,
    objective: o.objective,
    solver: { name: 'cholesky', cgSteps: 1, block: 1 },
    wantLoss: false,
    workspace: o.workspace,
  }).rows;
}
