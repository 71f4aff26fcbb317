import { FedAvg, type FedAvgOptions } from './fed-avg.js';
import type { LocalTrainer } from './strategy.js';

/**
 * `FedAvg` with (μ/2) ‖y − y₀‖² added to what a participant minimises, y₀ the items as the round began: participants
 * with few or odd learners do not run away in many local steps.
 *
 * Source: Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, "Federated Optimization in Heterogeneous Networks", MLSys 2020,
 * algorithm 2.
 */
export class FedProx extends FedAvg {
  override readonly name = 'fedprox';
  readonly #mu: number;

  /** @param options `mu` >= 0; 0 is `FedAvg`. */
  constructor(options: FedAvgOptions & { readonly mu: number }) {
    super(options);
    this.#mu = options.mu;
  }

  protected override step(local: Float32Array, anchor: Float32Array, trainer: LocalTrainer): void {
    // The gradient of the pull is taken where that of the loss is: before the step.
    const pull = trainer.learningRate * this.#mu;
    const before = local.slice();
    trainer.step(local);
    for (let i = 0; i < local.length; i++) local[i] = local[i]! - pull * (before[i]! - anchor[i]!);
  }
}
