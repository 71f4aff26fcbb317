// What every call of a server passes: it is counted, its metadata are bounded, and it can be ended from outside.

import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  ServerListenerBuilder,
  status,
} from '@grpc/grpc-js';

/** Metadata of one request: real clients send some hundred bytes. */
const METADATA_PAIRS_MAX = 32;
const METADATA_BYTES_MAX = 8 << 10;

export class CallGate {
  /** Calls that have begun and not ended, with the paths of their methods. */
  readonly #open = new Map<ServerInterceptingCallInterface, string>();

  readonly interceptor: ServerInterceptor = (method, call) => {
    this.#open.set(call, method.path);
    const isOver = () => this.#open.delete(call);
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next(
          new ServerListenerBuilder()
            .withOnReceiveMetadata((metadata, forward) => {
              if (isWithinBounds(metadata)) forward(metadata);
              else end(call, status.RESOURCE_EXHAUSTED, METADATA_REFUSAL);
            })
            .withOnCancel(isOver)
            .build(),
        ),
      sendStatus: (callStatus, next) => {
        isOver();
        next(callStatus);
      },
    });
  };

  /** Ends all calls, or those of methods below a path, with UNAVAILABLE; their handlers see them cancelled. */
  endAll(pathPrefix = ''): void {
    for (const [call, path] of this.#open) {
      if (!path.startsWith(pathPrefix)) continue;
      end(call, status.UNAVAILABLE, 'this server is shutting down; call another one');
      this.#open.delete(call);
    }
  }
}

const METADATA_REFUSAL = `metadata beyond ${METADATA_PAIRS_MAX} entries or ${METADATA_BYTES_MAX} bytes; send less`;

function end(call: ServerInterceptingCallInterface, code: status, details: string): void {
  call.sendStatus({ code, details, metadata: new Metadata() });
}

function isWithinBounds(metadata: Metadata): boolean {
  let pairs = 0;
  let bytes = 0;
  for (const [key, values] of Object.entries(metadata.toJSON())) {
    pairs += values.length;
    for (const value of values) bytes += key.length + value.length;
  }
  return pairs <= METADATA_PAIRS_MAX && bytes <= METADATA_BYTES_MAX;
}
