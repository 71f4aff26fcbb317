// What the benchmark trains: the settings, and the ways of noising that it compares.

import type { NoiseRatios } from '../../federation/privacy/calibrate.js';
import type { NoisedRunSettings } from './noised-run.js';

/** δ of a run: a tenth of one over the number of learners. */
export const DELTA = 1e-6;

/** A course with fewer learners than this is a rare one: 4 of 5 courses, with 3 of 10 enrolments. */
export const RARE_BELOW = 500;

/** What `stoa train` does, with the settings of the quality benchmark. */
export const NON_PRIVATE = { factors: 128, epochs: 8, alpha0: 0.01, lambda: 0.01 };

/** Found on a validation split, where one more course of each learner is hidden within the training data. */
const SETTINGS = {
  alpha0: 0.05,
  lambda: 0.01,
  itemAlpha0: 0.025,
  itemLambda: 0.01,
  bounds: { rowsMax: 1, rowNormMax: 0.4, weightMax: 1, targetMax: 1 },
};

/** Noise on the sums that say little is cheap: more of it there leaves more of the budget to the others. */
export const RATIOS: NoiseRatios = { gram: 4, statistics: 2, targets: 1, itemCounts: 4, learnerCount: 30 };

export interface Method {
  name: string;
  settings: NoisedRunSettings;
}

/** With A summed, noise grows with K faster than what is learnt: 32 factors; without, 128 pay. */
export const METHODS: readonly Method[] = [
  {
    name: 'A summed, weights alike, K 32',
    settings: { ...SETTINGS, factors: 32, sweeps: 2, weights: 'scale', statistics: 'summed' },
  },
  {
    name: 'A summed, weights adapt, K 32',
    settings: { ...SETTINGS, factors: 32, sweeps: 2, weights: 'adaptive', statistics: 'summed' },
  },
  {
    name: 'A from Gram, weights adapt, K 32',
    settings: { ...SETTINGS, factors: 32, sweeps: 2, weights: 'adaptive', statistics: 'from gram' },
  },
  {
    name: 'A from Gram, weights alike, K 128',
    settings: { ...SETTINGS, factors: 128, sweeps: 3, weights: 'scale', statistics: 'from gram' },
  },
  {
    name: 'A from Gram, weights adapt, K 128',
    settings: { ...SETTINGS, factors: 128, sweeps: 3, weights: 'adaptive', statistics: 'from gram' },
  },
];

export interface Placement {
  name: string;
  participants: number;
  honestMin: number;
}

/** Who adds the noise, of ten institutions. */
export const PLACEMENTS: readonly Placement[] = [
  { name: 'once, by one who is trusted', participants: 1, honestMin: 1 },
  { name: 'shares for 7 of 10, all are there', participants: 10, honestMin: 7 },
  { name: 'each of 10 for itself, no masks', participants: 10, honestMin: 1 },
];
