// A block task on a tfjs provider: batches of rows of like length, each solved by one step of tensor operations.

import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { NumericError, ShapeError } from '../../common/errors.js';
import type { BlockLoss } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { entryWeight, gramScale, rowPenalty } from '../../models/ials/objective.js';
import { entryWeights, targetShift } from '../../models/ials/row-systems.js';
import { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { batchRows, paddedWidth, type RowBatch } from './tfjs-batches.js';
import { tfjsConjugateGradients } from './tfjs-conjugate-gradients.js';
import { tfjsSolveDual, tfjsSolvePrimal } from './tfjs-exact.js';
import { isFinite32, rowsNotFinite } from './tfjs-finite.js';
import { hostBlockLoss, solveHostRow } from './tfjs-host-rows.js';
import type { TfjsSolveTask } from './tfjs-messages.js';
import { Panels } from './tfjs-panels.js';
import { RowScales } from './tfjs-row-scales.js';
import { pivotMin } from './tfjs-spd-solve.js';
import { runSteps, type TfjsContext } from './tfjs-step.js';
import { tfjsSubspacePass } from './tfjs-subspace.js';
import type { GramBasis } from './tfjs-tables.js';

/** Rows of the result whose Gram is summed by one product in f32; the products are added in f64. */
const GRAM_ROWS = 256;

/** Weights below this have no square root to divide by in f32. */
const DUAL_WEIGHT_MIN = 1e-30;

/** Floats of a step that factorises, against one that does not. */
const FACTORISED_ROOM = 4;

/** How a batch's rows are solved. */
type Form = 'cg' | 'primal' | 'dual' | 'subspace';

interface Step extends RowBatch {
  readonly form: Form;
}

/**
 * Solves the block: writes `task.out` and `task.outGram`.
 *
 * @throws {NumericError | ShapeError} naming the row. @throws {TfjsAborted}
 */
export async function tfjsSolve(context: TfjsContext, task: TfjsSolveTask): Promise<BlockLoss | undefined> {
  const { block, out, fixed, objective } = task;
  checkNumbers(context, task);
  const weights =
    block.values === undefined || objective.weights === 'binary'
      ? entryWeight(objective, 1)
      : entryWeights(objective, block);
  const solve = new BlockSolve(context, task, weights);
  const lost: number[] = [];
  out.fill(0);
  await runSteps(
    task.abort,
    solve.steps(),
    (step) => solve.launch(step),
    (step, [x, pivots]) => solve.finish(step, x!, pivots, lost),
  );
  const workspace = new SolveWorkspace();
  for (const row of lost.sort((a, b) => a - b)) solveHostRow(task, row, out, workspace);
  await gramOf(context, task);
  return task.wantLoss ? hostBlockLoss(block, out, fixed, objective) : undefined;
}

class BlockSolve {
  readonly #context: TfjsContext;
  readonly #task: TfjsSolveTask;
  readonly #weights: Float64Array | number;
  readonly #shift: number;
  readonly #factors: number;
  /** Where rows are solved in the Gram's eigenbasis. */
  readonly #basis: GramBasis | undefined;
  readonly #scales: RowScales | undefined;

  constructor(context: TfjsContext, task: TfjsSolveTask, weights: Float64Array | number) {
    const { solver, fixed, objective } = task;
    this.#context = context;
    this.#task = task;
    this.#weights = weights;
    this.#shift = targetShift(objective);
    this.#factors = fixed.factors;
    if (solver.name === 'ials++' && solver.block < fixed.factors) return;
    this.#basis = context.tables.basisOf(task.gram, fixed.factors);
    this.#scales = new RowScales(objective, fixed.rows, this.#basis.values);
  }

  steps(): Step[] {
    const { block } = this.#task;
    const rows: Record<Form, number[]> = { cg: [], primal: [], dual: [], subspace: [] };
    for (let row = 0; row < block.rows; row++) rows[this.#formOf(row)].push(row);
    return (Object.keys(rows) as Form[]).flatMap((form) =>
      batchRows(block, rows[form], (width) => this.#rowsPerStep(form, width)).map((batch) => ({
        ...batch,
        form,
      })),
    );
  }

  /** Computes a step: the rows, [B, K], and their least pivots where there are pivots. */
  launch(step: Step): Tensor[] {
    const { tf } = this.#context;
    return tf.tidy(() => {
      if (step.form === 'subspace') return this.#subspace(step);
      const rotation = this.#basis!.rotation;
      const { x, pivots } =
        step.form === 'cg' ? { x: this.#gradients(step), pivots: undefined } : this.#exact(step);
      const rows = tf.matMul(x, rotation, false, true);
      return pivots === undefined ? [rows] : [rows, pivots];
    });
  }

  /** Puts a step's rows in their places, and notes those that f32 has lost. */
  finish(step: Step, x: Float32Array, pivots: Float32Array | undefined, lost: number[]): void {
    const k = this.#factors;
    const least = pivotMin(this.#order(step.form, step.width));
    for (let b = 0; b < step.rows.length; b++) {
      const row = step.rows[b]!;
      const solved = x.subarray(b * k, (b + 1) * k);
      const isLost = (pivots !== undefined && !(pivots[b]! > least)) || !isFinite32(solved);
      if (isLost) lost.push(row);
      else this.#task.out.set(solved, row * k);
    }
  }

  #gradients(step: Step): Tensor2D {
    const { tf } = this.#context;
    const lengths = this.#lengths(step);
    const prior = this.#prior(step);
    const systems = {
      panels: this.#panels(step),
      diagonal: this.#scales!.diagonals(tf, lengths),
      root: this.#scales!.roots(tf, lengths),
      targetShift: this.#shift,
    };
    const start = prior === undefined ? undefined : tf.matMul<Tensor2D>(prior, this.#basis!.rotation);
    return tfjsConjugateGradients(tf, systems, this.#task.solver.cgSteps, start);
  }

  #exact(step: Step): { x: Tensor2D; pivots: Tensor2D } {
    const { tf } = this.#context;
    const lengths = this.#lengths(step);
    const systems = {
      panels: this.#panels(step),
      scale: this.#scales!.scales(tf, lengths),
      unit: this.#scales!.units(tf, lengths),
      targetShift: this.#shift,
    };
    return step.form === 'dual' ? tfjsSolveDual(tf, systems) : tfjsSolvePrimal(tf, systems);
  }

  #subspace(step: Step): Tensor[] {
    const { tf } = this.#context;
    const { gram, objective, fixed, solver } = this.#task;
    const k = this.#factors;
    const penalties = Float32Array.from(this.#lengths(step), (n) => rowPenalty(objective, n, fixed.rows));
    const scaled = Float32Array.from(gram, (value) => gramScale(objective) * value);
    const systems = {
      panels: this.#panels(step),
      gram: tf.tensor2d(scaled, [k, k]),
      penalties: tf.tensor2d(penalties, [step.rows.length, 1]),
      targetShift: this.#shift,
    };
    const prior = this.#prior(step) ?? (tf.zeros([step.rows.length, k]) as Tensor2D);
    const { x, pivots } = tfjsSubspacePass(tf, systems, solver.block, prior);
    return [x, pivots];
  }

  #panels(step: Step): Panels {
    const { tf, tables, limits } = this.#context;
    const { block, fixed } = this.#task;
    const source = this.#basis === undefined ? tables.source(fixed) : tables.rotated(fixed, this.#basis);
    return new Panels(tf, source, block, step, this.#weights, limits.floats);
  }

  #prior(step: Step): Tensor2D | undefined {
    const { prior } = this.#task;
    if (prior === undefined) return undefined;
    const k = this.#factors;
    const rows = new Float32Array(step.rows.length * k);
    for (const [b, row] of step.rows.entries()) rows.set(prior.subarray(row * k, (row + 1) * k), b * k);
    return this.#context.tf.tensor2d(rows, [step.rows.length, k]);
  }

  #lengths({ rows }: Step): Int32Array {
    const { ptr } = this.#task.block;
    return rows.map((row) => ptr[row + 1]! - ptr[row]!);
  }

  #formOf(row: number): Form {
    const { block, solver } = this.#task;
    if (this.#scales === undefined) return 'subspace';
    if (solver.name === 'cg') return 'cg';
    const [from, to] = [block.ptr[row]!, block.ptr[row + 1]!];
    if (from === to) return 'primal';
    const isShort = paddedWidth(to - from) <= this.#factors;
    return isShort && this.#scales.isPositive(to - from) && this.#haveRoots(from, to) ? 'dual' : 'primal';
  }

  #haveRoots(from: number, to: number): boolean {
    if (typeof this.#weights === 'number') return this.#weights > DUAL_WEIGHT_MIN;
    return this.#weights.subarray(from, to).every((weight) => weight > DUAL_WEIGHT_MIN);
  }

  /** Order of the systems of a form. */
  #order(form: Form, width: number): number {
    if (form === 'dual') return width;
    return form === 'subspace' ? this.#task.solver.block : this.#factors;
  }

  #rowsPerStep(form: Form, width: number): number {
    const { floats, flops } = this.#context.limits;
    const k = this.#factors;
    const s = this.#order(form, width);
    const sweeps = this.#task.solver.cgSteps + 1;
    const rowFlops = form === 'cg' ? sweeps * 4 * width * k : 2 * width * k * (s + k) + s * s * s;
    const rowFloats = 3 * width * k + (form === 'cg' ? 0 : 4 * s * s);
    // A factorisation is hundreds of operations: more rows at a time bear its fixed cost better than fewer in the cache.
    const room = form === 'cg' ? floats : FACTORISED_ROOM * floats;
    return Math.min(room / rowFloats, flops / rowFlops);
  }
}

/** The Gram of the block's rows: products of a few hundred rows in f32, added in f64. */
async function gramOf({ tf, limits }: TfjsContext, task: TfjsSolveTask): Promise<void> {
  const { factors } = task.fixed;
  const { out, outGram, abort } = task;
  outGram.fill(0, 0, packedGramLength(factors));
  const perStep = Math.max(1, Math.floor(limits.flops / (2 * GRAM_ROWS * factors * factors)));
  const fitting = Math.max(1, Math.floor(limits.floats / (GRAM_ROWS * factors + factors * factors)));
  const stepFloats = Math.min(perStep, fitting) * GRAM_ROWS * factors;
  const starts: number[] = [];
  for (let start = 0; start < out.length; start += stepFloats) starts.push(start);
  await runSteps(
    abort,
    starts,
    (start) =>
      tf.tidy(() => {
        const part = out.subarray(start, Math.min(start + stepFloats, out.length));
        const chunks = Math.ceil(part.length / (GRAM_ROWS * factors));
        const padded = new Float32Array(chunks * GRAM_ROWS * factors);
        padded.set(part);
        const rows = tf.tensor3d(padded, [chunks, GRAM_ROWS, factors]);
        return [tf.matMul(rows, rows, true, false)];
      }),
    (_, [products]) => {
      for (let start = 0; start < products!.length; start += factors * factors) {
        for (let r = 0, at = 0; r < factors; r++) {
          for (let c = 0; c <= r; c++, at++) outGram[at] = outGram[at]! + products![start + r * factors + c]!;
        }
      }
    },
  );
}

/**
 * Looks at everything that enters for numbers that are not finite and columns that do not exist: a provider may turn
 * both into ordinary numbers.
 */
function checkNumbers({ tables }: TfjsContext, task: TfjsSolveTask): void {
  const { block, fixed, gram, solver } = task;
  const prior = solver.name === 'cholesky' ? undefined : task.prior;
  const { factors } = fixed;
  const { alpha0, alpha, regularization, nu } = task.objective;
  if (!Number.isFinite(alpha0 + alpha + regularization + nu)) {
    throw new NumericError('STOA_NUMERIC_NOT_FINITE', 'a setting of the objective is not a finite number');
  }
  const badRows = tables.rowsNotFinite(fixed);
  const isGramFinite = gram.every((value) => Number.isFinite(value));
  const badPriors = prior === undefined ? EMPTY : rowsNotFinite(prior, block.rows, factors);
  for (let row = 0; row < block.rows; row++) {
    const from = block.ptr[row]!;
    const to = block.ptr[row + 1]!;
    if (from === to) continue;
    let isBad = !isGramFinite || badPriors.has(row);
    for (let e = from; e < to; e++) {
      const column = block.idx[e]!;
      if (column < 0 || column >= fixed.rows) throw badColumn(row, column, fixed.rows);
      if (badRows.size > 0 && badRows.has(column)) isBad = true;
    }
    if (isBad) solveHostRow(task, row, new Float32Array((row + 1) * factors), new SolveWorkspace());
  }
}

const EMPTY: ReadonlySet<number> = new Set();

function badColumn(row: number, column: number, rows: number): ShapeError {
  return new ShapeError(
    'STOA_SHAPE',
    `row ${row} of the block has column ${column} where 0 to ${rows - 1} was expected`,
    { fields: { row, column } },
  );
}
