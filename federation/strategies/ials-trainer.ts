import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { gramScale, rowPenalty } from '../../models/ials/objective.js';
import type { Census } from '../ials/census.js';
import { itemSums } from '../ials/item-sums.js';
import type { LocalTrainer } from './strategy.js';

export interface IalsTrainerOptions {
  /** The participant's interactions by items, and its users' factors: see `ItemSumsInput`. */
  readonly byItem: Csr;
  readonly users: Float32Array;
  /** Gram of these users: f64 [K, K], both triangles. */
  readonly gram: Float64Array;
  readonly factors: number;
  readonly objective: IalsObjective;
  readonly census: Census;
  readonly learningRate: number;
}

/**
 * Descends on the items' part of the iALS objective with the users held fixed:
 *
 *   f_p(Y) = 1/|U_p| ( Σ (the objective's terms of the participant's users) + |U_p|/|U| Σ_i λ_i ‖y_i‖² )
 *   ∇_i f_p = 2/|U_p| ( s·G_p y_i + |U_p|/|U| λ_i y_i − Σ_u (c − w x_u·y_i) x_u )
 *
 * so that the mean of f_p, weighted by users, is the whole objective over |U|: one local step of all is a step of
 * gradient descent on it.
 */
export class IalsTrainer implements LocalTrainer {
  readonly learningRate: number;
  readonly #o: IalsTrainerOptions;

  constructor(options: IalsTrainerOptions) {
    this.#o = options;
    this.learningRate = options.learningRate;
  }

  /** |U_p|. */
  get weight(): number {
    return this.#o.byItem.cols;
  }

  step(items: Float32Array): void {
    const { byItem, factors, gram, objective, census } = this.#o;
    const chunk = { itemStart: 0, itemEnd: byItem.rows };
    const misses = itemSums({ ...this.#o, exchange: { kind: 'residual' }, operand: items }, chunk);
    const share = this.weight / census.users;
    const scale = gramScale(objective);
    const rate = (2 * this.learningRate) / this.weight;
    const y = new Float64Array(factors);
    for (let item = 0, at = 0; item < byItem.rows; item++, at += factors) {
      const penalty = share * rowPenalty(objective, census.itemCounts[item]!, census.users);
      for (let k = 0; k < factors; k++) y[k] = items[at + k]!;
      for (let r = 0; r < factors; r++) {
        let product = penalty * y[r]!;
        for (let c = 0; c < factors; c++) product += scale * gram[r * factors + c]! * y[c]!;
        items[at + r] = y[r]! - rate * (product - misses[at + r]!);
      }
    }
  }
}
