import { bprStep } from '../../models/sgd/bpr-step.js';
import { drawSamples, type SampleSource } from '../../models/sgd/draw-samples.js';
import { learningRate } from '../../models/sgd/learning-rate.js';
import type { LocalTrainer } from './strategy.js';

/**
 * Descends on BPR over the participant's own samples: one of its steps is one step of an epoch, and moves its users,
 * which stay at home, as well as the items. Rows of the items have their bias behind their factors: see `sgdColumns`.
 */
export class BprTrainer implements LocalTrainer {
  /** Interactions: each is a sample once an epoch. */
  readonly weight: number;
  readonly #source: SampleSource;
  readonly #users: Float32Array;
  #step: number;

  /**
   * @param source `block` keeps the draws of one participant apart from those of the others.
   * @param users  changed with every step, f32 [users, K + 1]: see `initSgdRows`.
   * @param step   steps taken in rounds before this one. @default 0
   */
  constructor(source: SampleSource, users: Float32Array, step = 0) {
    this.#source = source;
    this.#users = users;
    this.#step = step;
    this.weight = source.interactions.ptr[source.interactions.rows]!;
  }

  get learningRate(): number {
    return learningRate(this.#source.settings, this.#step);
  }

  /** Steps so far: what a later round goes on with. */
  get steps(): number {
    return this.#step;
  }

  step(items: Float32Array): void {
    const { settings } = this.#source;
    const { factors, regularization } = settings;
    const columns = factors + 1;
    const { items: rows, steps } = drawSamples(this.#source, this.#step, this.#step + 1);
    const local = new Float32Array(rows.length * columns);
    for (const [place, row] of rows.entries()) {
      local.set(items.subarray(row * columns, (row + 1) * columns), place * columns);
    }
    bprStep(
      steps[0]!,
      { users: this.#users, items: local, counts: new Uint32Array(rows.length), factors },
      { learningRate: this.learningRate, regularization },
    );
    for (const [place, row] of rows.entries()) {
      items.set(local.subarray(place * columns, (place + 1) * columns), row * columns);
    }
    this.#step++;
  }
}
