// A client's connection to one server of Stoa: calls with deadlines, streams that end, errors in our words.

import type { ChannelOptions, Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { formatAddress, type HostPort } from './addresses.js';
import { SystemError } from './errors.js';
import { fromServiceError } from './grpc-client-errors.js';

/** As a server's: the Gram of 1024 factors in one message. */
const MESSAGE_BYTES_MAX = 8 << 20;
/** What may be in flight on a stream: with the default of 64 KB streams reach half the speed, with 1 MB three quarters. */
const WINDOW_BYTES = 4 << 20;
/** Deadline of calls that are answered at once. */
const CALL_MS = 10_000;

/** Options of the channels between the processes of a cluster. */
export const LINK_OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  // Retries are ours: repeating a stream half way would confuse the server's accounts.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A server that restarts is found again at once; without it grpc-js waits up to two minutes. A second here is a
  // second in which nobody works.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 300,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** A method of a service definition, with the types of its messages. */
export interface Method<Request, Response> {
  path: string;
  requestSerialize: (value: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

export class GrpcLink {
  readonly address: HostPort;

  constructor(address: HostPort) {
    this.address = address;
  }

  get target(): string {
    return formatAddress(this.address);
  }

  /**
   * Makes a unary call over the client that has the connection wanted.
   *
   * @throws {StoaError} what the server said; `STOA_UNREACHABLE`, `STOA_DEADLINE`; the signal's reason.
   */
  call<Request, Response>(
    client: Client,
    { path, requestSerialize, responseDeserialize }: Method<Request, Response>,
    request: Request,
    { signal, timeoutMs = CALL_MS }: { signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        call.cancel();
        reject(signal!.reason);
      };
      const options = { deadline: Date.now() + timeoutMs };
      const settle = (error: ServiceError | null, response?: Response) => {
        signal?.removeEventListener('abort', onAbort);
        if (error === null) resolve(response!);
        else reject(this.explain(error));
      };
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        options,
        settle,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /**
   * Messages of a server's stream. Leaving the loop early, an abort, or silence of `silenceMsMax` end the call.
   *
   * @throws as `call`.
   */
  async *stream<Message>(
    call: ClientReadableStream<Message>,
    signal: AbortSignal,
    silenceMsMax = 30_000,
  ): AsyncGenerator<Message, void, undefined> {
    let isSilent = false;
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    const timer = setTimeout(() => {
      isSilent = true;
      call.cancel();
    }, silenceMsMax);
    let isComplete = false;
    try {
      for await (const message of call) {
        timer.refresh();
        yield message as Message;
      }
      isComplete = true;
    } catch (error) {
      isComplete = true;
      signal.throwIfAborted();
      if (isSilent)
        throw new SystemError('STOA_UNREACHABLE', `${this.target} sent nothing for ${silenceMsMax / 1000} s`);
      throw this.explain(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
      if (!isComplete) call.cancel();
    }
  }

  explain(error: unknown): Error {
    return fromServiceError(error, this.target);
  }
}
