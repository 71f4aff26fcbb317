// Lengths that must agree before a task of a tfjs device goes to its thread.

import { DeviceError, ShapeError } from '../../common/errors.js';
import type { BlockTask, FactorTable, ScoreTask, TopNTask } from '../../models/device.js';

const SOLVERS: readonly string[] = ['cholesky', 'cg', 'ials++'];

export function checkRange(table: FactorTable, rowStart: number, rowEnd: number): void {
  const isRange =
    Number.isInteger(rowStart) && Number.isInteger(rowEnd) && rowStart >= 0 && rowStart <= rowEnd;
  if (isRange && rowEnd <= table.rows) return;
  throw new ShapeError(
    'STOA_SHAPE',
    `rows ${rowStart} to ${rowEnd} are not a range of a table of ${table.rows} rows`,
    { fields: { rowStart, rowEnd, rows: table.rows } },
  );
}

export function checkBlock({ block, fixed, gram, prior, solver }: BlockTask): void {
  const { factors } = fixed;
  if (!SOLVERS.includes(solver.name)) {
    throw new DeviceError('STOA_DEVICE', `the tfjs device has no solver "${solver.name}"`, {
      fields: { field: 'ials.solver' },
    });
  }
  if (solver.gather !== undefined && solver.gather !== 'f32') {
    throw new DeviceError('STOA_DEVICE', `the tfjs device has no gather "${solver.gather}"; choose f32`, {
      fields: { field: 'ials.gather' },
    });
  }
  if (solver.name === 'ials++' && !(Number.isInteger(solver.block) && solver.block >= 1)) {
    throw new ShapeError('STOA_SHAPE', `a block of ${solver.block} factors is none; at least 1 was expected`);
  }
  expectLength('block.ptr', block.ptr.length, block.rows + 1);
  const entries = block.ptr[block.rows]!;
  expectLength('block.idx', block.idx.length, entries);
  if (block.values !== undefined) expectLength('block.values', block.values.length, entries);
  expectLength('cols of the block', block.cols, fixed.rows);
  expectLength('the Gram', gram.length, factors * factors);
  if (prior !== undefined) expectLength('the prior', prior.length, block.rows * factors);
}

/** @returns the number of queries. */
export function checkTopN(task: TopNTask, topNMax: number): number {
  const count = wholeQueries(task.queries, task.items);
  if (!Number.isInteger(task.n) || task.n < 1 || task.n > topNMax) {
    throw new ShapeError('STOA_SHAPE', `n is ${task.n} where 1 to ${topNMax} was expected`);
  }
  if (task.exclude !== undefined && task.exclude.rows !== count) {
    throw new ShapeError('STOA_SHAPE', `exclude has ${task.exclude.rows} rows for ${count} queries`);
  }
  return count;
}

export function checkScore({ queries, items, pairs }: ScoreTask): void {
  const count = wholeQueries(queries, items);
  expectLength('rows of the pairs', pairs.rows, count);
  expectLength('cols of the pairs', pairs.cols, items.rows);
  expectLength('pairs.ptr', pairs.ptr.length, pairs.rows + 1);
  expectLength('pairs.idx', pairs.idx.length, pairs.ptr[pairs.rows]!);
}

function wholeQueries(queries: Float32Array, items: FactorTable): number {
  const count = queries.length / items.factors;
  if (Number.isInteger(count)) return count;
  throw new ShapeError(
    'STOA_SHAPE',
    `${queries.length} numbers are not whole queries of ${items.factors} factors`,
  );
}

function expectLength(what: string, found: number, expected: number): void {
  if (found === expected) return;
  throw new ShapeError('STOA_SHAPE', `${what} has length ${found} where ${expected} was expected`, {
    fields: { found, expected },
  });
}
