// What a task must be before anything is computed: lengths that agree, columns that exist, values that can be weights.

import { DeviceError, NumericError, ShapeError } from '../../../common/errors.js';
import type { Csr } from '../../../models/csr.js';
import type { BlockTask, ScoreTask, TopNTask } from '../../../models/device.js';
import { explainValue } from '../../../models/ials/explain-row.js';
import { entryWeight } from '../../../models/ials/objective.js';
import type { TableShape } from './device-table.js';

/** @throws {ShapeError | NumericError | DeviceError} as `ComputeDevice.solveBlock` says. */
export function checkBlockTask(task: BlockTask, { rows, factors }: TableShape): void {
  const { block, solver, prior } = task;
  if (solver.gather !== undefined && solver.gather !== 'f32') {
    throw new DeviceError(
      'STOA_DEVICE',
      `the webgpu device has no gather in "${solver.gather}"; choose f32`,
      { fields: { field: 'ials.gather' } },
    );
  }
  checkRows('block', block, rows, 'the block');
  expectLength('the Gram', task.gram.length, factors * factors);
  if (prior !== undefined) expectLength('the prior', prior.length, block.rows * factors);
  const { alpha0, alpha, regularization, nu } = task.objective;
  if (!Number.isFinite(alpha0 + alpha + regularization + nu)) {
    throw new NumericError('STOA_NUMERIC_NOT_FINITE', 'a setting of the objective is not a finite number');
  }
  checkValues(task);
}

/** @returns the number of queries. @throws {ShapeError} */
export function checkTopNTask(task: TopNTask, nMax: number): number {
  const count = queriesOf(task.queries, task.items.factors);
  if (!Number.isInteger(task.n) || task.n < 1 || task.n > nMax) {
    throw new ShapeError('STOA_SHAPE', `n is ${task.n} where 1 to ${nMax} was expected`);
  }
  if (task.exclude !== undefined && task.exclude.rows !== count) {
    throw new ShapeError('STOA_SHAPE', `exclude has ${task.exclude.rows} rows for ${count} queries`);
  }
  return count;
}

/** @returns the number of queries. @throws {ShapeError} */
export function checkScoreTask(task: ScoreTask): number {
  const count = queriesOf(task.queries, task.items.factors);
  expectLength('the rows of pairs', task.pairs.rows, count);
  checkRows('pairs', task.pairs, task.items.rows, 'the pairs');
  return count;
}

/** @throws {ShapeError} the rows are none of a table. */
export function checkRange(table: TableShape, rowStart: number, rowEnd: number): void {
  const isRange =
    Number.isInteger(rowStart) && Number.isInteger(rowEnd) && rowStart >= 0 && rowStart <= rowEnd;
  if (isRange && rowEnd <= table.rows) return;
  throw new ShapeError(
    'STOA_SHAPE',
    `rows ${rowStart} to ${rowEnd} are not a range of a table of ${table.rows} rows`,
    { fields: { rowStart, rowEnd, rows: table.rows } },
  );
}

function queriesOf(queries: Float32Array, factors: number): number {
  const count = queries.length / factors;
  if (Number.isInteger(count)) return count;
  throw new ShapeError('STOA_SHAPE', `${queries.length} numbers are not whole queries of ${factors} factors`);
}

/** Lengths, and that every column is a row of the table: a kernel must not read past its end. */
function checkRows(name: string, csr: Csr, tableRows: number, what: string): void {
  expectLength(`${name}.ptr`, csr.ptr.length, csr.rows + 1);
  const entries = csr.ptr[csr.rows]!;
  expectLength(`${name}.idx`, csr.idx.length, entries);
  if (csr.values !== undefined) expectLength(`${name}.values`, csr.values.length, entries);
  expectLength(`cols of ${what}`, csr.cols, tableRows);
  for (let e = 0; e < entries; e++) {
    const column = csr.idx[e]!;
    if (column >= 0 && column < tableRows) continue;
    let row = 0;
    while (csr.ptr[row + 1]! <= e) row++;
    throw new ShapeError(
      'STOA_SHAPE',
      `row ${row} of ${what} has column ${column} where 0 to ${tableRows - 1} was expected`,
      { fields: { row, column } },
    );
  }
}

function checkValues({ block, objective }: BlockTask): void {
  const { values } = block;
  if (values === undefined || objective.weights === 'binary') return;
  for (let e = 0; e < values.length; e++) {
    const weight = Math.fround(entryWeight(objective, values[e]!));
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) throw explainValue(block, e);
  }
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what} has length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
