import { Client, type ServiceError } from '@grpc/grpc-js';
import { service } from 'grpc-health-check';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import { channelCredentials } from '../../common/grpc-security.js';

/** The standard health of one service of a server: "SERVING", "NOT_SERVING". */
export async function healthOf(address: HostPort, name: string): Promise<string> {
  const client = new Client(formatAddress(address), channelCredentials(address.host, {}));
  const { path, requestSerialize, responseDeserialize } = service['Check']!;
  try {
    return await new Promise<string>((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { service: name },
        (error: ServiceError | null, response) =>
          error === null ? resolve((response as { status: string }).status) : reject(error),
      );
    });
  } finally {
    client.close();
  }
}

export interface HealthWatcher {
  /** Every status so far. */
  seen: string[];
  /** Resolves at the next status. */
  next(): Promise<void>;
  close(): void;
}

/** Watches the health of a whole server until it ends. */
export function watchHealth(address: HostPort): HealthWatcher {
  const client = new Client(formatAddress(address), channelCredentials(address.host, {}));
  const { path, requestSerialize, responseDeserialize } = service['Watch']!;
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
  const seen: string[] = [];
  call.on('data', ({ status }: { status: string }) => seen.push(status));
  // It ends with UNAVAILABLE when the server does.
  call.on('error', () => undefined);
  return {
    seen,
    next: () => new Promise((resolve) => call.once('data', () => resolve())),
    close: () => client.close(),
  };
}
