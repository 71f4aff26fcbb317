// What a model trained by stochastic gradient descent is, and how its rows are laid out.

/** `bpr`: pairwise ranking of implicit interactions; `mf`: explicit ratings with biases. */
export type SgdModel = 'bpr' | 'mf';

/** `constant`: η. `inverse`: η / (1 + decay·t), t in epochs. `cosine`: from η to 0 over the run. */
export type RateSchedule = 'constant' | 'inverse' | 'cosine';

/** `uniform`: every item alike; `popularity`: an item with n learners as often as n^exponent. */
export type NegativeSampling = 'uniform' | 'popularity';

/** Everything that a block task needs besides its data; a value of the run's configuration, all defaults filled in. */
export interface SgdSettings {
  readonly model: SgdModel;
  /** K >= 1, without the columns of the biases. */
  readonly factors: number;
  /** η > 0, the first learning rate. */
  readonly learningRate: number;
  readonly schedule: RateSchedule;
  /** Of `inverse`, >= 0. */
  readonly decay: number;
  /** λ >= 0, the same for factors and biases. */
  readonly regularization: number;
  /** Of `bpr`. */
  readonly negatives: NegativeSampling;
  /** Exponent of `popularity`, 0 to 1. */
  readonly popularityExponent: number;
  /** 0 to 2^53 − 1. */
  readonly seed: number;
  /** Of the whole run, >= 1: where `cosine` ends. */
  readonly epochs: number;
  /** Steps into which every block cuts an epoch, >= 1. */
  readonly stepsPerEpoch: number;
  /** Mean rating μ of `mf`; 0 for `bpr`. */
  readonly mean: number;
}

/**
 * Columns of a row, so that the inner product of a user's and an item's row is their score:
 *
 *   `bpr`  user [x, 1]        item [y, b_i]       x·y + b_i
 *   `mf`   user [x, 1, b_u]   item [y, b_i, 1]    x·y + b_i + b_u   (the mean μ is added where a model is saved)
 */
export function sgdColumns(model: SgdModel, factors: number): number {
  return model === 'bpr' ? factors + 1 : factors + 2;
}
