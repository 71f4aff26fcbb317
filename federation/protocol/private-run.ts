// What a run with privacy releases, with how much noise, and what the coordinator makes of noised sums.

import { packedGramLength } from '../../models/gram.js';
import type { Census } from '../ials/census.js';
import { calibrateNoise, type NoiseRatios } from '../privacy/calibrate.js';
import type { LearnerBounds } from '../privacy/learner-bounds.js';
import { type PlannedRelease, plannedReleases, type RunShape } from '../privacy/planned-releases.js';
import type { FederatedPlan, PrivacyTerms } from './federated-plan.js';

/**
 * Noise on the sums that say little is cheap: more of it there leaves more of the budget to the others. Measured by
 * `npm run bench:privacy`.
 */
const RATIOS: NoiseRatios = { gram: 4, targets: 1, itemCounts: 4, learnerCount: 30 };

/** Rows of a typical learner: by it the weight of an interaction is guessed, which no sum tells. */
const TYPICAL_ROWS = 10;

/** Binary data: W = R = 1. */
export function learnerBounds({ rowsMax, rowNormMax }: PrivacyTerms): LearnerBounds {
  return { rowsMax, rowNormMax, weightMax: 1, targetMax: 1 };
}

/** Every release of the run, in the order in which they leave. */
export function runReleases(plan: FederatedPlan, items: number): PlannedRelease[] {
  const { epsilon, delta, adjacency } = plan.privacy!;
  const shape: RunShape = {
    solver: 'cholesky',
    sweeps: plan.sweeps,
    items,
    factors: plan.factors,
    cgSteps: 1,
    block: plan.factors,
    statisticsFromGram: true,
    needsCounts: true,
    metrics: 0,
  };
  return plannedReleases(shape, calibrateNoise(shape, { epsilon, delta, adjacency }, RATIOS));
}

/** The releases of one round. @param sweep −1: the census. */
export function releasesOfRound(releases: readonly PlannedRelease[], sweep: number): PlannedRelease[] {
  return releases.filter((release) => release.sweep === sweep + 1);
}

/** w̄: what an interaction weighs on average once learners are bounded. */
export function typicalWeight({ rowsMax }: PrivacyTerms): number {
  return Math.min(1, Math.sqrt(rowsMax / TYPICAL_ROWS));
}

/**
 * Counts as the items' systems need them: weighted like the interactions, and above zero, since noise takes counts below
 * it, and an item of count 0 would have factors 0 whatever its sum says.
 */
export function noisedCensus(census: Census, plan: FederatedPlan): Census {
  const weight = typicalWeight(plan.privacy!);
  const itemCounts = census.itemCounts.map((count) => weight * Math.max(count, 1));
  return { itemCounts, users: Math.max(census.users, 1) };
}

/**
 * Full sums of some items, [A_i packed, b_i] each, from noised b_i: A_i is (w̄ n̂_i / |U|) G, right where the learners of
 * an item are like all learners.
 *
 * @param targets b_i of the items from `itemStart` on, [n, K].
 * @param gram    G, packed.
 * @param census  of `noisedCensus`.
 */
export function sumsFromGram(
  targets: Float64Array,
  {
    gram,
    census,
    itemStart,
    factors,
  }: { gram: Float64Array; census: Census; itemStart: number; factors: number },
): Float64Array {
  const packed = packedGramLength(factors);
  const items = targets.length / factors;
  const sums = new Float64Array(items * (packed + factors));
  for (let n = 0, at = 0; n < items; n++, at += packed + factors) {
    const share = census.itemCounts[itemStart + n]! / census.users;
    for (let i = 0; i < packed; i++) sums[at + i] = share * gram[i]!;
    sums.set(targets.subarray(n * factors, (n + 1) * factors), at + packed);
  }
  return sums;
}
