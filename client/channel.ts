// What both clients share: the channel, deadlines, errors, retries.

import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelCredentials, type ChannelOptions, type Client, status } from '@grpc/grpc-js';
import type { HostPort } from '../common/addresses.js';
import { StoaError } from '../common/errors.js';
import { fromServiceError, isServiceError } from '../common/grpc-client-errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import { Connections, isNotLeader } from './connections.js';

/** A request that took longer would be shown to nobody. */
const DEADLINE_MS = 10_000;
/** Tries of a call that is safe to repeat: enough to outlive the restart of one of several servers. */
const ATTEMPTS_MAX = 4;
const BACKOFF_MS = 100;
/** How long one of several servers may be silent before the next is asked; longer each time. */
const ATTEMPT_MS = 3000;
const BACKOFF_MS_MAX = 2000;
/** The same where servers stand in for one another: one of them is about to take over. */
const BACKOFF_MS_MAX_OTHERS = 400;

export interface ClientOptions extends TlsOptions {
  /** "HOST:PORT" or its parts; several that stand in for one another as "HOST:PORT,HOST:PORT". */
  address: string | HostPort;
  /** For each call, retries included. @default 10 000 */
  deadlineMs?: number;
}

export interface CallSettings {
  /** Instead of the client's. */
  deadlineMs?: number;
  /** Tries again until the deadline, however often: for a server that is known to be coming back. @default false */
  isPatient?: boolean;
  /** Gives the call up; it then fails with STOA_INTERRUPTED. */
  signal?: AbortSignal;
}

/** Options of every channel. */
const CHANNEL_OPTIONS: ChannelOptions = {
  // The retries below know which calls are safe to repeat.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A server that restarts is found again at once; without it grpc-js waits up to two minutes.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A batch of answers is larger than the usual bound of 4 MiB.
  'grpc.max_receive_message_length': 64 << 20,
  // The HTTP/2 default of 64 KB halves the throughput of streams.
  'grpc-node.flow_control_window': 1 << 20,
  // Finds a server that vanished without a goodbye. Below 30 s, pings break calls on a connection that is draining.
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Connects at the first call. @throws {UsageError} an address is not loopback and there is no TLS. */
export function connect<T extends Client>(
  ServiceClient: new (address: string, credentials: ChannelCredentials, options: ChannelOptions) => T,
  options: ClientOptions,
): Connections<T> {
  return new Connections(ServiceClient, options.address, options, CHANNEL_OPTIONS);
}

/** A unary method, as the generated service definitions have them. */
export interface UnaryMethod<Request, Response> {
  path: string;
  requestSerialize: (value: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

export class UnaryCaller {
  readonly #connections: Connections<Client>;
  readonly #deadlineMs: number;

  constructor(connections: Connections<Client>, options: ClientOptions) {
    this.#connections = connections;
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  }

  /** Calls once, at the leader where there is one. @throws {StoaError} what the server said, or STOA_UNREACHABLE, STOA_DEADLINE, STOA_INTERRUPTED. */
  async once<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: NoInfer<Request>,
    settings: CallSettings = {},
  ): Promise<Response> {
    const deadline = this.#deadline(settings);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#call(method, request, deadline, settings.signal);
      } catch (error) {
        if (!isNotLeader(error) || !(await this.#mayTryElsewhere(error, attempt, deadline, settings)))
          throw error;
      }
    }
  }

  /**
   * Calls a method that is safe to repeat: UNAVAILABLE is tried again within the deadline, at the same server a few
   * times, at servers that stand in for one another as long as there is time.
   */
  async idempotent<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: NoInfer<Request>,
    settings: CallSettings = {},
  ): Promise<Response> {
    const deadline = this.#deadline(settings);
    let unavailable: unknown;
    for (let attempt = 1; ; attempt++) {
      try {
        const patienceMs = this.#connections.hasOthers ? ATTEMPT_MS * attempt : Number.POSITIVE_INFINITY;
        const attemptEnd = Math.min(deadline, Date.now() + patienceMs);
        return await this.#call(method, request, attemptEnd, settings.signal);
      } catch (error) {
        const isSilent = isDeadline(error) && Date.now() < deadline;
        // That nobody was there says more than that the time is up.
        if (!isUnavailable(error) && !isNotLeader(error) && !isSilent)
          throw isDeadline(error) ? (unavailable ?? error) : error;
        unavailable = error;
        const mayLast = settings.isPatient === true || isNotLeader(error) || this.#connections.hasOthers;
        if (
          (attempt >= ATTEMPTS_MAX && !mayLast) ||
          !(await this.#mayTryElsewhere(error, attempt, deadline, settings))
        )
          throw error;
      }
    }
  }

  /** Moves on to another server and waits a little. False: there is no time for another try. */
  async #mayTryElsewhere(
    error: unknown,
    attempt: number,
    deadline: number,
    settings: CallSettings,
  ): Promise<boolean> {
    this.#connections.moveOn(error);
    const waitMs = backoffMs(attempt, this.#connections.hasOthers);
    if (Date.now() + waitMs >= deadline) return false;
    // An abort wakes it up; the next call then fails by itself.
    await sleep(waitMs, undefined, { signal: settings.signal }).catch(() => undefined);
    return true;
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
      const { client, address } = this.#connections;
      const call = client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        { deadline },
        (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error === null) resolve(response!);
          else reject(fromServiceError(error, address));
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
export function backoffMs(attempt: number, hasOthers = false): number {
  const longestMs = hasOthers ? BACKOFF_MS_MAX_OTHERS : BACKOFF_MS_MAX;
  return Math.random() * Math.min(longestMs, BACKOFF_MS * 2 ** (attempt - 1));
}
