import { UsageError } from './errors.js';

export interface HostPort {
  /** Host name or IP address, without brackets. */
  host: string;
  /** 0 to 65535; 0 lets the system choose when listening. */
  port: number;
}

/** Parses `HOST:PORT` or `[IPv6]:PORT`. @throws {UsageError} `STOA_USAGE_ADDRESS`. */
export function parseAddress(text: string, flag: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const port = match === null ? Number.NaN : Number(match[3]);
  if (match === null || port > 65535) {
    throw new UsageError(
      'STOA_USAGE_ADDRESS',
      `${flag} "${text}" is not an address; write HOST:PORT, for example 127.0.0.1:7070`,
      { fields: { field: flag } },
    );
  }
  return { host: match[1] ?? match[2]!, port };
}

/** Parses `HOST:PORT[,HOST:PORT…]`. @throws {UsageError} `STOA_USAGE_ADDRESS`. */
export function parseAddresses(text: string, flag: string): HostPort[] {
  return text.split(',').map((one) => parseAddress(one.trim(), flag));
}

export function formatAddress({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True for 127.0.0.0/8, ::1 and "localhost": the addresses that need no TLS. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}
