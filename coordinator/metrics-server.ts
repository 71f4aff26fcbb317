// Prometheus metrics on a port of their own, so that they need not be where requests are answered.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { formatAddress, type HostPort, isLoopback } from '../common/addresses.js';
import { UsageError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import { explainBind } from './grpc-server.js';

export interface MetricsServer {
  /** With the port that was bound. */
  readonly address: HostPort;
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics`.
 *
 * @throws {UsageError} the address is not loopback and `insecure` is not set; {SystemError} `STOA_PORT_IN_USE`.
 */
export async function startMetricsServer(
  listen: HostPort,
  registry: Registry,
  tls: TlsOptions,
): Promise<MetricsServer> {
  if (!isLoopback(listen.host) && tls.insecure !== true) {
    throw new UsageError(
      'STOA_USAGE',
      `refusing to show metrics on ${formatAddress(listen)}: they have no TLS; use 127.0.0.1, or --insecure on a network you trust`,
      { fields: { field: '--metrics' } },
    );
  }
  const server = createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('only GET /metrics is here\n');
      return;
    }
    response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics());
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explainBind(error, listen)));
    server.listen(listen.port, listen.host, resolve);
  });
  return {
    address: { host: listen.host, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
