import { muWithin } from './gaussian-privacy.js';
import { RELEASE_KINDS, type ReleaseKind } from './learner-bounds.js';
import { type NoiseMultipliers, plannedReleases, type RunShape } from './planned-releases.js';
import { type Adjacency, muSquaredOf } from './privacy-loss.js';

export interface PrivacyGoal {
  /** Of the whole run, > 0. */
  readonly epsilon: number;
  /** Of the whole run; below 1 / learners, or a learner may be given away whole. */
  readonly delta: number;
  readonly adjacency: Adjacency;
}

/**
 * Noise of each kind of release relative to the others, > 0: 2 means twice the noise multiplier of 1, at a quarter of its
 * price. @default 1 each
 */
export type NoiseRatios = Partial<Readonly<Record<ReleaseKind, number>>>;

/**
 * The noise multipliers with which a whole run keeps its goal, exactly: σ = √(Σ 1/ratio²) / μ(ε, δ).
 *
 * @throws {UsageError} ε or δ is out of range.
 */
export function calibrateNoise(
  shape: RunShape,
  goal: PrivacyGoal,
  ratios: NoiseRatios = {},
): NoiseMultipliers {
  const relative = multipliers((kind) => ratios[kind] ?? 1);
  const sum = muSquaredOf(plannedReleases(shape, relative));
  const muAllowed = muWithin(goal) / (goal.adjacency === 'replace-one' ? 2 : 1);
  // A few roundings lie between this and the account of the same releases: they shall not break the goal.
  const sigma = (Math.sqrt(sum) / muAllowed) * (1 + 2 ** -40);
  return multipliers((kind) => relative[kind] * sigma);
}

function multipliers(of: (kind: ReleaseKind) => number): NoiseMultipliers {
  return Object.fromEntries(RELEASE_KINDS.map((kind) => [kind, of(kind)])) as NoiseMultipliers;
}
