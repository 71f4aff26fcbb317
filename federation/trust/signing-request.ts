// Certificate signing requests (PKCS #10, RFC 2986) with Ed25519 keys: how a member shows the key it wants certified.

import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { CertificationRequest, CertificationRequestInfo } from '@peculiar/asn1-csr';
import { AsnConvert } from '@peculiar/asn1-schema';
import { SubjectPublicKeyInfo } from '@peculiar/asn1-x509';
import { UsageError } from '../../common/errors.js';
import { distinguishedName, ED25519_OID, ed25519, exactBuffer } from './certificates.js';

/** An Ed25519 request with a long name has some 250 bytes. */
export const SIGNING_REQUEST_BYTES_MAX = 2048;

/** DER of a request for a member's key. The names in it are for people: the federation decides what it certifies. */
export function makeSigningRequest(
  names: { organization: string; commonName: string },
  privateKey: KeyObject,
): Uint8Array {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const info = new CertificationRequestInfo({
    version: 0,
    subject: distinguishedName(names),
    subjectPKInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
  });
  const signature = sign(null, Buffer.from(AsnConvert.serialize(info)), privateKey);
  const request = new CertificationRequest({
    certificationRequestInfo: info,
    signatureAlgorithm: ed25519(),
    signature: exactBuffer(signature),
  });
  return new Uint8Array(AsnConvert.serialize(request));
}

/**
 * The key of a request whose sender has shown that it holds the secret half.
 *
 * @throws {UsageError} `STOA_USAGE`: not a request, not Ed25519, or not signed by its own key.
 */
export function readSigningRequest(der: Uint8Array): KeyObject {
  if (der.length === 0 || der.length > SIGNING_REQUEST_BYTES_MAX) throw notARequest('its size');
  let request: CertificationRequest;
  try {
    request = AsnConvert.parse(der, CertificationRequest);
  } catch {
    throw notARequest('its form');
  }
  const { algorithm } = request.certificationRequestInfo.subjectPKInfo.algorithm;
  if (algorithm !== ED25519_OID || request.signatureAlgorithm.algorithm !== ED25519_OID) {
    throw notARequest('its kind of key, which must be Ed25519');
  }
  const key = publicKeyOf(request.certificationRequestInfo.subjectPKInfo);
  const signed = request.certificationRequestInfoRaw;
  if (signed === undefined || !verify(null, Buffer.from(signed), key, Buffer.from(request.signature))) {
    throw notARequest('its signature');
  }
  return key;
}

function publicKeyOf(info: SubjectPublicKeyInfo): KeyObject {
  try {
    return createPublicKey({
      key: Buffer.from(AsnConvert.serialize(info)),
      format: 'der',
      type: 'spki',
    });
  } catch {
    throw notARequest('its key');
  }
}

function notARequest(what: string): UsageError {
  return new UsageError('STOA_USAGE', `the certificate signing request is not acceptable: ${what}`, {
    fields: { field: 'signing_request' },
  });
}
