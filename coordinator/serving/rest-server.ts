// REST beside gRPC, for platforms without a gRPC client. No TLS yet: loopback, or a network that is trusted.

import type { AddressInfo } from 'node:net';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fastify, { type FastifyInstance } from 'fastify';
import { z } from 'zod';
import { formatAddress, type HostPort, isLoopback } from '../../common/addresses.js';
import { NotFoundError, UsageError } from '../../common/errors.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import type { ErrorLog } from '../grpc-errors.js';
import { explainBind } from '../grpc-server.js';
import { RecommendApi } from './recommend-api.js';
import { sendError } from './rest-errors.js';
import {
  batchBody,
  batchResponse,
  errorResponse,
  parseBody,
  parseRecommendQuery,
  parseSimilarQuery,
  recommendBody,
  recommendInput,
  recommendJson,
  recommendQuery,
  recommendResponse,
  similarJson,
  similarQuery,
  similarResponse,
} from './rest-schemas.js';
import type { ServingHost } from './serving-host.js';

/** As gRPC: the largest batch fits. */
const BODY_BYTES_MAX = 4 << 20;
/** Characters of an id in a path, percent-encoded. Beyond what HTTP headers hold; the id itself is checked later. */
const PATH_PARAMETER_MAX = 16_384;
const REQUEST_TIMEOUT_MS = 30_000;
/** How long `close` lets requests finish. */
const GRACE_MS = 10_000;

export interface RestServerOptions {
  host: ServingHost;
  listen: HostPort;
  tls: TlsOptions;
  log: ErrorLog;
}

export interface RestServer {
  /** With the port that was bound. */
  readonly address: HostPort;
  /**
   * Takes no more requests; those in progress may end within `graceMs`.
   *
   * @param graceMs @default 10 000
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * GET /v1/recommendations/{user_id}, POST /v1/recommend, POST /v1/recommend:batch, GET /v1/items/{item_id}/similar;
 * /healthz (the process lives), /readyz (a model is loaded), /metrics (Prometheus), /docs (OpenAPI).
 *
 * @throws {UsageError} the address is not loopback and `insecure` is not set.
 * @throws {SystemError} `STOA_PORT_IN_USE`.
 */
export async function startRestServer(options: RestServerOptions): Promise<RestServer> {
  const { host, listen, tls, log } = options;
  if (!isLoopback(listen.host) && tls.insecure !== true) {
    throw new UsageError(
      'STOA_USAGE',
      `refusing to serve REST on ${formatAddress(listen)}: it has no TLS yet; listen on 127.0.0.1 behind a proxy that has, or give --insecure on a network you trust`,
      { fields: { field: '--http' } },
    );
  }
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    routerOptions: { maxParamLength: PATH_PARAMETER_MAX },
    forceCloseConnections: 'idle',
    frameworkErrors: (error, _request, reply) => {
      sendError(reply, error, log);
    },
  });
  // Shapes are checked by the parsers that gRPC shares; the schemas of the routes are for the page.
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler((error, _request, reply) => sendError(reply, error, log));
  app.setNotFoundHandler((_request, reply) =>
    sendError(
      reply,
      new NotFoundError('STOA_NOT_FOUND_FILE', 'there is no such page; /docs lists those there are'),
      log,
    ),
  );
  await app.register(swagger, { openapi: { info: INFO } });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: PAGE_POLICY,
    // Else the page would ask a server on the internet about our API.
    uiConfig: { validatorUrl: null },
  });
  await app.register(async (scope) => {
    recommendRoutes(scope, new RecommendApi(host));
    operationRoutes(scope, host);
  });
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await app.close();
    throw explainBind(error, listen);
  }
  const { port } = app.server.address() as AddressInfo;
  return {
    address: { host: listen.host, port },
    close: async (graceMs = GRACE_MS) => {
      const timer = setTimeout(() => app.server.closeAllConnections(), graceMs);
      await app.close();
      clearTimeout(timer);
    },
  };
}

/** The page of /docs loads nothing from elsewhere, and works over plain HTTP. */
const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'; base-uri 'self'";

const INFO = {
  title: 'Stoa recommendations',
  description: 'The same answers as stoa.recommend.v1.RecommendService gives over gRPC.',
  version: '1',
};

function recommendRoutes(app: FastifyInstance, api: RecommendApi): void {
  app.get<{ Params: { user_id: string }; Querystring: Record<string, unknown> }>(
    '/v1/recommendations/:user_id',
    {
      schema: {
        summary: 'Ranks all items for one user, best first',
        params: jsonSchema(z.object({ user_id: z.string() })),
        querystring: jsonSchema(recommendQuery),
        response: responses(recommendResponse),
      },
    },
    async ({ params, query }) =>
      recommendJson(await api.recommend(parseRecommendQuery(params.user_id, query))),
  );
  app.post(
    '/v1/recommend',
    {
      schema: {
        summary: 'Ranks all items for one user, best first',
        body: jsonSchema(recommendBody),
        response: responses(recommendResponse),
      },
    },
    async ({ body }) => recommendJson(await api.recommend(recommendInput(parseBody(recommendBody, body)))),
  );
  app.post(
    // "::" is a colon of the path.
    '/v1/recommend::batch',
    {
      schema: {
        summary: 'Answers many users in one call, in the order asked',
        body: jsonSchema(batchBody),
        response: responses(batchResponse),
      },
    },
    async ({ body }) => {
      const { requests } = parseBody(batchBody, body);
      return { responses: (await api.batchRecommend(requests.map(recommendInput))).map(recommendJson) };
    },
  );
  app.get<{ Params: { item_id: string }; Querystring: Record<string, unknown> }>(
    '/v1/items/:item_id/similar',
    {
      schema: {
        summary: 'Lists the items nearest to one, by the cosine of their factors',
        params: jsonSchema(z.object({ item_id: z.string() })),
        querystring: jsonSchema(similarQuery),
        response: responses(similarResponse),
      },
    },
    async ({ params, query }) =>
      similarJson(await api.similarItems(parseSimilarQuery(params.item_id, query))),
  );
}

function operationRoutes(app: FastifyInstance, host: ServingHost): void {
  app.get('/healthz', { schema: { summary: 'The process lives' } }, () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { summary: 'A model is loaded: 200; none: 503' } }, () => ({
    status: 'ok',
    model_version: host.current().model.version,
  }));
  app.get('/metrics', { schema: { summary: 'Metrics for Prometheus' } }, async (_request, reply) => {
    const { registry } = host.metrics;
    return reply
      .type(registry.contentType)
      .serializer(String)
      .send(await registry.metrics());
  });
}

function responses(schema: z.ZodType): Record<string, unknown> {
  return { 200: jsonSchema(schema), default: jsonSchema(errorResponse) };
}

function jsonSchema(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: 'draft-7' });
  return rest;
}
