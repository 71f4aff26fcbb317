import { createRandom } from '../../common/random.js';

/** Standard deviation of the logarithm of activity: the busiest percent takes about ten times the median. */
const ACTIVITY_LOG_STD_DEV = 1;
/** Share of all courses that nobody goes beyond, unless there is no other way. */
const COURSES_SHARE_MAX = 0.6;
const STREAM = 13;

/**
 * How many courses each learner takes: log-normal, at least 1, adding up to exactly `interactions`.
 *
 * @param options users <= interactions <= users · items.
 * @returns [users].
 */
export function drawActivity(options: {
  users: number;
  items: number;
  interactions: number;
  seed: number;
}): Int32Array {
  const { users, items, interactions, seed } = options;
  const random = createRandom(seed, STREAM);
  const weights = new Float64Array(users);
  for (let user = 0; user < users; user++) weights[user] = Math.exp(ACTIVITY_LOG_STD_DEV * random.normal());
  const most = Math.max(1, Math.floor(items * COURSES_SHARE_MAX));
  const limit = users * most >= interactions ? most : items;
  const counts = new Int32Array(users).fill(1);
  let left = interactions - users;
  // Each pass shares out what the limit kept back in the pass before, among those below the limit.
  while (left > 0) {
    let open = 0;
    for (let user = 0; user < users; user++) if (counts[user]! < limit) open += weights[user]!;
    const scale = left / open;
    const before = left;
    for (let user = 0; user < users; user++) {
      const more = Math.min(Math.floor(weights[user]! * scale), limit - counts[user]!, left);
      counts[user]! += more;
      left -= more;
    }
    if (left < before) continue;
    // Less than one each is left: one more for learners anywhere until it is gone.
    for (let step = 0; left > 0; step++) {
      const user = step < users ? random.int(users) : step % users;
      if (counts[user]! >= limit) continue;
      counts[user]!++;
      left--;
    }
  }
  return counts;
}
