// What went wrong in the addon, as errors that users know.

import { DeviceError, NumericError, ShapeError, type StoaError } from '../../common/errors.js';
import { type AddonAnswer, EIGENBASIS_FAILED, FAILURE } from '../../kernels/binding/addon.js';
import type { BlockTask } from '../../models/device.js';
import { explainRow, explainValue } from '../../models/ials/explain-row.js';
import type { RowSumsTask } from '../../models/ials/row-sums.js';

/** An exception of the addon: its code says which error it is. */
export function explainException(error: unknown): unknown {
  const { code, message } = error as { code?: string; message?: string };
  switch (code) {
    case 'STOA_SHAPE':
      return new ShapeError(code, message!, { cause: error });
    case 'STOA_NUMERIC_NOT_FINITE':
      return new NumericError(code, message!, { cause: error });
    case 'STOA_DEVICE':
      return new DeviceError(code, message!, { cause: error });
    default:
      return error;
  }
}

/** Why a block failed. @param fixed the rows of the fixed side. */
export function explainBlock(answer: AddonAnswer, task: BlockTask, fixed: () => Float32Array): StoaError {
  const { kind, row, detail } = answer;
  if (kind === FAILURE.memory) return outOfMemory();
  if (kind === FAILURE.value) return explainValue(task.block, detail);
  if (detail === EIGENBASIS_FAILED) {
    const message =
      'the eigenvalues of the Gram of the fixed side do not converge; raise ials.regularization';
    return new NumericError('STOA_NUMERIC_NOT_FINITE', message);
  }
  const { factors, rows: fixedRows } = task.fixed;
  const inputs = { block: task.block, fixed: fixed(), factors, fixedRows };
  const pivot = kind === FAILURE.pivot ? detail : undefined;
  const prior = task.solver.name === 'cholesky' ? undefined : task.prior;
  return explainRow(inputs, row, task.gram, prior, pivot);
}

/** Why rows were not summed. */
export function explainSums({ kind, row, detail }: AddonAnswer, { rows, fixed }: RowSumsTask): StoaError {
  switch (kind) {
    case FAILURE.memory:
      return outOfMemory();
    case FAILURE.value:
      return explainValue(rows, detail);
    case FAILURE.column:
      return new ShapeError(
        'STOA_SHAPE',
        `row ${row} has an entry of column ${rows.idx[detail]}, which is not among the ${fixed.rows} of the fixed side`,
        { fields: { row } },
      );
    default:
      return new NumericError(
        'STOA_NUMERIC_NOT_FINITE',
        `a sum over the entries of row ${row} is not finite`,
        {
          fields: { row },
        },
      );
  }
}

/** Why queries were not ranked or scored. */
export function explainRanking(answer: AddonAnswer, items: number): StoaError {
  const { kind, row } = answer;
  switch (kind) {
    case FAILURE.item:
      return notFinite(`item row ${row} has a factor that is not finite or too large for f32`, row);
    case FAILURE.notFinite:
      return notFinite(`query row ${row} has a factor that is not finite, or scores too large for f32`, row);
    case FAILURE.column:
      return new ShapeError(
        'STOA_SHAPE',
        `pairs of query row ${row} name an item that is not one of the ${items} there are`,
        {
          fields: { row },
        },
      );
    default:
      return outOfMemory();
  }
}

function notFinite(message: string, row: number): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `${message}; the model cannot be ranked`, {
    fields: { row },
  });
}

/** There was no memory for what a kernel needs beside its arguments. */
export function outOfMemory(): DeviceError {
  return new DeviceError(
    'STOA_DEVICE',
    'there is no memory left for the native device; use smaller blocks or fewer factors',
  );
}
