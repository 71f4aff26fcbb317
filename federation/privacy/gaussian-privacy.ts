// What Gaussian noise guarantees, exactly. A release with sensitivity D and noise of standard deviation s has
// μ = D/s = 1/σ, with σ the noise multiplier; releases together, chosen adaptively or not, are exactly one release of
// μ = √(Σ μᵢ²), so that nothing is lost by composing.
//
//   δ(ε) = Φ(μ/2 − ε/μ) − e^ε Φ(−μ/2 − ε/μ)
//
// Sources: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy: Analytical Calibration and
// Optimal Denoising", ICML 2018, theorem 8 (with Δ/σ = μ); Dong, Roth and Su, "Gaussian Differential Privacy", 2022,
// on composition.

import { UsageError } from '../../common/errors.js';
import { normalCdf, scaledErfc } from './normal-distribution.js';

/** Halvings of an interval: beyond these f64 has no numbers left between its ends. */
const HALVINGS = 200;

/** δ of noise with parameter μ at ε. @param loss `mu` >= 0, `epsilon` >= 0. */
export function deltaOf({ mu, epsilon }: { mu: number; epsilon: number }): number {
  if (mu === 0) return 0;
  // With z = (ε/μ − μ/2)/√2 and w = (ε/μ + μ/2)/√2: w² = z² + ε, so e^ε Φ(−√2 w) = ½ exp(−z²) erfcx(w). The difference
  // is taken before it is scaled, and neither e^ε nor a tail can overflow or vanish on its own.
  const z = (epsilon / mu - mu / 2) * Math.SQRT1_2;
  const w = (epsilon / mu + mu / 2) * Math.SQRT1_2;
  const scale = 0.5 * Math.exp(-z * z);
  if (z >= 0) return scale * (scaledErfc(z) - scaledErfc(w));
  return normalCdf(-z * Math.SQRT2) - scale * scaledErfc(w);
}

/**
 * The least ε that noise with parameter μ guarantees at δ. Never below the true value by more than rounding: of the
 * last interval its upper end is taken.
 *
 * @param loss `mu` >= 0, finite; 0 < `delta` < 1.
 */
export function epsilonOf({ mu, delta }: { mu: number; delta: number }): number {
  requireDelta(delta);
  if (deltaOf({ mu, epsilon: 0 }) <= delta) return 0;
  let high = 1;
  while (deltaOf({ mu, epsilon: high }) > delta) high *= 2;
  return leastOf(0, high, (epsilon) => deltaOf({ mu, epsilon }) <= delta);
}

/** The greatest μ that (ε, δ) allows: spend less than this, or exactly it. @param goal `epsilon` > 0, 0 < `delta` < 1. */
export function muWithin({ epsilon, delta }: { epsilon: number; delta: number }): number {
  requireDelta(delta);
  if (!(epsilon > 0 && Number.isFinite(epsilon))) {
    throw new UsageError('STOA_USAGE', `ε is ${epsilon}: a finite number above 0 was expected`);
  }
  let high = 1;
  while (deltaOf({ mu: high, epsilon }) <= delta) high *= 2;
  // The least μ that breaks the goal lies one rounding above the greatest that keeps it.
  const breaks = leastOf(0, high, (mu) => deltaOf({ mu, epsilon }) > delta);
  return breaks * (1 - Number.EPSILON);
}

/** The bound on telling whether a learner took part, with even odds before: a guess is right with Φ(μ/2) at most. */
export function membershipBound(mu: number): number {
  return normalCdf(mu / 2);
}

/** The least number in (low, high] for which a condition that stays true holds; `high` fulfils it. */
function leastOf(low: number, high: number, holds: (value: number) => boolean): number {
  for (let halving = 0; halving < HALVINGS; halving++) {
    const middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) break;
    if (holds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** @throws {UsageError} δ is not a probability of its own. */
export function requireDelta(delta: number): void {
  if (delta > 0 && delta < 1) return;
  throw new UsageError('STOA_USAGE', `δ is ${delta}: a number between 0 and 1 was expected, such as 1e-6`);
}
