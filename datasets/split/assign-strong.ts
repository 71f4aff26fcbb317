import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import { chooseEntries } from './assign-random.js';
import { FOLD_IN, TEST } from './parts.js';

const STREAM_USERS = 2;
const STREAM_ENTRIES = 3;

/**
 * Strong generalisation: some users are held out whole. Of a held-out user's interactions, a share (at least one) is
 * the test part, the rest (at least one, at least `minTrain`) is folded in; all others' interactions train.
 *
 * @param options.heldOutUsers how many; users with too few interactions are not chosen.
 * @returns the part of each entry, and how many users were held out: fewer than asked for when too few qualify.
 */
export function assignStrong(
  { rows, ptr, idx }: Csr,
  options: { seed: number; testFraction: number; minTrain: number; heldOutUsers: number },
): { parts: Uint8Array; heldOut: number } {
  const known = Math.max(1, options.minTrain);
  const candidates: number[] = [];
  for (let row = 0; row < rows; row++) if (ptr[row + 1]! - ptr[row]! > known) candidates.push(row);
  const heldOut = Math.min(options.heldOutUsers, candidates.length);
  const chosen = chooseUsers(candidates, heldOut, options.seed);

  const parts = new Uint8Array(idx.length);
  const random = createRandom(options.seed, STREAM_ENTRIES);
  for (const row of chosen) {
    const [from, to] = [ptr[row]!, ptr[row + 1]!];
    random.seekRow(row);
    const wanted = Math.max(1, Math.floor((to - from) * options.testFraction + random.next()));
    parts.fill(FOLD_IN, from, to);
    chooseEntries(parts, from, to, Math.min(wanted, to - from - known), TEST, random);
  }
  return { parts, heldOut };
}

/** The first `count` of a random order of the candidates. */
function chooseUsers(candidates: number[], count: number, seed: number): number[] {
  const random = createRandom(seed, STREAM_USERS);
  for (let n = 0; n < count; n++) {
    const other = n + random.int(candidates.length - n);
    [candidates[n], candidates[other]] = [candidates[other]!, candidates[n]!];
  }
  return candidates.slice(0, count);
}
