// What both clients share: the channel, deadlines, errors, retries.

import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelCredentials, type ChannelOptions, type Client, status } from '@grpc/grpc-js';
import { formatAddress, type HostPort, parseAddress } from '../common/addresses.js';
import { StoaError } from '../common/errors.js';
import { fromServiceError, isServiceError } from '../common/grpc-client-errors.js';
import { channelCredentials, type TlsOptions } from '../common/grpc-security.js';

/** A request that took longer would be shown to nobody. */
const DEADLINE_MS = 10_000;
/** Tries of a call that is safe to repeat: enough to outlive the restart of one of several servers. */
const ATTEMPTS_MAX = 4;
const BACKOFF_MS = 100;
const BACKOFF_MS_MAX = 2000;

export interface ClientOptions extends TlsOptions {
  /** "HOST:PORT" or its parts. */
  address: string | HostPort;
  /** For each call, retries included. @default 10 000 */
  deadlineMs?: number;
}

export interface CallSettings {
  /** Instead of the client's. */
  deadlineMs?: number;
  /** Gives the call up; it then fails with STOA_INTERRUPTED. */
  signal?: AbortSignal;
}

/** Options of every channel. */
const CHANNEL_OPTIONS: ChannelOptions = {
  // The retries below know which calls are safe to repeat.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A batch of answers is larger than the usual bound of 4 MiB.
  'grpc.max_receive_message_length': 64 << 20,
  // The HTTP/2 default of 64 KB halves the throughput of streams.
  'grpc-node.flow_control_window': 1 << 20,
  // Finds a server that vanished without a goodbye. Below 30 s, pings break calls on a connection that is draining.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Connects at the first call. @throws {UsageError} the address is not loopback and there is no TLS. */
export function connect<T extends Client>(
  ServiceClient: new (address: string, credentials: ChannelCredentials, options: ChannelOptions) => T,
  options: ClientOptions,
): T {
  const address = hostPortOf(options.address);
  return new ServiceClient(
    formatAddress(address),
    channelCredentials(address.host, options),
    CHANNEL_OPTIONS,
  );
}

function hostPortOf(address: string | HostPort): HostPort {
  return typeof address === 'string' ? parseAddress(address, 'address') : address;
}

/** A unary method, as the generated service definitions have them. */
export interface UnaryMethod<Request, Response> {
  path: string;
  requestSerialize: (value: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

export class UnaryCaller {
  /** "HOST:PORT", for messages. */
  readonly address: string;
  readonly #client: Client;
  readonly #deadlineMs: number;

  constructor(client: Client, options: ClientOptions) {
    this.#client = client;
    this.address = formatAddress(hostPortOf(options.address));
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  }

  /** Calls once. @throws {StoaError} what the server said, or STOA_UNREACHABLE, STOA_DEADLINE, STOA_INTERRUPTED. */
  async once<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: NoInfer<Request>,
    settings: CallSettings = {},
  ): Promise<Response> {
    return this.#call(method, request, this.#deadline(settings), settings.signal);
  }

  /** Calls a method that is safe to repeat: UNAVAILABLE is tried again within the deadline. */
  async idempotent<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: NoInfer<Request>,
    settings: CallSettings = {},
  ): Promise<Response> {
    const deadline = this.#deadline(settings);
    let unavailable: unknown;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#call(method, request, deadline, settings.signal);
      } catch (error) {
        // That nobody was there says more than that the time is up.
        if (!isUnavailable(error)) throw isDeadline(error) ? (unavailable ?? error) : error;
        unavailable = error;
        const waitMs = backoffMs(attempt);
        if (attempt === ATTEMPTS_MAX || Date.now() + waitMs >= deadline) throw error;
        // An abort wakes it up; the next call then fails by itself.
        await sleep(waitMs, undefined, { signal: settings.signal }).catch(() => undefined);
      }
    }
  }

  #deadline({ deadlineMs = this.#deadlineMs }: CallSettings): number {
    return Date.now() + deadlineMs;
  }

  #call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: NoInfer<Request>,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline },
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(response!);
          else reject(fromServiceError(error, this.address));
        },
      );
      const cancel = () => call.cancel();
      if (signal?.aborted) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
  }
}

/** True when the server was not there or is leaving, as StoaError or as it comes from gRPC. */
export function isUnavailable(error: unknown): boolean {
  if (isServiceError(error)) return error.code === status.UNAVAILABLE;
  return (error as { grpcStatus?: number }).grpcStatus === status.UNAVAILABLE;
}

function isDeadline(error: unknown): boolean {
  return error instanceof StoaError && error.code === 'STOA_DEADLINE';
}

/** Between nothing and a bound that doubles, so that clients of a restarted server do not come back at once. */
export function backoffMs(attempt: number): number {
  return Math.random() * Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (attempt - 1));
}
