import { DataError } from '../../common/errors.js';
import type { MergeRule } from '../manifest.js';
import type { Entries } from './scatter.js';
import type { TimeColumn } from './time-column.js';

/**
 * Makes one entry of all those of a row that name the same column; in place.
 *
 * Value: `sum` adds (in f64, in file order), `max` takes the greatest, `last` the one with the latest time (of equal
 * times, or without times, the later in the input), `count` counts them, `one` keeps none. The time is the latest.
 *
 * @param ptr     [rows + 1], rewritten to the shorter rows.
 * @param entries within a row, columns ascend and equal columns stand in file order; `values` must be there for
 *   `sum`, `max`, `last` and, to be written, for `count`. The first `ptr[rows]` entries are valid afterwards.
 * @returns how many entries disappeared.
 * @throws {DataError} `STOA_DATA_ROWS`: a sum is beyond f32.
 */
export function mergeDuplicates(ptr: Int32Array, entries: Entries, rule: MergeRule): number {
  const rows = ptr.length - 1;
  const { idx, values, times } = entries;
  const before = ptr[rows]!;
  if (rule === 'count') values!.fill(1, 0, before);
  let write = 0;
  let read = 0;
  for (let row = 0; row < rows; row++) {
    const end = ptr[row + 1]!;
    ptr[row] = write;
    while (read < end) {
      const first = read++;
      while (read < end && idx[read] === idx[first]) read++;
      if (read - first > 1) mergeRun(entries, first, read, rule);
      idx[write] = idx[first]!;
      if (values !== undefined) values[write] = values[first]!;
      if (times !== undefined) times[write] = times[first]!;
      write++;
    }
  }
  ptr[rows] = write;
  return before - write;
}

/** Leaves the merged value and time at `first`. */
function mergeRun({ values, times }: Entries, first: number, end: number, rule: MergeRule): void {
  if (rule === 'sum' || rule === 'count') {
    let sum = 0;
    for (let k = first; k < end; k++) sum += values![k]!;
    values![first] = sum;
    if (values![first] === Number.POSITIVE_INFINITY) {
      throw new DataError(
        'STOA_DATA_ROWS',
        'the values of a repeated user and item add up to more than 3.4e38; scale the values down, or use --merge max',
      );
    }
  } else if (rule === 'max') {
    for (let k = first + 1; k < end; k++) values![first] = Math.max(values![first]!, values![k]!);
  } else if (rule === 'last') {
    values![first] = values![latest(times, first, end)]!;
  }
  if (times !== undefined) times[first] = times[latest(times, first, end)]!;
}

function latest(times: TimeColumn | undefined, first: number, end: number): number {
  if (times === undefined) return end - 1;
  let best = first;
  for (let k = first + 1; k < end; k++) if (times[k]! >= times[best]!) best = k;
  return best;
}
