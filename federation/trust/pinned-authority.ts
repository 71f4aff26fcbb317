// Looks at who is at an address before anything is sent there: the chain of certificates that a TLS greeting shows.

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import { AccessError, SystemError } from '../../common/errors.js';
import { fingerprintOf } from './certificates.js';

const CONNECT_MS = 10_000;
/** Coordinator and authority; anything longer is not ours. */
const CHAIN_MAX = 5;

/**
 * PEM of the authority with a fingerprint, from the coordinator at an address. No byte but those of the greeting is
 * sent. That the coordinator holds a certificate of this authority is checked by whoever connects with it afterwards.
 *
 * @param fingerprint SHA-256 of the authority's certificate, hexadecimal.
 * @throws {AccessError} `STOA_ACCESS_FEDERATION`: another federation's coordinator, or none at all.
 * @throws {SystemError} `STOA_UNREACHABLE`.
 */
export async function pinnedAuthority(address: HostPort, fingerprint: string): Promise<string> {
  const socket = await greet(address);
  try {
    for (const certificate of chainOf(socket)) {
      if (fingerprintOf(certificate.raw) === fingerprint)
        return new X509Certificate(certificate.raw).toString();
    }
  } finally {
    socket.destroy();
  }
  throw new AccessError(
    'STOA_ACCESS_FEDERATION',
    `${formatAddress(address)} is the coordinator of another federation than the invitation is for; nothing was sent`,
    { fields: { address: formatAddress(address) } },
  );
}

function greet({ host, port }: HostPort): Promise<TLSSocket> {
  const address = formatAddress({ host, port });
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      servername: isIP(host) === 0 ? host : '',
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.3',
      // Only the chain is looked at; the fingerprint decides.
      rejectUnauthorized: false,
    });
    const fail = (error: Error) => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(CONNECT_MS, () =>
      fail(new SystemError('STOA_UNREACHABLE', `${address} does not answer`, { fields: { address } })),
    );
    socket.once('secureConnect', () => resolve(socket));
    socket.on('error', (error: NodeJS.ErrnoException) => fail(explain(error, address)));
  });
}

function explain(error: NodeJS.ErrnoException, address: string): Error {
  const options = { fields: { address }, cause: error };
  const isNoTls = error.code?.startsWith('ERR_SSL') === true || error.code === 'EPROTO';
  return isNoTls
    ? new AccessError(
        'STOA_ACCESS_FEDERATION',
        `${address} is not the coordinator of a federation: it does not speak TLS 1.3; check the address`,
        options,
      )
    : new SystemError(
        'STOA_UNREACHABLE',
        `no answer from ${address} (${error.message}); check the address, and that the coordinator runs`,
        options,
      );
}

/** The certificates that were shown, the coordinator's own first. */
function chainOf(socket: TLSSocket): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = [];
  let current: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (current?.raw !== undefined && chain.length < CHAIN_MAX && !chain.includes(current)) {
    chain.push(current);
    current = current.issuerCertificate;
  }
  return chain;
}
