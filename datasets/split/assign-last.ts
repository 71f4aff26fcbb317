import { assert } from '../../common/errors.js';
import { TEST, type TimedRows } from './parts.js';

/**
 * Leave last out: the latest interaction of each user goes to the test part, unless fewer than `minTrain` would be
 * left. Of equal times, the one with the greatest item row counts as the last.
 */
export function assignLast({ csr, times }: TimedRows, options: { minTrain: number }): Uint8Array {
  assert(times !== undefined, 'leave-last-out needs times');
  const { rows, ptr, idx } = csr;
  const parts = new Uint8Array(idx.length);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [ptr[row]!, ptr[row + 1]!];
    if (to - from < Math.max(1, options.minTrain + 1)) continue;
    let last = from;
    for (let k = from + 1; k < to; k++) if (times[k]! >= times[last]!) last = k;
    parts[last] = TEST;
  }
  return parts;
}
