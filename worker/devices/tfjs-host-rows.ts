// The rows that f32 cannot solve, and the sums that need more digits than it has: in f64, on the host.

import { StoaError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import { csrSlice } from '../../models/csr.js';
import type { BlockLoss, IalsObjective } from '../../models/device.js';
import { entryLoss } from '../../models/ials/loss.js';
import { rowPenalty } from '../../models/ials/objective.js';
import { solveBlock } from '../../models/ials/solve-block.js';
import type { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import type { TfjsSolveTask } from './tfjs-messages.js';

/**
 * Solves one row with the portable kernels: for a row that f32 has lost, and to say what is wrong with one that has no
 * solution.
 *
 * @param out written: the row, in its place of [rows, K].
 * @throws {NumericError | ShapeError} as `solveBlock`, naming the row.
 */
export function solveHostRow(
  task: TfjsSolveTask,
  row: number,
  out: Float32Array,
  workspace: SolveWorkspace,
): void {
  const { factors } = task.fixed;
  const single = (block: Csr, prior: Float32Array | undefined) =>
    solveBlock({
      block,
      fixed: task.fixed.data,
      fixedRows: task.fixed.rows,
      factors,
      gram: task.gram,
      prior,
      objective: task.objective,
      solver: task.solver,
      wantLoss: false,
      workspace,
    }).rows;
  const at = row * factors;
  try {
    const { rows } = {
      rows: single(csrSlice(task.block, row, row + 1), task.prior?.subarray(at, at + factors)),
    };
    out.set(rows, at);
  } catch (error) {
    if (error instanceof StoaError)
      single(rowInPlace(task.block, row), task.prior?.subarray(0, at + factors));
    throw error;
  }
}

/** The row in a block whose other rows are empty, so that it is named by its own number. */
function rowInPlace(block: Csr, row: number): Csr {
  const alone = csrSlice(block, row, row + 1);
  const ptr = new Int32Array(row + 2);
  ptr[row + 1] = alone.ptr[1]!;
  return { ...alone, rows: row + 1, ptr };
}

/**
 * The block's own terms of the loss, of the rows as they are stored. In f64: an interaction that is fitted well adds
 * (1 − x·y)², of which f32 keeps few digits.
 */
export function hostBlockLoss(
  block: Csr,
  rows: Float32Array,
  fixed: { readonly data: Float32Array; readonly rows: number; readonly factors: number },
  objective: IalsObjective,
): BlockLoss {
  const { factors, data } = fixed;
  let observed = 0;
  let penalty = 0;
  for (let row = 0; row < block.rows; row++) {
    const from = block.ptr[row]!;
    const to = block.ptr[row + 1]!;
    const at = row * factors;
    for (let e = from; e < to; e++) {
      const o = block.idx[e]! * factors;
      let score = 0;
      for (let k = 0; k < factors; k++) score += rows[at + k]! * data[o + k]!;
      observed += entryLoss(objective, block.values?.[e] ?? 1, score);
    }
    let square = 0;
    for (let k = 0; k < factors; k++) square += rows[at + k]! * rows[at + k]!;
    if (square > 0) penalty += rowPenalty(objective, to - from, fixed.rows) * square;
  }
  return { observed, penalty };
}
