// X.509 certificates of a federation: written as RFC 5280 says, signed with Ed25519 (RFC 8410).

import { createHash, createPublicKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509';

/** id-Ed25519, RFC 8410 section 3. */
export const ED25519_OID = '1.3.101.112';
const ORGANIZATION_OID = '2.5.4.10';
const COMMON_NAME_OID = '2.5.4.3';
/** 159 bits, so that the number is positive within the 20 octets of RFC 5280, section 4.1.2.2. */
export const SERIAL_BYTES = 20;

/** What a certificate may be used for. TLS checks it: a member's certificate cannot pose as a coordinator's. */
export type CertificateUse =
  | { kind: 'authority' }
  | { kind: 'server'; hosts: readonly string[] }
  | { kind: 'client' };

export interface CertificateRequest {
  /** Federation, and name within it. */
  organization: string;
  commonName: string;
  publicKey: KeyObject;
  use: CertificateUse;
  /** `SERIAL_BYTES` random bytes. */
  serial: Uint8Array;
  notBefore: Date;
  notAfter: Date;
}

export interface CertificateIssuer {
  /** The subject of the authority's own certificate. */
  organization: string;
  commonName: string;
  privateKey: KeyObject;
}

/** Writes and signs a certificate; both keys are Ed25519. */
export function issueCertificate(request: CertificateRequest, issuer: CertificateIssuer): X509Certificate {
  const algorithm = ed25519();
  const body = new TBSCertificate({
    version: Version.v3,
    serialNumber: positive(request.serial),
    signature: algorithm,
    issuer: distinguishedName(issuer),
    validity: new Validity({ notBefore: request.notBefore, notAfter: request.notAfter }),
    subject: distinguishedName(request),
    subjectPublicKeyInfo: AsnConvert.parse(spki(request.publicKey), SubjectPublicKeyInfo),
    extensions: extensionsOf(request, createPublicKey(issuer.privateKey)),
  });
  const signature = sign(null, Buffer.from(AsnConvert.serialize(body)), issuer.privateKey);
  const certificate = new Certificate({
    tbsCertificate: body,
    signatureAlgorithm: algorithm,
    signatureValue: exactBuffer(signature),
  });
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)));
}

/** SHA-256 of the certificate's bytes, 64 hexadecimal digits in lower case. */
export function fingerprintOf(certificate: X509Certificate | Uint8Array): string {
  const bytes = certificate instanceof X509Certificate ? certificate.raw : certificate;
  return createHash('sha256').update(bytes).digest('hex');
}

/** The 32 bytes of an Ed25519 public key. */
export function rawPublicKey(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ format: 'jwk' })['x'] as string, 'base64url');
}

export function distinguishedName({
  organization,
  commonName,
}: {
  organization: string;
  commonName: string;
}): Name {
  const part = (type: string, text: string) =>
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String: text }) }),
    ]);
  return new Name([part(ORGANIZATION_OID, organization), part(COMMON_NAME_OID, commonName)]);
}

export function ed25519(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: ED25519_OID });
}

/** A buffer of its own with these bytes and no others: what the ASN.1 classes take. */
export function exactBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function spki(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' });
}

function extensionsOf({ publicKey, use }: CertificateRequest, issuerKey: KeyObject): Extensions {
  const usage =
    use.kind === 'authority'
      ? KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign
      : KeyUsageFlags.digitalSignature;
  const extensions = [
    // No authorities below this one: a member's certificate can never sign another.
    extension(
      id_ce_basicConstraints,
      use.kind === 'authority'
        ? new BasicConstraints({ cA: true, pathLenConstraint: 0 })
        : new BasicConstraints(),
      true,
    ),
    extension(id_ce_keyUsage, new KeyUsage(usage), true),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new SubjectKeyIdentifier(keyIdentifier(issuerKey)) }),
    ),
  ];
  if (use.kind === 'authority') return new Extensions(extensions);
  const purpose = use.kind === 'server' ? id_kp_serverAuth : id_kp_clientAuth;
  extensions.push(extension(id_ce_extKeyUsage, new ExtendedKeyUsage([purpose])));
  if (use.kind === 'server') {
    const names = use.hosts.map(
      (host) => new GeneralName(isIP(host) === 0 ? { dNSName: host } : { iPAddress: host }),
    );
    extensions.push(extension(id_ce_subjectAltName, new SubjectAlternativeName(names)));
  }
  return new Extensions(extensions);
}

function extension(id: string, value: unknown, isCritical = false): Extension {
  return new Extension({
    extnID: id,
    critical: isCritical,
    extnValue: new OctetString(AsnConvert.serialize(value)),
  });
}

/** The leftmost 160 bits of a SHA-256 of the key: RFC 7093, section 2, method 1. */
function keyIdentifier(key: KeyObject): ArrayBuffer {
  return exactBuffer(createHash('sha256').update(rawPublicKey(key)).digest().subarray(0, 20));
}

/** As the content of a positive INTEGER in its shortest form: first octet from 0x40 to 0x7f. */
function positive(serial: Uint8Array): ArrayBuffer {
  const bytes = new Uint8Array(serial);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.buffer;
}
