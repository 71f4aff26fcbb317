// The authority of a federation: one Ed25519 key that certifies its coordinator and its members, and nothing else.

import { generateKeyPairSync, type KeyObject, randomBytes, type X509Certificate } from 'node:crypto';
import { type CertificateUse, issueCertificate, SERIAL_BYTES } from './certificates.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** Certificates begin a day before they are made, so that a clock that is hours behind accepts them. */
const BACKDATE_MS = DAY_MS;
/** A federation outlives its machines; its authority is replaced by founding another federation. */
const AUTHORITY_DAYS = 3650;
const SERVER_DAYS = 365;
/** Short, since participants renew them when they start; long enough for a participant that is away for a semester break. */
const MEMBER_DAYS = 90;
/** Of its time, what is left when a certificate should be renewed. */
const RENEW_SHARE = 1 / 3;

export interface Authority {
  /** Name of the federation. */
  federation: string;
  certificate: X509Certificate;
  privateKey: KeyObject;
}

export const AUTHORITY_NAME = 'authority';
/**
 * In the coordinator's certificate, whatever its address: the authority certifies one coordinator, so that members know
 * it by this name wherever it moves. ".internal" is no public domain.
 */
export const COORDINATOR_NAME = 'coordinator.stoa.internal';

export function createAuthority(federation: string, now: Date): Authority {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const names = { organization: federation, commonName: AUTHORITY_NAME };
  const certificate = issueCertificate(
    { ...names, publicKey, use: { kind: 'authority' }, ...validity(now, AUTHORITY_DAYS) },
    { ...names, privateKey },
  );
  return { federation, certificate, privateKey };
}

/** A certificate for the coordinator. @param hosts names and addresses, for clients that know it by these alone. */
export function certifyServer(
  authority: Authority,
  { publicKey, hosts, now }: { publicKey: KeyObject; hosts: readonly string[]; now: Date },
): X509Certificate {
  return certify(authority, {
    name: 'coordinator',
    publicKey,
    use: { kind: 'server', hosts: [COORDINATOR_NAME, ...hosts] },
    now,
    days: SERVER_DAYS,
  });
}

/** A certificate for a member. @param days @default 90 */
export function certifyMember(
  authority: Authority,
  { name, publicKey, now, days }: { name: string; publicKey: KeyObject; now: Date; days?: number },
): X509Certificate {
  return certify(authority, {
    name,
    publicKey,
    use: { kind: 'client' },
    now,
    days: days ?? MEMBER_DAYS,
  });
}

/** Whether a third of the certificate's time, or less, is left. */
export function isDueForRenewal(certificate: X509Certificate, now: Date): boolean {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  return now.getTime() >= to - (to - from) * RENEW_SHARE;
}

interface Certification {
  name: string;
  publicKey: KeyObject;
  use: CertificateUse;
  now: Date;
  days: number;
}

function certify(authority: Authority, { name, publicKey, use, now, days }: Certification): X509Certificate {
  const { federation: organization, privateKey } = authority;
  return issueCertificate(
    { organization, commonName: name, publicKey, use, ...validity(now, days) },
    { organization, commonName: AUTHORITY_NAME, privateKey },
  );
}

function validity(now: Date, days: number): { serial: Uint8Array; notBefore: Date; notAfter: Date } {
  return {
    serial: randomBytes(SERIAL_BYTES),
    notBefore: new Date(now.getTime() - BACKDATE_MS),
    notAfter: new Date(now.getTime() + days * DAY_MS),
  };
}
