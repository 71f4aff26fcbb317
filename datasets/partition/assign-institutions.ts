import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';

/** How learners are spread over institutions; every learner goes to one, with all rows. */
export type Partition =
  /** At random, evenly. */
  | { readonly kind: 'by-user' }
  /** At random, the first twice as many as the second, and so on. */
  | { readonly kind: 'skewed' }
  /** By a column of the items: a learner goes where most of its items are; ties to what comes first. */
  | { readonly kind: 'by-column'; readonly column: string; readonly values: readonly (string | null)[] };

const STREAM = 41;

/**
 * The institution of each user, 0 to count − 1. The same input gives the same answer; a user's place depends on its row
 * and the seed alone, but for `by-column`.
 *
 * With `by-column` each value is an institution where there are enough; else whole values share one, the largest first to
 * whoever has the fewest learners.
 *
 * @param csr users' rows.
 */
export function assignInstitutions(csr: Csr, count: number, partition: Partition, seed: number): Int32Array {
  if (partition.kind === 'by-column') return byColumn(csr, count, partition.values);
  const weights = Array.from({ length: count }, (_, n) => (partition.kind === 'skewed' ? 2 ** -n : 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const random = createRandom(seed, STREAM);
  return Int32Array.from({ length: csr.rows }, (_, user) => {
    random.seekRow(user);
    let left = random.next() * total;
    const at = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    return at < 0 ? count - 1 : at;
  });
}

function byColumn(csr: Csr, count: number, values: readonly (string | null)[]): Int32Array {
  const names = [...new Set(values.map((value) => value ?? ''))].sort();
  const places = new Map(names.map((name, place) => [name, place]));
  const placeOfItem = Int32Array.from(values, (value) => places.get(value ?? '')!);
  const homes = new Int32Array(csr.rows);
  const learners = new Int32Array(names.length);
  const taken = new Int32Array(names.length);
  for (let user = 0; user < csr.rows; user++) {
    taken.fill(0);
    for (let e = csr.ptr[user]!; e < csr.ptr[user + 1]!; e++) taken[placeOfItem[csr.idx[e]!]!]!++;
    homes[user] = taken.indexOf(taken.reduce((most, n) => Math.max(most, n), 0));
    learners[homes[user]!]!++;
  }
  const institutions = new Int32Array(names.length);
  const load = new Float64Array(count);
  const bySize = [...names.keys()].sort((a, b) => learners[b]! - learners[a]! || a - b);
  for (const place of bySize) {
    const least = load.indexOf(load.reduce((min, n) => Math.min(min, n), Number.POSITIVE_INFINITY));
    institutions[place] = least;
    load[least]! += learners[place]!;
  }
  return homes.map((home) => institutions[home]!);
}
