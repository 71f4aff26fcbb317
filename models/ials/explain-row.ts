import { NumericError, ShapeError, type StoaError } from '../../common/errors.js';
import type { Csr } from '../csr.js';
import type { RowSystems } from './row-systems.js';

/** What of a row's system is looked at. */
export type RowInputs = Pick<RowSystems, 'block' | 'fixed' | 'factors' | 'fixedRows'>;

/**
 * Says why a row could not be solved, by looking at its inputs one after the other. Called only when a row has failed:
 * the solvers themselves check results, which costs less than checking every number that enters.
 *
 * @param row   of the block; it is named in the message and in `fields.row`.
 * @param pivot the pivot that was not positive, where one was met.
 */
export function explainRow(
  systems: RowInputs,
  row: number,
  gram: Float64Array,
  prior: Float32Array | undefined,
  pivot?: number,
): StoaError {
  const { factors } = systems;
  const badInput = explainEntries(systems, row);
  if (badInput !== undefined) return badInput;
  if (gram.some((value) => !Number.isFinite(value))) {
    return notFinite(row, 'the Gram of the fixed side holds a number that is not finite');
  }
  if (prior?.subarray(row * factors, (row + 1) * factors).some((value) => !Number.isFinite(value)) === true) {
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
    `row ${row} of the block: its system is not positive definite at pivot ${pivot}; raise ials.regularization`,
    { fields: { row, pivot } },
  );
}

function explainEntries(systems: RowInputs, row: number): StoaError | undefined {
  const { block, fixed, factors, fixedRows } = systems;
  for (let e = block.ptr[row]!; e < block.ptr[row + 1]!; e++) {
    const column = block.idx[e]!;
    if (column < 0 || column >= fixedRows) {
      return new ShapeError(
        'STOA_SHAPE',
        `row ${row} of the block has column ${column} where 0 to ${fixedRows - 1} was expected`,
        { fields: { row, column } },
      );
    }
    for (let k = 0; k < factors; k++) {
      if (!Number.isFinite(fixed[column * factors + k])) {
        return notFinite(row, `factor ${k} of row ${column} of the fixed side is not finite`);
      }
    }
  }
  return undefined;
}

/** The error for entry `entry` of a block, whose value is not a finite number >= 0. */
export function explainValue(block: Csr, entry: number): StoaError {
  let row = 0;
  while (block.ptr[row + 1]! <= entry) row++;
  const found = block.values?.[entry] ?? 1;
  return notFinite(
    row,
    `the value of column ${block.idx[entry]} is ${found} where a finite number >= 0 was expected`,
  );
}

function notFinite(row: number, why: string): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `row ${row} of the block cannot be solved: ${why}`, {
    fields: { row },
  });
}
