import { assert } from '../../common/errors.js';
import { DROPPED, TEST, type TimedRows } from './parts.js';

/**
 * Temporal: what happened at `at` or later goes to the test part, what happened before trains. Users with fewer than
 * `minTrain` interactions before it are not tested: their later interactions are in no part.
 */
export function assignTemporal(
  { csr, times }: TimedRows,
  options: { at: number; minTrain: number },
): Uint8Array {
  assert(times !== undefined, 'a temporal split needs times');
  const { rows, ptr, idx } = csr;
  const parts = new Uint8Array(idx.length);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [ptr[row]!, ptr[row + 1]!];
    let before = 0;
    for (let k = from; k < to; k++) if (times[k]! < options.at) before++;
    const later = before >= options.minTrain ? TEST : DROPPED;
    for (let k = from; k < to; k++) if (times[k]! >= options.at) parts[k] = later;
  }
  return parts;
}

/** The moment after which about `testFraction` of all interactions happened. Memory: 8 bytes an interaction. */
export function momentOf(times: Float64Array, testFraction: number): number {
  const sorted = new Float64Array(times).sort();
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * (1 - testFraction)))]!;
}
