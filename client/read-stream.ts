import type { ClientReadableStream } from '@grpc/grpc-js';
import { fromServiceError } from '../common/grpc-client-errors.js';

/**
 * The messages of a server stream; errors are StoaErrors. Leaving the loop cancels the call.
 *
 * A grpc-js stream that fails before somebody iterates it looks like an empty one, and its error is thrown at nobody.
 * Here the error is kept from the start.
 */
export function readStream<T>(call: ClientReadableStream<T>, address: string): AsyncGenerator<T> {
  let failure: unknown;
  call.on('error', (error) => {
    failure = error;
  });
  return messagesOf<T>(call, () => {
    if (failure !== undefined) throw fromServiceError(failure, address);
  });
}

async function* messagesOf<T>(call: ClientReadableStream<T>, throwFailure: () => void): AsyncGenerator<T> {
  try {
    for await (const message of call) yield message as T;
  } catch (error) {
    throwFailure();
    throw error;
  } finally {
    call.cancel();
  }
  throwFailure();
}
