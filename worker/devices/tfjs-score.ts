// Scores of given pairs on a tfjs provider: the pairs of a query are the entries of its row.

import { NumericError, ShapeError } from '../../common/errors.js';
import { batchRows } from './tfjs-batches.js';
import { rowsNotFinite } from './tfjs-finite.js';
import type { TfjsScoreTask } from './tfjs-messages.js';
import { Panels } from './tfjs-panels.js';
import { runSteps, type TfjsContext } from './tfjs-step.js';
import type { TfjsTables } from './tfjs-tables.js';

/** Writes `task.out`. @throws {ShapeError | NumericError} naming the query. @throws {TfjsAborted} */
export async function tfjsScore({ tf, tables, limits }: TfjsContext, task: TfjsScoreTask): Promise<void> {
  const { queries, items, pairs, out } = task;
  const { factors } = items;
  checkInputs(task, tables);
  const source = tables.source(items);
  const rows = Array.from({ length: pairs.rows }, (_, row) => row);
  const batches = batchRows(pairs, rows, (width) => {
    return Math.min(limits.floats / (2 * width * factors), limits.flops / (2 * width * factors));
  });
  await runSteps(
    task.abort,
    batches,
    (batch) =>
      tf.tidy(() => {
        const panels = new Panels(tf, source, pairs, batch, 1, limits.floats);
        const own = new Float32Array(batch.rows.length * factors);
        for (const [b, row] of batch.rows.entries()) {
          own.set(queries.subarray(row * factors, (row + 1) * factors), b * factors);
        }
        const spread = panels.spread(tf.tensor2d(own, [batch.rows.length, factors]));
        return [panels.each(({ y }) => tf.matMul(y, spread))];
      }),
    (batch, [scores]) => {
      for (const [b, row] of batch.rows.entries()) {
        const from = pairs.ptr[row]!;
        const count = pairs.ptr[row + 1]! - from;
        const own = scores!.subarray(b * batch.width, b * batch.width + count);
        if (!own.every((score) => Number.isFinite(score))) throw notFinite(row);
        out.set(own, from);
      }
    },
  );
}

/** Beforehand: in a product of many rows a provider may let one row's NaN reach others. */
function checkInputs({ queries, pairs, items }: TfjsScoreTask, tables: TfjsTables): void {
  const badQueries = rowsNotFinite(queries, pairs.rows, items.factors);
  const badItems = tables.rowsNotFinite(items);
  for (let row = 0; row < pairs.rows; row++) {
    let isBad = pairs.ptr[row]! < pairs.ptr[row + 1]! && badQueries.has(row);
    for (let e = pairs.ptr[row]!; e < pairs.ptr[row + 1]!; e++) {
      const column = pairs.idx[e]!;
      if (column < 0 || column >= items.rows) throw badColumn(row, column, items.rows);
      isBad ||= badItems.size > 0 && badItems.has(column);
    }
    if (isBad) throw notFinite(row);
  }
}

function badColumn(row: number, column: number, itemCount: number): ShapeError {
  return new ShapeError(
    'STOA_SHAPE',
    `the pairs of query ${row} name item row ${column} where 0 to ${itemCount - 1} was expected`,
    { fields: { row, column } },
  );
}

function notFinite(row: number): NumericError {
  return new NumericError(
    'STOA_NUMERIC_NOT_FINITE',
    `a score of query row ${row} is not a finite f32; check its factors and those of its items`,
    { fields: { row } },
  );
}
