import { createRandom, type Random } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import { TEST } from './parts.js';

/** Stream of the generator; other strategies use others. */
const STREAM = 1;

/**
 * Random per user: a share of each user's interactions goes to the test part. Of n, ⌊n·f⌋ or one more do, the
 * latter with the probability that makes n·f on average, but never so many that fewer than `minTrain` are left.
 *
 * @returns the part of each entry. Depends on the seed and the user's row, not on other users.
 */
export function assignRandom(
  { rows, ptr, idx }: Csr,
  options: { seed: number; testFraction: number; minTrain: number },
): Uint8Array {
  const parts = new Uint8Array(idx.length);
  const random = createRandom(options.seed, STREAM);
  for (let row = 0; row < rows; row++) {
    const [from, to] = [ptr[row]!, ptr[row + 1]!];
    random.seekRow(row);
    const wanted = Math.floor((to - from) * options.testFraction + random.next());
    chooseEntries(parts, from, to, Math.min(wanted, to - from - options.minTrain), TEST, random);
  }
  return parts;
}

/** Gives `part` to `count` of the entries `from` to `to`, each choice equally likely (Floyd's algorithm). */
export function chooseEntries(
  parts: Uint8Array,
  from: number,
  to: number,
  count: number,
  part: number,
  random: Random,
): void {
  for (let last = to - count; last < to; last++) {
    const k = from + random.int(last - from + 1);
    parts[parts[k] === part ? last : k] = part;
  }
}
