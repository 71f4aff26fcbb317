// Groups within which participants are masked, so that their sums can be compared: robust aggregation of what nobody may
// read alone.

import { createRandom } from '../../common/random.js';

/** A stream of its own among those that are drawn from a run's seed. */
const STREAM = 0x67;

/**
 * Cuts a cohort into groups of at least `sizeMin`, as many as there can be, of sizes that differ by at most one.
 *
 * The cut is drawn from the run's seed and the same in every round of a run: groups that changed between rounds would
 * let sums of single members be worked out from differences.
 *
 * @param members of the run; their order changes nothing.
 * @param sizeMin the minimum cohort of a sum.
 * @returns one group when there are too few for two; none when there are too few for one.
 */
export function maskedGroups(members: readonly string[], sizeMin: number, seed: number): string[][] {
  const count = Math.floor(members.length / sizeMin);
  const order = [...members].sort();
  const random = createRandom(seed, STREAM);
  for (let last = order.length - 1; last > 0; last--) {
    const other = random.int(last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  const groups: string[][] = Array.from({ length: count }, () => []);
  if (count > 0) for (const [index, member] of order.entries()) groups[index % count]!.push(member);
  return groups;
}
