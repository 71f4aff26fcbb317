import { NumericError } from '../../../common/errors.js';
import type { BlockTask } from '../../../models/device.js';
import type { DeviceTable } from './device-table.js';
import { notFiniteAt } from './not-finite.js';

/** Rows of the table that are read back at a time. */
const ROWS_AT_ONCE = 4096;

/**
 * Says why a row could not be solved, by looking at its inputs one after the other.
 *
 * @param row   of the block; it is named in the message and in `fields.row`.
 * @param pivot the pivot that was not positive, where one was met.
 */
export async function explainRow(
  table: DeviceTable,
  task: BlockTask,
  row: number,
  pivot: number | undefined,
): Promise<NumericError> {
  const { factors } = table;
  const bad = await badFactor(table, task, row);
  if (bad !== undefined) {
    return notFinite(row, `factor ${bad.factor} of row ${bad.column} of the fixed side is not finite`);
  }
  if (task.gram.some((value) => !Number.isFinite(value))) {
    return notFinite(row, 'the Gram of the fixed side holds a number that is not finite');
  }
  if (task.prior !== undefined && notFiniteAt(task.prior.subarray(row * factors, (row + 1) * factors)) >= 0) {
    return notFinite(row, 'its prior factors hold a number that is not finite');
  }
  if (pivot === undefined) {
    return notFinite(
      row,
      'its solution is too large for f32; raise ials.regularization, or scale the values',
    );
  }
  return new NumericError(
    'STOA_NUMERIC_PIVOT',
    `row ${row} of the block: its system is not positive definite in f32 at pivot ${pivot}; raise ials.regularization, or take a device that computes in f64`,
    { fields: { row, pivot } },
  );
}

async function badFactor(
  table: DeviceTable,
  { block }: BlockTask,
  row: number,
): Promise<{ column: number; factor: number } | undefined> {
  const columns = block.idx.subarray(block.ptr[row]!, block.ptr[row + 1]!);
  let next = 0;
  while (next < columns.length) {
    const start = columns[next]!;
    const end = Math.min(start + ROWS_AT_ONCE, table.rows);
    const rows = await table.read(start, end);
    for (; next < columns.length && columns[next]! < end; next++) {
      const at = (columns[next]! - start) * table.factors;
      const factor = notFiniteAt(rows.subarray(at, at + table.factors));
      if (factor >= 0) return { column: columns[next]!, factor };
    }
  }
  return undefined;
}

function notFinite(row: number, why: string): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `row ${row} of the block cannot be solved: ${why}`, {
    fields: { row },
  });
}
