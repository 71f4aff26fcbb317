// stoa.recommend.v1.RecommendService over gRPC.

import { StoaError } from '../../common/errors.js';
import { services } from '../../common/grpc-services.js';
import type { RecommendServiceHandlers } from '../../proto/generated/stoa/recommend/v1/RecommendService.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import type { GrpcServiceEntry } from '../grpc-server.js';
import { RecommendApi } from './recommend-api.js';
import type { ServingHost } from './serving-host.js';

export const RECOMMEND_SERVICE = 'stoa.recommend.v1.RecommendService';

/** The service, to be given to `startGrpcServer`. Its health is set by who owns the server. */
export function recommendService(host: ServingHost, log?: ErrorLog): GrpcServiceEntry {
  const api = new RecommendApi(host);
  const implementation: RecommendServiceHandlers = {
    Recommend: unary((request) => api.recommend(request), log),
    BatchRecommend: unary(async ({ requests }) => ({ responses: await api.batchRecommend(requests) }), log),
    SimilarItems: unary((request) => api.similarItems(request), log),
    Explain: unary(() => notBuilt('Explain', 'explanations of a score'), log),
    RecordEvents: unary(() => notBuilt('RecordEvents', 'counting interactions after training'), log),
    ForgetUser: unary(() => notBuilt('ForgetUser', 'removing what is stored about a user'), log),
  };
  return {
    name: RECOMMEND_SERVICE,
    definition: services.recommend.v1.RecommendService.service,
    implementation: { ...implementation },
  };
}

function notBuilt(method: string, what: string): never {
  throw new StoaError(
    'STOA_UNIMPLEMENTED',
    `${method} is not built yet: this version lacks ${what}; use Recommend, BatchRecommend and SimilarItems`,
  );
}
