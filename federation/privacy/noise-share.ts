// How much noise each participant adds, so that the sum has enough when some drop out or cannot be trusted.

import { UsageError } from '../../common/errors.js';
import { assertScale, drawDiscreteGaussian } from './discrete-gaussian.js';
import type { RandomWords } from './random-words.js';

export interface NoiseSetting {
  /** D: greatest change of the sum by one learner (`sensitivitiesOf`), > 0. */
  readonly sensitivity: number;
  /** σ, > 0: the noise of the sum has at least the standard deviation σ·D. */
  readonly noiseMultiplier: number;
  /**
   * h >= 1: the least number of honest participants whose noise is in the sum whenever a sum comes out. A participant
   * can take its own noise out of the sum again, so those who might plot together do not count: with a threshold of t
   * survivors and c who plot, h = t − c. Participants who all survive make the sum's noise √(n/h) times what was needed.
   */
  readonly honestMin: number;
  /** Steps of the grid are 2^−fractionBits. */
  readonly fractionBits: number;
  /** Entries of the whole sum, over all its chunks. */
  readonly coordinates: number;
}

/**
 * Standard deviation given away, in grid steps: noise of the discrete kind and of deviation s is noise of the continuous
 * kind and of deviation √(s² − 16²), rounded at random (docs/decisions/026). 16 makes the difference less than e^−2500.
 */
const SMOOTHING_STEPS = 16;
/** Noise of fewer steps than this would be ruled by the grid, not by σ. */
const SHARE_STEPS_MIN = 64;

/**
 * The whole standard deviation, in grid steps, of one participant's share.
 *
 *   share = ⌈ √( (σ·D')² + 16² ) / √h ⌉,   D' = D·2^f + √coordinates
 *
 * D' is the sensitivity on the grid: rounding two sums can move each of their entries one step apart. That is √coordinates
 * / (D·2^f) more noise, 4·10^−5 for 4,096 items at K = 64, k = 20 and f = 24.
 *
 * @throws {UsageError} the grid is too coarse for so little noise.
 */
export function noiseShareSteps(setting: NoiseSetting): number {
  for (const [name, value] of Object.entries(setting)) {
    if (value > 0 && Number.isFinite(value)) continue;
    throw new UsageError('STOA_USAGE', `${name} is ${value}: a finite number above 0 was expected`, {
      fields: { field: name },
    });
  }
  const { sensitivity, noiseMultiplier, honestMin, fractionBits, coordinates } = setting;
  const gridSensitivity = sensitivity * 2 ** fractionBits + Math.sqrt(coordinates);
  const total = Math.hypot(noiseMultiplier * gridSensitivity, SMOOTHING_STEPS);
  const share = Math.ceil(total / Math.sqrt(honestMin));
  if (share < SHARE_STEPS_MIN) {
    throw new UsageError(
      'STOA_USAGE',
      `noise of ${share} grid steps is too little for a grid of ${fractionBits} fraction bits; use more of them`,
      { fields: { field: 'fractionBits' } },
    );
  }
  assertScale(share);
  return share;
}

/**
 * What the noise of a sum stays below, but for a given probability: for the bounds of the ring.
 *
 * @param o `share` of `noiseShareSteps`; `participants` that add it; `failure` is the probability, over all coordinates.
 * @returns grid steps.
 *
 * P(|N| > s·z) <= 2 exp(−z²/2) for a normal N, and for a discrete one too, which is sub-Gaussian with the same s (Canonne,
 * Kamath and Steinke, NeurIPS 2020); so for their sums.
 */
export function noiseStepsMax(o: {
  share: number;
  participants: number;
  coordinates: number;
  failure: number;
}): number {
  return o.share * Math.sqrt(o.participants) * Math.sqrt(2 * Math.log((2 * o.coordinates) / o.failure));
}

/** Adds fresh noise to grid values, in place. @param grid whole numbers below 2^52. @param share of `noiseShareSteps`. */
export function addNoise(grid: Float64Array, share: number, words: RandomWords): void {
  assertScale(share);
  for (let i = 0; i < grid.length; i++) grid[i] = grid[i]! + drawDiscreteGaussian(words, share);
}
