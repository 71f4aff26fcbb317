import { DeviceError } from '../../../common/errors.js';
import { chunksOf } from './entry-chunks.js';

/** Consecutive rows that are computed by one submit. */
export interface RowBatch {
  readonly rowStart: number;
  readonly rowEnd: number;
  /** Rows that have entries. */
  readonly rows: number;
  readonly chunks: number;
  readonly operations: number;
}

export interface BatchLimits {
  readonly entriesMax: number;
  readonly chunksMax: number;
  readonly rowsMax: number;
}

/**
 * The batch that begins at `rowStart`: as many rows as `operations` and the limits allow, at least one.
 *
 * @throws {DeviceError} the first row alone has more entries than a batch may have.
 */
export function cutBatch(
  ptr: Int32Array,
  rowStart: number,
  rowEnd: number,
  operationsOf: (entries: number) => number,
  operationsMax: number,
  limits: BatchLimits,
): RowBatch {
  let rows = 0;
  let chunks = 0;
  let operations = 0;
  let row = rowStart;
  for (; row < rowEnd; row++) {
    const entries = ptr[row + 1]! - ptr[row]!;
    if (entries > limits.entriesMax) {
      if (row > rowStart) break;
      throw rowTooLong(row, entries, limits.entriesMax);
    }
    if (entries === 0) continue;
    const parts = chunksOf(entries);
    const cost = operationsOf(entries);
    const isFull =
      ptr[row + 1]! - ptr[rowStart]! > limits.entriesMax ||
      chunks + parts > limits.chunksMax ||
      rows + 1 > limits.rowsMax ||
      operations + cost > operationsMax;
    if (rows > 0 && isFull) break;
    rows++;
    chunks += parts;
    operations += cost;
  }
  return { rowStart, rowEnd: row, rows, chunks, operations };
}

function rowTooLong(row: number, entries: number, entriesMax: number): DeviceError {
  return new DeviceError(
    'STOA_DEVICE',
    `row ${row} of the block has ${entries} entries where the GPU's buffers hold ${entriesMax}; use another device`,
    { fields: { row, entries, entriesMax } },
  );
}
