// The typed client that a platform's backend imports.

import { services } from '../common/grpc-services.js';
import type { RecommendRequest } from '../proto/generated/stoa/recommend/v1/RecommendRequest.js';
import type { RecommendResponse__Output } from '../proto/generated/stoa/recommend/v1/RecommendResponse.js';
import type { RecommendServiceClient } from '../proto/generated/stoa/recommend/v1/RecommendService.js';
import type { SimilarItemsRequest } from '../proto/generated/stoa/recommend/v1/SimilarItemsRequest.js';
import type { SimilarItemsResponse__Output } from '../proto/generated/stoa/recommend/v1/SimilarItemsResponse.js';
import { type CallSettings, type ClientOptions, connect, UnaryCaller } from './channel.js';
import type { Connections } from './connections.js';

const METHODS = services.recommend.v1.RecommendService.service;

/**
 * Asks a server for recommendations. All calls are safe to repeat and are tried again while the server is away,
 * within the deadline. Errors are StoaErrors with `code` and, where a field is wrong, `fields.field`.
 *
 * ```ts
 * const client = new RecommendClient({ address: '127.0.0.1:7071' });
 * const { items, reason } = await client.recommend({ userId: 'ana', limit: 5 });
 * client.close();
 * ```
 */
export class RecommendClient {
  readonly #connections: Connections<RecommendServiceClient>;
  readonly #caller: UnaryCaller;

  /** Connects at the first call. @throws {UsageError} the address is not loopback and there is no TLS. */
  constructor(options: ClientOptions) {
    this.#connections = connect(services.recommend.v1.RecommendService, options);
    this.#caller = new UnaryCaller(this.#connections, options);
  }

  /** Ranks all items for one user. An unknown user gets popular items, and `reason` says so. */
  recommend(request: RecommendRequest, settings?: CallSettings): Promise<RecommendResponse__Output> {
    return this.#caller.idempotent(METHODS.Recommend, request, settings);
  }

  /** Answers many users, in the order asked. */
  async batchRecommend(
    requests: RecommendRequest[],
    settings?: CallSettings,
  ): Promise<RecommendResponse__Output[]> {
    const { responses } = await this.#caller.idempotent(METHODS.BatchRecommend, { requests }, settings);
    return responses;
  }

  /** Items nearest to one. @throws {NotFoundError} `STOA_NOT_FOUND_ITEM`. */
  similarItems(request: SimilarItemsRequest, settings?: CallSettings): Promise<SimilarItemsResponse__Output> {
    return this.#caller.idempotent(METHODS.SimilarItems, request, settings);
  }

  /** Closes the connection; calls in progress fail. */
  close(): void {
    this.#connections.close();
  }
}
