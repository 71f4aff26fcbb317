// How many bytes a message had: noted where it is read, asked for where calls are admitted.

import type { ServiceDefinition } from '@grpc/grpc-js';

/** Bytes of messages that were read, for as long as the messages are there. */
const sizes = new WeakMap<object, number>();

/** The definition of a service whose requests can be weighed by `messageBytes`. */
export function meteredDefinition(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer) => {
          const message = method.requestDeserialize(bytes) as object;
          sizes.set(message, bytes.length);
          return message;
        },
      },
    ]),
  );
}

/** Bytes of a message as it came; 0 of one whose service is not metered. */
export function messageBytes(message: unknown): number {
  return typeof message === 'object' && message !== null ? (sizes.get(message) ?? 0) : 0;
}
