// A member's TLS to its coordinator, and what TLS says when something is wrong, in our words.

import { createSecureContext } from 'node:tls';
import { ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { AccessError, type StoaError } from '../../common/errors.js';
import { LINK_OPTIONS } from '../../common/grpc-link.js';
import { COORDINATOR_NAME } from './authority.js';
import type { MemberIdentity } from './identity-folder.js';

/** Options of a member's channel: the coordinator is known by its name in the federation, wherever it is. */
export const FEDERATION_CHANNEL_OPTIONS: ChannelOptions = {
  ...LINK_OPTIONS,
  'grpc.ssl_target_name_override': COORDINATOR_NAME,
};

/**
 * Credentials that accept the federation's coordinator and nobody else: signed by its authority, for servers, under the
 * coordinator's name. For channels with `FEDERATION_CHANNEL_OPTIONS`.
 *
 * @param identity absent: to join, without a certificate.
 */
export function federationCredentials(
  authorityPem: string,
  identity?: Pick<MemberIdentity, 'certificate' | 'privateKey'>,
): ChannelCredentials {
  const own =
    identity === undefined
      ? {}
      : {
          cert: identity.certificate.toString(),
          key: identity.privateKey.export({ format: 'pem', type: 'pkcs8' }),
        };
  return ChannelCredentials.createFromSecureContext(
    createSecureContext({ ca: authorityPem, minVersion: 'TLSv1.3', ...own }),
  );
}

/** What OpenSSL and Node say of a coordinator's certificate. */
const REFUSALS: readonly [
  pattern: RegExp,
  code: 'STOA_ACCESS_FEDERATION' | 'STOA_ACCESS_CLOCK',
  sentence: string,
][] = [
  [
    /not yet valid|certificate has expired/i,
    'STOA_ACCESS_CLOCK',
    "by this machine's clock the coordinator's certificate is not valid; compare the clocks of the two machines",
  ],
  [
    /unsuitable certificate purpose|unsupported certificate purpose/i,
    'STOA_ACCESS_FEDERATION',
    'who answers there is a member of the federation and not its coordinator',
  ],
  [
    /does not match certificate's altnames|self[- ]signed certificate|unable to (?:get|verify)|certificate signature failure/i,
    'STOA_ACCESS_FEDERATION',
    'who answers there is not the coordinator of this federation; check the address',
  ],
];

/** An error of a call, with what TLS refused said in words; others pass. */
export function explainTls(error: StoaError, address: string): StoaError {
  if (error.code !== 'STOA_UNREACHABLE') return error;
  const refusal = REFUSALS.find(([pattern]) => pattern.test(error.message));
  if (refusal === undefined) return error;
  const [, code, sentence] = refusal;
  return new AccessError(code, `${address}: ${sentence}`, { fields: { address }, cause: error });
}

/**
 * Looks at one's own certificate before it is shown.
 *
 * @throws {AccessError} `STOA_ACCESS_CERTIFICATE`: it has expired. `STOA_ACCESS_CLOCK`: it is not valid yet.
 */
export function requireValid(
  { certificate, name }: Pick<MemberIdentity, 'certificate' | 'name'>,
  now: Date,
): void {
  if (now.getTime() < Date.parse(certificate.validFrom)) {
    throw new AccessError(
      'STOA_ACCESS_CLOCK',
      `by this machine's clock (${now.toISOString()}) the certificate of ${name} is not valid yet; set the clock`,
      { fields: { member: name } },
    );
  }
  if (now.getTime() < Date.parse(certificate.validTo)) return;
  throw new AccessError(
    'STOA_ACCESS_CERTIFICATE',
    `the certificate of ${name} expired at ${new Date(certificate.validTo).toISOString()}; join again with a new ` +
      "invitation, or set this machine's clock if it is wrong",
    { fields: { member: name, reason: 'expired' } },
  );
}
