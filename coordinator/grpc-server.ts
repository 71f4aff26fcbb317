// A gRPC server with what every server of Stoa has: TLS rules, health, reflection, bounds, a graceful end.

import type { Http2Server, ServerHttp2Session } from 'node:http2';
import {
  logVerbosity,
  Server,
  type ServerCredentials,
  type ServerInterceptor,
  type ServerOptions,
  type ServiceDefinition,
  setLogVerbosity,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import { formatAddress, type HostPort } from '../common/addresses.js';
import { messageOf, SystemError } from '../common/errors.js';
import { serverCredentials, type TlsOptions } from '../common/grpc-security.js';
import { reflectionDefinition } from '../common/grpc-services.js';
import { CallGate } from './grpc-call-gate.js';

/** Greatest request: a batch of 1000 requests with long ids and exclusions fits, a bomb does not. */
const MESSAGE_BYTES_MAX = 4 << 20;
/** Streams of one connection at once: a worker uses a dozen, a backend with a pool some hundred. */
const STREAMS_MAX = 256;
/** Bytes that may be in flight on a connection. The HTTP/2 default of 64 KB halves the throughput of row streams. */
const WINDOW_BYTES = 4 << 20;
/** How long `close` lets calls finish. */
const GRACE_MS = 10_000;
/** How long connections have to take the end of their calls. */
const CUT_MS = 500;

export interface GrpcServiceEntry {
  /** Full name for the health service, e.g. "stoa.recommend.v1.RecommendService". */
  name: string;
  definition: ServiceDefinition;
  implementation: UntypedServiceImplementation;
}

export interface GrpcServerOptions {
  /** Port 0 lets the system choose. */
  listen: HostPort;
  tls: TlsOptions;
  /** Instead of those that `tls` names. */
  credentials?: ServerCredentials;
  /** What calls pass after the bounds that hold for all. */
  interceptors?: readonly ServerInterceptor[];
  services: readonly GrpcServiceEntry[];
  /** Greatest message that is taken in, bytes; what is sent is bounded by who makes it. @default 4 MiB */
  maxMessageBytes?: number;
}

export interface GrpcServer {
  readonly server: Server;
  /** With the port that was bound. */
  readonly address: HostPort;
  /** Health of one service, or of the whole server (""). All are NOT_SERVING until they are set. */
  setServing(service: string, isServing: boolean): void;
  /**
   * Health NOT_SERVING, no new calls; calls in progress may end. After `graceMs` the rest is UNAVAILABLE.
   *
   * @param graceMs @default 10 000
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts a server with the given services, the standard health service and reflection.
 *
 * @throws {SystemError} `STOA_PORT_IN_USE`, or `STOA_ACCESS` when the address is not ours to bind.
 * @throws {UsageError} the address is not loopback and there is neither TLS nor `insecure`.
 */
export async function startGrpcServer(options: GrpcServerOptions): Promise<GrpcServer> {
  // grpc-js prints errors that it also reports; they are shown once, in our words.
  if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);
  const credentials = options.credentials ?? serverCredentials(options.listen.host, options.tls);
  const gate = new CallGate();
  const interceptors = [gate.interceptor, ...(options.interceptors ?? [])];
  const server = new Server(channelOptions(options.maxMessageBytes ?? MESSAGE_BYTES_MAX, interceptors));
  for (const { definition, implementation } of options.services) {
    server.addService(definition, implementation);
  }
  const health = new HealthImplementation();
  const names = ['', ...options.services.map(({ name }) => name)];
  for (const name of names) health.setStatus(name, 'NOT_SERVING');
  health.addToServer(server);
  new ReflectionService(reflectionDefinition(), { services: names.slice(1) }).addToServer(server);

  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(formatAddress(options.listen), credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(explainBind(error, options.listen)),
    );
  });
  widenWindows(server);
  const address = { host: options.listen.host, port };
  return {
    server,
    address,
    setServing: (service, isServing) => health.setStatus(service, isServing ? 'SERVING' : 'NOT_SERVING'),
    close: (graceMs = GRACE_MS) => {
      for (const name of names) health.setStatus(name, 'NOT_SERVING');
      return shutDown(server, gate, address, graceMs);
    },
  };
}

/** Turns the error of a failed bind into one that a user can act on. */
export function explainBind(error: unknown, listen: HostPort): unknown {
  const text = messageOf(error);
  const address = formatAddress(listen);
  if (/EADDRINUSE/.test(text)) {
    return new SystemError(
      'STOA_PORT_IN_USE',
      `${address} is in use by another program; stop it or choose another port (0 takes any free one)`,
      { fields: { address }, cause: error },
    );
  }
  if (/EACCES|EADDRNOTAVAIL|ENOTFOUND|EAI_AGAIN|Name resolution|No addresses resolved/i.test(text)) {
    return new SystemError(
      'STOA_ACCESS',
      `cannot listen on ${address} (${text}); give an address of this machine and a port that you may use`,
      { fields: { address }, cause: error },
    );
  }
  return error;
}

function channelOptions(maxMessageBytes: number, interceptors: ServerInterceptor[]): ServerOptions {
  return {
    'grpc.max_receive_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': STREAMS_MAX,
    // Channelz keeps a record of every connection and call; nothing reads it.
    'grpc.enable_channelz': 0,
    // Finds peers that vanished without a goodbye. Below 30 s, pings break calls on a connection that is draining.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    interceptors,
  };
}

/**
 * Gives every connection a window of `WINDOW_BYTES` for what it sends us. `grpc-node.flow_control_window` does that
 * for clients only (grpc-js 1.14), and the server keeps its HTTP/2 servers to itself; where that changes, the default
 * window is used and streams are slower.
 */
function widenWindows(server: Server): void {
  const http2Servers = (server as unknown as { http2Servers?: Map<Http2Server, unknown> }).http2Servers;
  if (!(http2Servers instanceof Map)) return;
  for (const http2Server of http2Servers.keys()) {
    http2Server.on('session', (session: ServerHttp2Session) => {
      session.settings({ initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: STREAMS_MAX });
      session.setLocalWindowSize(WINDOW_BYTES);
    });
  }
}

/**
 * `tryShutdown` alone never ends while a stream is open: after the grace time calls are ended with UNAVAILABLE, and
 * `drain` then cuts connections that do not take even that. (`forceShutdown` finds none without channelz, grpc-js 1.14.)
 */
async function shutDown(server: Server, gate: CallGate, address: HostPort, graceMs: number): Promise<void> {
  // Streams that would never end by themselves; the watchers of health have been told NOT_SERVING already.
  for (const prefix of ['/grpc.health.', '/grpc.reflection.']) gate.endAll(prefix);
  const timer = setTimeout(() => gate.endAll(), graceMs);
  server.drain(formatAddress(address), graceMs + CUT_MS);
  await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
  clearTimeout(timer);
}
