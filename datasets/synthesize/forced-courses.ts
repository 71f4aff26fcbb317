import { createRandom } from '../../common/random.js';

const STREAM = 15;

/**
 * Gives every course one step of some learner, so that none is left out.
 *
 * @param counts courses that each learner takes; they add up to at least `items`.
 * @returns the course that a step must take, −1 where the choice is free; learners' steps one after the other.
 *   Memory: 4 bytes an interaction.
 */
export function forcedCourses(counts: Int32Array, items: number, seed: number): Int32Array {
  const steps = counts.reduce((sum, count) => sum + count, 0);
  const random = createRandom(seed, STREAM);
  const order = Int32Array.from({ length: items }, (_, course) => course);
  for (let n = items - 1; n > 0; n--) {
    const other = random.int(n + 1);
    [order[n], order[other]] = [order[other]!, order[n]!];
  }
  const forced = new Int32Array(steps).fill(-1);
  // Floyd's algorithm: distinct steps, each set of them equally likely.
  for (let n = 0; n < items; n++) {
    const last = steps - items + n;
    const step = random.int(last + 1);
    forced[forced[step] === -1 ? step : last] = order[n]!;
  }
  return forced;
}
