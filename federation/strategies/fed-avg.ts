import { type ItemStrategy, type LocalTrainer, weightedUpdate } from './strategy.js';

export interface FedAvgOptions {
  /** Steps that a participant takes in a round, >= 1; one step is gradient descent on the whole objective. */
  readonly localSteps: number;
  /** How much of the mean move the server makes. @default 1 */
  readonly serverRate?: number;
}

/**
 * y += rate · Σ n_p (y_p − y) / Σ n_p
 *
 * Source: McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
 * Decentralized Data", AISTATS 2017, algorithm 1.
 */
export class FedAvg implements ItemStrategy {
  readonly name: 'fedavg' | 'fedprox' = 'fedavg';
  readonly state = {};
  readonly #o: FedAvgOptions;

  constructor(options: FedAvgOptions) {
    this.#o = options;
  }

  update(items: Float32Array, trainer: LocalTrainer): Float64Array {
    const local = items.slice();
    for (let step = 0; step < this.#o.localSteps; step++) this.step(local, items, trainer);
    return weightedUpdate(items, local, trainer.weight);
  }

  apply(items: Float32Array, sum: Float64Array): void {
    const scale = (this.#o.serverRate ?? 1) / sum[items.length]!;
    for (let i = 0; i < items.length; i++) items[i] = items[i]! + scale * sum[i]!;
  }

  /** One step of a participant. @param local changed. @param anchor the items as the round began. */
  protected step(local: Float32Array, _anchor: Float32Array, trainer: LocalTrainer): void {
    trainer.step(local);
  }
}
