// Why TLS did not accept a caller's certificate, for the sentence that refuses the call.

import type { TLSSocket } from 'node:tls';

/** What OpenSSL says, in our words. */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the certificate that was shown has expired; join again with a new invitation',
  CERT_NOT_YET_VALID:
    "by the coordinator's clock the certificate that was shown is not valid yet; compare the clocks of the two machines",
  INVALID_PURPOSE: 'the certificate that was shown is not one of a member',
};
const FOREIGN =
  'the certificate that was shown was issued by another federation; use the identity of this one';
const NONE =
  'this call needs the certificate of a member, and none was shown; join the federation with an invitation';

/**
 * @param call of grpc-js, which keeps to itself what TLS said; where that is not to be found the sentence is a general
 *   one. Whether a call is admitted never depends on it.
 */
export function refusedCertificate(call: object): string {
  const socket = socketOf(call);
  if (socket === undefined) return 'this call needs a valid certificate of a member of this federation';
  if (Object.keys(socket.getPeerCertificate?.() ?? {}).length === 0) return NONE;
  return REASONS[String(socket.authorizationError)] ?? FOREIGN;
}

function socketOf(call: object): TLSSocket | undefined {
  let current = call as { nextCall?: object; call?: object; stream?: { session?: { socket?: TLSSocket } } };
  // Interceptors wrap each other; there are a handful.
  for (let depth = 0; depth < 10; depth++) {
    if (current.stream?.session?.socket !== undefined) return current.stream.session.socket;
    const inner = current.nextCall ?? current.call;
    if (inner === undefined) return undefined;
    current = inner;
  }
  return undefined;
}
