// Streaming handlers with real back-pressure: grpc-js alone would buffer whatever is written, without bound.

import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  ServerReadableStream,
  ServerWritableStream,
  sendUnaryData,
} from '@grpc/grpc-js';
import { SystemError } from '../common/errors.js';
import { type ErrorLog, toServiceError } from './grpc-errors.js';

/** Messages on the way at once: with chunks of 1 MiB what fills the window. */
const IN_FLIGHT_MAX = 4;
/** A reader that takes nothing for this long is given up. */
const STALL_MS_MAX = 30_000;

/** Writes messages to one reader, no faster than it reads. */
export class StreamWriter<Response> {
  readonly #call: ServerWritableStream<unknown, Response>;
  readonly #stallMsMax: number;
  #inFlight = 0;
  #wake: (() => void) | undefined;

  constructor(call: ServerWritableStream<unknown, Response>, stallMsMax = STALL_MS_MAX) {
    this.#call = call;
    this.#stallMsMax = stallMsMax;
    call.on('cancelled', () => this.#wake?.());
  }

  get isCancelled(): boolean {
    return this.#call.cancelled;
  }

  /** Resolves when there is room for the next message. @throws {SystemError} the reader is gone or stalled. */
  async write(message: Response): Promise<void> {
    this.#inFlight++;
    this.#call.write(message, () => {
      this.#inFlight--;
      this.#wake?.();
    });
    await this.#untilAtMost(IN_FLIGHT_MAX - 1);
  }

  /** Resolves when everything was taken. */
  async flush(): Promise<void> {
    await this.#untilAtMost(0);
  }

  async #untilAtMost(count: number): Promise<void> {
    while (this.#inFlight > count) {
      if (this.isCancelled) throw new SystemError('STOA_UNREACHABLE', 'the reader of a stream has gone');
      const before = this.#inFlight;
      await this.#nextChange();
      if (this.#inFlight === before && !this.isCancelled) {
        throw new SystemError(
          'STOA_UNREACHABLE',
          `the reader of a stream took nothing for ${this.#stallMsMax / 1000} s; ask again`,
        );
      }
    }
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#stallMsMax);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/**
 * Reads the messages of a call one by one, no faster than they are taken. The iterator that streams have of their own
 * makes an error with a stack at the end of every call, which cost a tenth of what a small delivery costs.
 */
class MessageReader<Request> implements AsyncIterator<Request> {
  readonly #call: ServerReadableStream<Request, unknown>;
  #hasEnded = false;
  #failure: Error | undefined;
  #wake: () => void = () => {};

  constructor(call: ServerReadableStream<Request, unknown>) {
    this.#call = call;
    call.on('readable', () => this.#wake());
    call.on('end', () => {
      this.#hasEnded = true;
      this.#wake();
    });
    call.on('error', (error) => this.#fail(error));
    call.on('close', () =>
      this.#fail(new SystemError('STOA_UNREACHABLE', 'the sender of a stream has gone')),
    );
  }

  async next(): Promise<IteratorResult<Request, undefined>> {
    for (;;) {
      const message = this.#call.read() as Request | null;
      if (message !== null) return { done: false, value: message };
      if (this.#hasEnded) return { done: true, value: undefined };
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

/** A handler that answers one request with a stream. */
export function serverStream<Request, Response>(
  handler: (
    request: Request,
    writer: StreamWriter<Response>,
    call: ServerWritableStream<Request, Response>,
  ) => Promise<void>,
  log?: ErrorLog,
): handleServerStreamingCall<Request, Response> {
  return async (call) => {
    const writer = new StreamWriter<Response>(call);
    try {
      await handler(call.request, writer, call);
      call.end();
    } catch (error) {
      if (!call.cancelled) call.emit('error', toServiceError(error, log));
    }
  };
}

/** A handler that answers a stream with one response. It need not read the stream to its end. */
export function clientStream<Request, Response>(
  handler: (
    parts: AsyncIterator<Request>,
    call: ServerReadableStream<Request, Response>,
  ) => Promise<Response>,
  log?: ErrorLog,
): handleClientStreamingCall<Request, Response> {
  return async (
    call: ServerReadableStream<Request, Response>,
    callback: sendUnaryData<Response>,
  ): Promise<void> => {
    let response: Response;
    try {
      response = await handler(new MessageReader(call), call);
    } catch (error) {
      callback(toServiceError(error, log));
      return;
    }
    callback(null, response);
  };
}
