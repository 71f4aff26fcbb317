// Who may talk without TLS: loopback, or whoever says --insecure.

import { readFileSync } from 'node:fs';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { isLoopback } from './addresses.js';
import { messageOf, NotFoundError, UsageError } from './errors.js';

export interface TlsOptions {
  /** PEM file with the certificate chain; for a client: its own certificate, for mutual TLS. */
  tlsCert?: string;
  /** PEM file with the private key of `tlsCert`. */
  tlsKey?: string;
  /** PEM file with the certificates that the peer is checked against. */
  tlsCa?: string;
  /** Allows plain text beyond loopback. */
  insecure?: boolean;
}

/** @throws {UsageError} the address is not loopback and neither TLS nor `insecure` is set. */
export function serverCredentials(host: string, tls: TlsOptions): ServerCredentials {
  if (tls.tlsCert !== undefined && tls.tlsKey !== undefined) {
    const ca = tls.tlsCa === undefined ? null : readPem(tls.tlsCa, '--tls-ca');
    const pair = {
      private_key: readPem(tls.tlsKey, '--tls-key'),
      cert_chain: readPem(tls.tlsCert, '--tls-cert'),
    };
    return ServerCredentials.createSsl(ca, [pair], ca !== null);
  }
  if (tls.tlsCert !== undefined || tls.tlsKey !== undefined) {
    throw new UsageError('STOA_USAGE', '--tls-cert and --tls-key go together; give both', {
      fields: { field: tls.tlsCert === undefined ? '--tls-cert' : '--tls-key' },
    });
  }
  requireLoopback(host, tls, 'listen on');
  return ServerCredentials.createInsecure();
}

/** @throws {UsageError} the address is not loopback and neither TLS nor `insecure` is set. */
export function channelCredentials(host: string, tls: TlsOptions): ChannelCredentials {
  if (tls.tlsCa !== undefined) {
    const key = tls.tlsKey === undefined ? null : readPem(tls.tlsKey, '--tls-key');
    const cert = tls.tlsCert === undefined ? null : readPem(tls.tlsCert, '--tls-cert');
    return ChannelCredentials.createSsl(readPem(tls.tlsCa, '--tls-ca'), key, cert);
  }
  requireLoopback(host, tls, 'connect to');
  return ChannelCredentials.createInsecure();
}

function requireLoopback(host: string, tls: TlsOptions, verb: string): void {
  if (isLoopback(host) || tls.insecure === true) return;
  throw new UsageError(
    'STOA_USAGE',
    `refusing to ${verb} ${host} without TLS; give TLS files (see --help), or --insecure on a network you trust`,
    { fields: { field: '--insecure' } },
  );
}

function readPem(file: string, flag: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `${flag} ${file} cannot be read: ${messageOf(error)}`, {
      fields: { field: flag, file },
      cause: error,
    });
  }
}
