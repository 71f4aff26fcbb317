// The model that is served now. Swapping it is one assignment: who began on the old model ends on it.

import { availableParallelism } from 'node:os';
import type { Registry } from 'prom-client';
import { StateError } from '../../common/errors.js';
import type { LoadedModel } from '../registry/model-folder.js';
import { RankPool } from './rank-pool.js';
import { Recommender } from './recommender.js';
import { ServingMetrics } from './serving-metrics.js';

/** Beyond this the event loop, not the ranking, bounds one process; `stoa serve` takes more processes instead. */
const THREADS_MAX = 8;

export interface ServingHostOptions {
  /** Ranking threads. @default one less than the processor has, 1 to 8 */
  threads?: number;
  /** Where the metrics of serving are added. @default a new one */
  registry?: Registry;
}

export class ServingHost {
  readonly metrics: ServingMetrics;
  readonly #pool: RankPool;
  readonly #listeners: ((model: LoadedModel) => void)[] = [];
  #current: Recommender | undefined;

  constructor(options: ServingHostOptions = {}) {
    const threads = options.threads ?? Math.min(THREADS_MAX, Math.max(1, availableParallelism() - 1));
    this.#pool = new RankPool(threads);
    this.metrics = new ServingMetrics(options.registry, () => this.#pool.waiting);
  }

  get hasModel(): boolean {
    return this.#current !== undefined;
  }

  /** The recommender to answer one request with, start to end. @throws {StateError} `STOA_NO_MODEL`. */
  current(): Recommender {
    if (this.#current !== undefined) return this.#current;
    throw new StateError(
      'STOA_NO_MODEL',
      'no model is loaded; promote one ("stoa model promote VERSION") and try again',
    );
  }

  /** Serves another model from now on. Requests in flight end on the old one, whose memory goes with the last. */
  swap(model: LoadedModel): void {
    this.#pool.start();
    this.#current = new Recommender(model, this.#pool.rank);
    this.metrics.serves(model);
    for (const listener of this.#listeners) listener(model);
  }

  /** Calls back at each swap, and at once when there is a model. */
  onModel(listener: (model: LoadedModel) => void): void {
    this.#listeners.push(listener);
    if (this.#current !== undefined) listener(this.#current.model);
  }

  /** Lets rankings in progress end, then stops the threads. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}
