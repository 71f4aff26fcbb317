import { planRing, type Ring } from '../secure-aggregation/ring.js';
import type { FederatedPlan } from './federated-plan.js';

/** Most learners of one participant: a larger one is several. */
const LEARNERS_MAX = 1 << 20;
/** What one learner may add to a number of a sum: factors have norms of about 1. */
const LEARNER_BOUND = 64;
/** Finer than f32 needs, by which factors are rounded anyway: sums over one learner still have 6 digits. */
const FRACTION_BITS_MAX = 32;
const RING_BITS = 64;

/**
 * The ring of a run's masked sums, with the finest fraction for which the sum of so many participants cannot wrap. A
 * participant whose own numbers are beyond the bound is refused by its own side, and nothing of it leaves.
 *
 * With privacy the grid is that of the noise: 24 bits.
 *
 * @throws {UsageError} no fraction fits.
 */
export function ringOf(plan: Pick<FederatedPlan, 'cohortMax' | 'privacy'>): Ring {
  const participants = Math.max(2, plan.cohortMax);
  const bitsOfSum = Math.ceil(Math.log2(participants * LEARNERS_MAX * LEARNER_BOUND));
  const fits = RING_BITS - 2 - bitsOfSum;
  const fractionBits = plan.privacy === undefined ? Math.min(FRACTION_BITS_MAX, fits) : NOISE_FRACTION_BITS;
  return planRing({
    ringBits: RING_BITS,
    fractionBits,
    participants,
    learnersEach: LEARNERS_MAX,
    bound: LEARNER_BOUND,
  });
}

/** Steps of noised sums are 2^−24: docs/privacy.md. */
export const NOISE_FRACTION_BITS = 24;
