import { assert } from '../../common/errors.js';
import type { RandomWords } from './random-words.js';

/** With the greatest k that can occur in practice (2k + 2)·scale must stay a whole number of f64. */
const SCALE_MAX = 2 ** 44;
/** Whole standard deviations: exp(−k²/2) of one more is below 10^−14000. */
const DEVIATIONS_MAX = 255;

/**
 * Draws whole numbers with probability in proportion to exp(−x²/(2·scale²)), exactly: only comparisons of whole numbers
 * with uniform ones, no function of floating point that could round. The time that a draw takes depends on what is drawn.
 *
 * @param scale whole, 1 to 2^44: the standard deviation, to within e^−19 from 1 on and to all digits from 2 on.
 *
 * Cost: about 20 words a draw.
 * Sources: Karney, "Sampling Exactly from the Normal Distribution", ACM TOMS 42(1), 2016, algorithm D (discrete, mean
 * zero, whole scale); Canonne, Kamath and Steinke, NeurIPS 2020, algorithm 1, for events of probability exp(−γ).
 */
export function drawDiscreteGaussian(words: RandomWords, scale: number): number {
  for (;;) {
    // |x| = k·scale + j with weight exp(−k²/2 − (j/scale)(2k + j/scale)/2): its parts are accepted one after the other.
    let k = 0;
    while (happensExpHalf(words)) k++;
    if (k > 1 && !happensRepeatedly(words, k * (k - 1))) continue;
    assert(k <= DEVIATIONS_MAX, 'a random source that repeats itself');
    const j = words.below(scale);
    if (!happensFraction(words, k, j, scale)) continue;
    const isNegative = words.next() >>> 31 === 1;
    const x = k * scale + j;
    // Zero has two signs: one of them is drawn again.
    if (x === 0 && isNegative) continue;
    return isNegative ? -x : x;
  }
}

/** @throws an assertion: callers plan noise that fits. */
export function assertScale(scale: number): void {
  assert(Number.isInteger(scale) && scale >= 1 && scale <= SCALE_MAX, `a scale of noise of ${scale}`);
}

/** True with probability exp(−½), by whether the first failure of 1/2, 1/4, 1/6 … is at an odd place. */
function happensExpHalf(words: RandomWords): boolean {
  let n = 1;
  while (words.below(2 * n) === 0) n++;
  return (n & 1) === 1;
}

/** True with probability exp(−times/2). */
function happensRepeatedly(words: RandomWords, times: number): boolean {
  for (let i = 0; i < times; i++) if (!happensExpHalf(words)) return false;
  return true;
}

/** True with probability exp(−x(2k + x)/2), x = j/scale, as k + 1 events of exp(−γ), γ = x(2k + x)/(2k + 2) <= 1. */
function happensFraction(words: RandomWords, k: number, j: number, scale: number): boolean {
  const whole = (2 * k + 2) * scale;
  const part = 2 * k * scale + j;
  for (let i = 0; i <= k; i++) {
    let n = 1;
    // An event of γ/n is three in one: j/scale, part/whole and 1/n.
    while (words.below(scale) < j && words.below(whole) < part && words.below(n) === 0) n++;
    if ((n & 1) === 0) return false;
  }
  return true;
}
