// What gRPC and REST have in common: check the request, answer it from the present model, count it.

import { type Clock, systemClock } from '../../common/clock.js';
import { StoaError } from '../../common/errors.js';
import { RANK_BATCH_MAX } from './rank-pool.js';
import {
  parseBatch,
  parseRecommend,
  parseSimilar,
  type RecommendInput,
  type SimilarInput,
} from './recommend-request.js';
import type { RecommendAnswer, SimilarAnswer } from './recommender.js';
import type { ServingHost } from './serving-host.js';

export class RecommendApi {
  readonly host: ServingHost;
  readonly #clock: Clock;

  constructor(host: ServingHost, clock: Clock = systemClock) {
    this.host = host;
    this.#clock = clock;
  }

  recommend(input: RecommendInput): Promise<RecommendAnswer> {
    return this.#measured(
      'Recommend',
      () => this.host.current().recommend(parseRecommend(input)),
      ({ reason }) => reason,
    );
  }

  /** Answers in the order asked, all from one model. */
  batchRecommend(inputs: readonly RecommendInput[]): Promise<RecommendAnswer[]> {
    return this.#measured('BatchRecommend', async () => {
      const queries = parseBatch(inputs);
      const recommender = this.host.current();
      const answers: RecommendAnswer[] = [];
      // A part at a time, so that single requests of others come in between.
      for (let start = 0; start < queries.length; start += RANK_BATCH_MAX) {
        const part = queries.slice(start, start + RANK_BATCH_MAX);
        answers.push(...(await Promise.all(part.map((query) => recommender.recommend(query)))));
      }
      return answers;
    });
  }

  similarItems(input: SimilarInput): Promise<SimilarAnswer> {
    return this.#measured('SimilarItems', () => this.host.current().similarItems(parseSimilar(input)));
  }

  async #measured<T>(
    method: string,
    answer: () => Promise<T>,
    reasonOf: (result: T) => string = () => '',
  ): Promise<T> {
    const start = this.#clock.nowMs();
    try {
      const result = await answer();
      this.host.metrics.answered(method, reasonOf(result), (this.#clock.nowMs() - start) / 1000);
      return result;
    } catch (error) {
      this.host.metrics.failed(method, error instanceof StoaError ? error.code : 'STOA_INTERNAL');
      throw error;
    }
  }
}
