import { DeviceError, NumericError, ShapeError } from '../../common/errors.js';
import type { Csr } from '../csr.js';
import type { BlockLoss, BlockResult, IalsObjective, SolverName, SolverOptions } from '../device.js';
import { packedGramOf } from '../gram.js';
import { solveRowByCholesky } from './cholesky.js';
import { solveRowByConjugateGradients } from './conjugate-gradients.js';
import { explainRow } from './explain-row.js';
import { entryLoss } from './loss.js';
import { rowPenalty } from './objective.js';
import { readsPrior } from './reads-prior.js';
import { entryWeights, type RowSystems, targetShift } from './row-systems.js';
import { SolveWorkspace } from './solve-workspace.js';
import { solveRowBySubspaces } from './subspace.js';

/** Solvers of this code, and so of the portable device. */
export const PORTABLE_SOLVERS: ReadonlySet<SolverName> = new Set(['cholesky', 'cg', 'ials++']);

export interface SolveBlockInput {
  /** The block's rows; columns are rows of `fixed`. */
  block: Csr;
  /** The other side's factors Y: f32 [fixedRows, factors], row-major. */
  fixed: Float32Array;
  fixedRows: number;
  /** K. */
  factors: number;
  /** G = YᵀY: f64 [K, K], symmetric, both triangles filled. */
  gram: Float64Array;
  /** Where `cg` and `ials++` start: [block.rows, K]. Absent: zeros. Others do not read it: see `readsPrior`. */
  prior?: Float32Array;
  objective: IalsObjective;
  solver: SolverOptions;
  wantLoss: boolean;
  /** Polled at least once a row and once in a few million flops; true makes the call throw `SolveAborted`. */
  isAborted?: () => boolean;
  /** Scratch to use again from block to block. @default made for this call */
  workspace?: SolveWorkspace;
  /** Where to write the rows: [block.rows, K]. @default a new array */
  out?: Float32Array;
  /** Where to write their packed Gram. @default a new array */
  outGram?: Float64Array;
}

/** The caller's `isAborted` answered true; `out` holds rows solved so far. */
export class SolveAborted extends Error {}

/**
 * Solves the rows of one block, holding the other side fixed; `objective.ts` has the equations.
 *
 * f32 tables in and out, f64 inside. A row's bits depend on that row, the fixed side, its Gram and the options only:
 * not on the block it is in, nor on what was solved before. A row without entries is exactly zero.
 *
 * @throws {ShapeError} a length disagrees, or a column is not a row of `fixed`.
 * @throws {NumericError} `STOA_NUMERIC_PIVOT`: a row's system is not positive definite. `STOA_NUMERIC_NOT_FINITE`: an
 *   input or a result is not a finite f32. Both name the row, counted from the start of the block (`fields.row`).
 * @throws {DeviceError} the solver, or its gather, is not one that this code has.
 * @throws {SolveAborted}
 *
 * Cost: `rowWork` of every row, and rows · K(K+1) flops for their Gram.
 */
export function solveBlock(input: SolveBlockInput): Omit<BlockResult, 'ms'> {
  checkInput(input);
  const { block, factors, objective } = input;
  const workspace = input.workspace ?? new SolveWorkspace();
  workspace.prepare(factors, input.gram, objective);
  const rows = input.out ?? new Float32Array(block.rows * factors);
  const systems: RowSystems = {
    block,
    fixed: input.fixed,
    fixedRows: input.fixedRows,
    factors,
    objective,
    weights: entryWeights(objective, block),
    targetShift: targetShift(objective),
    workspace,
    checkAborted: () => {
      if (input.isAborted?.() === true) throw new SolveAborted('the block was aborted');
    },
  };
  for (let row = 0; row < block.rows; row++) {
    systems.checkAborted();
    solveRow(input, systems, row, rows);
  }
  const loss = input.wantLoss ? blockLoss(systems, rows) : undefined;
  return { rows, gram: packedGramOf(rows, block.rows, factors, input.outGram), loss };
}

function solveRow(input: SolveBlockInput, systems: RowSystems, row: number, out: Float32Array): void {
  const { block, factors, workspace } = systems;
  const at = row * factors;
  if (block.ptr[row] === block.ptr[row + 1]) {
    out.fill(0, at, at + factors);
    return;
  }
  const { solver } = input;
  const prior = readsPrior(solver, factors) ? input.prior : undefined;
  if (solver.name === 'cg') {
    const isSolved = solveRowByConjugateGradients(systems, row, solver.cgSteps, prior, at);
    if (!isSolved) throw explainRow(systems, row, input.gram, prior);
  } else {
    const pivot =
      solver.name === 'ials++' && solver.block < factors
        ? solveRowBySubspaces(systems, row, solver.block, prior, at)
        : solveRowByCholesky(systems, row);
    if (pivot >= 0) throw explainRow(systems, row, input.gram, prior, pivot);
  }
  for (let k = 0; k < factors; k++) {
    const value = Math.fround(workspace.solution[k]!);
    if (value - value !== 0) throw explainRow(systems, row, input.gram, prior);
    out[at + k] = value;
  }
}

/** The rows' own terms of the loss, of the factors as they are stored. */
function blockLoss(systems: RowSystems, rows: Float32Array): BlockLoss {
  const { block, fixed, factors, objective, fixedRows } = systems;
  let observed = 0;
  let penalty = 0;
  for (let row = 0; row < block.rows; row++) {
    const from = block.ptr[row]!;
    const to = block.ptr[row + 1]!;
    const at = row * factors;
    for (let e = from; e < to; e++) {
      const o = block.idx[e]! * factors;
      observed += entryLoss(objective, block.values?.[e] ?? 1, product(rows, at, fixed, o, factors));
    }
    let square = 0;
    for (let k = 0; k < factors; k++) square += rows[at + k]! * rows[at + k]!;
    if (square > 0) penalty += rowPenalty(objective, to - from, fixedRows) * square;
  }
  return { observed, penalty };
}

/** Inner product of two f32 rows, by four sums in f64. */
function product(a: Float32Array, aAt: number, b: Float32Array, bAt: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = 0;
  for (; k + 3 < length; k += 4) {
    s0 += a[aAt + k]! * b[bAt + k]!;
    s1 += a[aAt + k + 1]! * b[bAt + k + 1]!;
    s2 += a[aAt + k + 2]! * b[bAt + k + 2]!;
    s3 += a[aAt + k + 3]! * b[bAt + k + 3]!;
  }
  for (; k < length; k++) s0 += a[aAt + k]! * b[bAt + k]!;
  return s0 + s1 + (s2 + s3);
}

function checkInput(input: SolveBlockInput): void {
  const { block, factors, solver } = input;
  if (!PORTABLE_SOLVERS.has(solver.name)) {
    throw new DeviceError(
      'STOA_DEVICE',
      `the portable device has no solver "${solver.name}"; choose ${[...PORTABLE_SOLVERS].join(', ')}`,
      { fields: { field: 'ials.solver' } },
    );
  }
  if (solver.gather !== undefined && solver.gather !== 'f32') {
    throw new DeviceError('STOA_DEVICE', `the portable device has no gather "${solver.gather}"; choose f32`, {
      fields: { field: 'ials.gather' },
    });
  }
  if (solver.name === 'ials++' && !(Number.isInteger(solver.block) && solver.block >= 1)) {
    throw new ShapeError(
      'STOA_SHAPE',
      `a block of ${solver.block} dimensions is none: a whole number of at least 1 was expected`,
      { fields: { field: 'ials.block' } },
    );
  }
  expectLength('block.ptr', block.ptr.length, block.rows + 1);
  const entries = block.ptr[block.rows]!;
  expectLength('block.idx', block.idx.length, entries);
  if (block.values !== undefined) expectLength('block.values', block.values.length, entries);
  expectLength('cols of the block', block.cols, input.fixedRows);
  expectLength('the fixed factors', input.fixed.length, input.fixedRows * factors);
  expectLength('the Gram', input.gram.length, factors * factors);
  if (input.prior !== undefined) expectLength('the prior', input.prior.length, block.rows * factors);
  if (input.out !== undefined) expectLength('the output', input.out.length, block.rows * factors);
  const { alpha0, alpha, regularization, nu } = input.objective;
  if (!Number.isFinite(alpha0 + alpha + regularization + nu)) {
    throw new NumericError('STOA_NUMERIC_NOT_FINITE', 'a setting of the objective is not a finite number');
  }
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what} has length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
