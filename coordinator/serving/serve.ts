// `stoa serve`: one model folder, answered over gRPC and, when asked for, over REST.

import { collectDefaultMetrics } from 'prom-client';
import type { HostPort } from '../../common/addresses.js';
import type { TlsOptions } from '../../common/grpc-security.js';
import type { ErrorLog } from '../grpc-errors.js';
import { type GrpcServer, startGrpcServer } from '../grpc-server.js';
import { type LoadedModel, openModel } from '../registry/model-folder.js';
import { RECOMMEND_SERVICE, recommendService } from './recommend-service.js';
import type { RestServer } from './rest-server.js';
import { ServingHost } from './serving-host.js';

export interface ServingOptions {
  /** Folder of a model, or of a run that has one. It is read once: a model that changes there is not loaded again. */
  model: string;
  /** gRPC; port 0 lets the system choose. */
  listen: HostPort;
  /** REST; absent: none. */
  http?: HostPort;
  tls: TlsOptions;
  log: ErrorLog;
  /** Ranking threads. @default one less than the processor has, 1 to 8 */
  threads?: number;
}

export interface Serving {
  readonly address: HostPort;
  readonly httpAddress?: HostPort;
  readonly model: LoadedModel;
  /**
   * NOT_SERVING at once; requests in progress end, at most `graceMs`, then everything is freed.
   *
   * @param graceMs @default 10 000
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * @throws errors of `openModel`, `startGrpcServer` and `startRestServer`; nothing is left running.
 */
export async function startServing(options: ServingOptions): Promise<Serving> {
  const { listen, tls, log, threads } = options;
  const model = await openModel(options.model);
  const host = new ServingHost({ threads });
  let grpc: GrpcServer | undefined;
  let rest: RestServer | undefined;
  const close = async (graceMs?: number): Promise<void> => {
    await Promise.all([grpc?.close(graceMs), rest?.close(graceMs)]);
    await host.close();
  };
  try {
    host.swap(model);
    grpc = await startGrpcServer({ listen, tls, services: [recommendService(host, log)] });
    if (options.http !== undefined) {
      // Fastify and its page take 100 ms to load; who does not ask for REST does not wait for them.
      const { startRestServer } = await import('./rest-server.js');
      collectDefaultMetrics({ register: host.metrics.registry });
      rest = await startRestServer({ host, listen: options.http, tls, log });
    }
  } catch (error) {
    await close(0);
    throw error;
  }
  grpc.setServing(RECOMMEND_SERVICE, true);
  grpc.setServing('', true);
  return { address: grpc.address, httpAddress: rest?.address, model, close };
}
