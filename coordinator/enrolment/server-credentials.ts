// TLS of a federated coordinator: its own certificate, and a request for the caller's.

import type { SecureServerOptions } from 'node:http2';
import type { SecureContextOptions } from 'node:tls';
import { ServerCredentials } from '@grpc/grpc-js';

/** From TLS 1.3 on, identities sign nothing that the other side has chosen: their keys sign statements too. */
const TLS: Pick<SecureContextOptions, 'minVersion'> = { minVersion: 'TLSv1.3' };

/**
 * Asks every caller for a certificate and lets those without a valid one connect: they may join, and what else they
 * call is refused by the guard, in words. A handshake that fails says nothing that a person could act on.
 */
export class FederationServerCredentials extends ServerCredentials {
  constructor(identity: { chain: string; key: string }, authority: string) {
    const options: SecureServerOptions = { requestCert: true, rejectUnauthorized: false };
    super(options, contextOf(identity, authority));
  }

  /** Connections that begin from now on see another certificate. */
  replace(identity: { chain: string; key: string }, authority: string): void {
    this.updateSecureContextOptions(contextOf(identity, authority));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf({ chain, key }: { chain: string; key: string }, authority: string): SecureContextOptions {
  return { ...TLS, ca: authority, cert: chain, key };
}
