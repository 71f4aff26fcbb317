import type { ChannelCredentials, ChannelOptions, Client } from '@grpc/grpc-js';
import { formatAddress, type HostPort, parseAddress, parseAddresses } from '../common/addresses.js';
import { StoaError } from '../common/errors.js';
import { channelCredentials, type TlsOptions } from '../common/grpc-security.js';

type ServiceClass<T extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options: ChannelOptions,
) => T;

/** Leaders that were named and not given at first are remembered, up to this many. */
const ADDRESSES_MAX = 16;

/**
 * Connections to servers that stand in for one another. Calls go to one of them, until it turns out to be the wrong
 * one; then to the one that it names as the leader, or to the next.
 */
export class Connections<T extends Client> {
  readonly #ServiceClass: ServiceClass<T>;
  readonly #tls: TlsOptions;
  readonly #options: ChannelOptions;
  readonly #addresses: HostPort[];
  #at = 0;
  #client: T;

  /**
   * Connects at the first call.
   *
   * @param addresses "HOST:PORT[,HOST:PORT…]", or one address in parts.
   * @throws {UsageError} an address is none, or is not loopback and there is no TLS.
   */
  constructor(
    ServiceClass: ServiceClass<T>,
    addresses: string | HostPort,
    tls: TlsOptions,
    options: ChannelOptions,
  ) {
    this.#ServiceClass = ServiceClass;
    this.#tls = tls;
    this.#options = options;
    this.#addresses = typeof addresses === 'string' ? parseAddresses(addresses, 'address') : [addresses];
    this.#client = this.#connect();
  }

  /** The client of the server that is asked now. */
  get client(): T {
    return this.#client;
  }

  /** "HOST:PORT" of the server that is asked now, for messages. */
  get address(): string {
    return formatAddress(this.#addresses[this.#at]!);
  }

  get hasOthers(): boolean {
    return this.#addresses.length > 1;
  }

  /** Asks another server from now on, if there is another: the one that the error names, or the next. */
  moveOn(error: unknown): void {
    const named = leaderNamedBy(error);
    const next = named === undefined ? (this.#at + 1) % this.#addresses.length : this.#indexOf(named);
    if (next === this.#at) return;
    this.#at = next;
    // Calls in progress on it fail, which is no loss: it does not answer, or refuses.
    this.#client.close();
    this.#client = this.#connect();
  }

  /** Closes the connection; calls in progress fail. */
  close(): void {
    this.#client.close();
  }

  #connect(): T {
    const address = this.#addresses[this.#at]!;
    return new this.#ServiceClass(
      formatAddress(address),
      channelCredentials(address.host, this.#tls),
      this.#options,
    );
  }

  #indexOf(address: HostPort): number {
    const text = formatAddress(address);
    const index = this.#addresses.findIndex((known) => formatAddress(known) === text);
    if (index >= 0) return index;
    if (this.#addresses.length >= ADDRESSES_MAX) return (this.#at + 1) % this.#addresses.length;
    return this.#addresses.push(address) - 1;
  }
}

/** True when a server refused since it does not lead: nothing was done. */
export function isNotLeader(error: unknown): boolean {
  return error instanceof StoaError && error.code === 'STOA_NOT_LEADER';
}

function leaderNamedBy(error: unknown): HostPort | undefined {
  const leader = isNotLeader(error) ? (error as StoaError).fields['leader'] : undefined;
  if (typeof leader !== 'string' || leader === '') return undefined;
  try {
    return parseAddress(leader, 'leader');
  } catch {
    return undefined;
  }
}
