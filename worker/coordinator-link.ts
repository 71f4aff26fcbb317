// A worker's connections to one coordinator: one for control, one for data.

import type { ChannelOptions, Client, ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import { formatAddress, type HostPort } from '../common/addresses.js';
import { SystemError } from '../common/errors.js';
import { fromServiceError } from '../common/grpc-client-errors.js';
import { channelCredentials, type TlsOptions } from '../common/grpc-security.js';
import { services } from '../common/grpc-services.js';
import type { ParametersServiceClient } from '../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { WorkerServiceClient } from '../proto/generated/stoa/training/v1/WorkerService.js';

/** As the coordinator's: the Gram of 1024 factors in one message. */
const MESSAGE_BYTES_MAX = 8 << 20;
/** What may be in flight on a stream: with the default of 64 KB streams reach half the speed, with 1 MB three quarters. */
const WINDOW_BYTES = 4 << 20;
/** Deadline of calls that the coordinator answers at once. */
const CALL_MS = 10_000;

const OPTIONS: ChannelOptions = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc-node.flow_control_window': WINDOW_BYTES,
  // Retries are ours: repeating a stream half way would confuse the coordinator's accounts.
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // A coordinator that restarts is found again at once; without it grpc-js waits up to two minutes. A second here is a
  // second in which nobody works.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 300,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** A method of a service definition, with the types of its messages. */
interface Method<Request, Response> {
  path: string;
  requestSerialize: (value: Request) => Buffer;
  responseDeserialize: (bytes: Buffer) => Response;
}

/** Methods of the coordinator, for `CoordinatorLink.call`. */
export const CONTROL = services.training.v1.WorkerService.service;
export const PARAMETERS = services.parameters.v1.ParametersService.service;

export class CoordinatorLink {
  readonly address: HostPort;
  /** Sessions and leases: a connection of its own, so that no stream of rows holds up a heartbeat. */
  readonly control: WorkerServiceClient;
  readonly data: WorkerServiceClient;
  readonly parameters: ParametersServiceClient;

  constructor(address: HostPort, tls: TlsOptions) {
    this.address = address;
    const target = formatAddress(address);
    const credentials = channelCredentials(address.host, tls);
    const { training, parameters } = services;
    const controlOptions = { ...OPTIONS, 'grpc.use_local_subchannel_pool': 1 };
    this.control = new training.v1.WorkerService(target, credentials, controlOptions);
    this.data = new training.v1.WorkerService(target, credentials, OPTIONS);
    this.parameters = new parameters.v1.ParametersService(target, credentials, OPTIONS);
  }

  get target(): string {
    return formatAddress(this.address);
  }

  /**
   * Makes a unary call over the client that has the connection wanted.
   *
   * @throws {StoaError} what the coordinator said; `STOA_UNREACHABLE`, `STOA_DEADLINE`; the signal's reason.
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

  close(): void {
    this.control.close();
    this.data.close();
    this.parameters.close();
  }
}
