import { epsilonOf } from './gaussian-privacy.js';
import { renyiEpsilon, simpleEpsilon } from './zcdp.js';

/**
 * Which two sets of learners must look alike. `add-remove`: with a learner and without. `replace-one`: with a learner and
 * with another in the place; every difference is up to twice as long, so that the same noise gives twice the μ.
 */
export type Adjacency = 'add-remove' | 'replace-one';

/** Something noised that left, `count` times, each time from fresh noise. */
export interface NoisedRelease {
  /** σ: standard deviation of the noise over the add-remove sensitivity, > 0. */
  readonly noiseMultiplier: number;
  /** Whole, >= 0. @default 1 */
  readonly count?: number;
}

/** What releases cost together. */
export interface PrivacyLoss {
  /** √(Σ 1/σ²), doubled under replace-one. */
  readonly mu: number;
  /** μ²/2. */
  readonly rho: number;
  readonly delta: number;
  /** Exact, and what budgets are held against. */
  readonly epsilon: number;
  /** By Rényi orders: for comparison with systems that report this. */
  readonly epsilonRenyi: number;
  /** By the simple bound of zCDP. */
  readonly epsilonSimple: number;
}

/** Σ 1/σ² over releases, under add-remove: what adds up from release to release. */
export function muSquaredOf(releases: Iterable<NoisedRelease>): number {
  let sum = 0;
  for (const { noiseMultiplier, count = 1 } of releases) sum += count / (noiseMultiplier * noiseMultiplier);
  return sum;
}

/** μ from the sum of `muSquaredOf`. */
export function muOf(muSquared: number, adjacency: Adjacency): number {
  return Math.sqrt(muSquared) * (adjacency === 'replace-one' ? 2 : 1);
}

/** The loss of releases together, chosen adaptively or not; exact for Gaussian noise. */
export function privacyLoss(
  releases: Iterable<NoisedRelease>,
  { delta, adjacency }: { delta: number; adjacency: Adjacency },
): PrivacyLoss {
  const mu = muOf(muSquaredOf(releases), adjacency);
  const rho = (mu * mu) / 2;
  return {
    mu,
    rho,
    delta,
    epsilon: epsilonOf({ mu, delta }),
    epsilonRenyi: renyiEpsilon({ rho, delta }),
    epsilonSimple: simpleEpsilon({ rho, delta }),
  };
}
