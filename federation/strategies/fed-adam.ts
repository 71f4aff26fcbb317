import { type ItemStrategy, type LocalTrainer, weightedUpdate } from './strategy.js';

export interface FedAdamOptions {
  /** Steps that a participant takes in a round, >= 1. */
  readonly localSteps: number;
  /** η of the server, > 0. */
  readonly serverRate: number;
  /** Memory of the mean move. @default 0.9 */
  readonly beta1?: number;
  /** Memory of its square. @default 0.99 */
  readonly beta2?: number;
  /** τ: how small a move still counts as one, > 0. @default 1e-3 */
  readonly tau?: number;
}

/**
 * With Δ the mean move of the participants: m = β₁m + (1 − β₁)Δ, v = β₂v + (1 − β₂)Δ², y += η m / (√v + τ); v begins at
 * τ², and nothing is corrected for the beginning.
 *
 * Source: Reddi, Charles, Zaheer, Garrett, Rush, Konečný, Kumar, McMahan, "Adaptive Federated Optimization", ICLR 2021,
 * algorithm 2 (FedAdam).
 */
export class FedAdam implements ItemStrategy {
  readonly name = 'fedadam';
  readonly state: { readonly mean: Float64Array; readonly square: Float64Array };
  readonly #o: Required<FedAdamOptions>;

  /**
   * @param length  numbers of the items' table.
   * @param resumed `state` of an earlier life.
   */
  constructor(options: FedAdamOptions, length: number, resumed?: FedAdam['state']) {
    this.#o = { beta1: 0.9, beta2: 0.99, tau: 1e-3, ...options };
    const square = new Float64Array(length).fill(this.#o.tau ** 2);
    this.state = resumed ?? { mean: new Float64Array(length), square };
  }

  update(items: Float32Array, trainer: LocalTrainer): Float64Array {
    const local = items.slice();
    for (let step = 0; step < this.#o.localSteps; step++) trainer.step(local);
    return weightedUpdate(items, local, trainer.weight);
  }

  apply(items: Float32Array, sum: Float64Array): void {
    const { mean, square } = this.state;
    const { beta1, beta2, tau, serverRate } = this.#o;
    const weight = sum[items.length]!;
    for (let i = 0; i < items.length; i++) {
      const move = sum[i]! / weight;
      mean[i] = beta1 * mean[i]! + (1 - beta1) * move;
      square[i] = beta2 * square[i]! + (1 - beta2) * move * move;
      items[i] = items[i]! + (serverRate * mean[i]!) / (Math.sqrt(square[i]!) + tau);
    }
  }
}
