// The federation's certificates, read by OpenSSL through Node: another implementation than the one that wrote them.

import { createPrivateKey, generateKeyPairSync, sign, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { StoaError } from '../../../common/errors.js';
import {
  COORDINATOR_NAME,
  certifyMember,
  certifyServer,
  createAuthority,
  isDueForRenewal,
} from '../../../federation/trust/authority.js';
import { fingerprintOf, rawPublicKey } from '../../../federation/trust/certificates.js';
import { requireMemberName } from '../../../federation/trust/member-name.js';
import { makeSigningRequest, readSigningRequest } from '../../../federation/trust/signing-request.js';

const NOW = new Date('2026-03-01T10:00:00Z');
const DAY_MS = 86_400_000;
const authority = createAuthority('open-courses', NOW);
const { publicKey, privateKey } = generateKeyPairSync('ed25519');

describe('a certificate', () => {
  it('of a member names it, is signed by the authority, and is good for clients alone', () => {
    const certificate = certifyMember(authority, { name: 'uni-a', publicKey, now: NOW });
    expect(certificate.subject).toBe('O=open-courses\nCN=uni-a');
    expect(certificate.checkIssued(authority.certificate)).toBe(true);
    expect(certificate.verify(authority.certificate.publicKey)).toBe(true);
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
    expect(certificate.subjectAltName).toBeUndefined();
  });

  it('of a coordinator has its names and addresses', () => {
    const hosts = ['stoa.example.org', '127.0.0.1', '::1'];
    const certificate = certifyServer(authority, { publicKey, hosts, now: NOW });
    expect(certificate.checkHost('stoa.example.org')).toBe('stoa.example.org');
    expect(certificate.checkHost(COORDINATOR_NAME)).toBe(COORDINATOR_NAME);
    expect(certificate.checkHost('evil.example.org')).toBeUndefined();
    expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(certificate.checkIP('::1')).toBe('::1');
    expect(certificate.checkIP('10.0.0.1')).toBeUndefined();
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('of the authority can sign', () => {
    const { certificate } = authority;
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(fingerprintOf(certificate)).toBe(certificate.fingerprint256.replaceAll(':', '').toLowerCase());
  });

  it('begins a day early, and serial numbers are positive and differ', () => {
    const [one, two] = [1, 2].map(() => certifyMember(authority, { name: 'a', publicKey, now: NOW }));
    expect(Date.parse(one!.validFrom)).toBe(NOW.getTime() - DAY_MS);
    expect(Date.parse(one!.validTo)).toBe(NOW.getTime() + 90 * DAY_MS);
    expect(one!.serialNumber).not.toBe(two!.serialNumber);
    expect(one!.serialNumber).toMatch(/^[4-7][0-9A-F]{39}$/);
  });

  it('is due for renewal in its last third', () => {
    const certificate = certifyMember(authority, { name: 'a', publicKey, now: NOW, days: 29 });
    expect(isDueForRenewal(certificate, new Date(NOW.getTime() + 18.9 * DAY_MS))).toBe(false);
    expect(isDueForRenewal(certificate, new Date(NOW.getTime() + 19.1 * DAY_MS))).toBe(true);
  });

  it('of another authority of the same name does not verify', () => {
    const other = createAuthority('open-courses', NOW);
    const certificate = certifyMember(other, { name: 'uni-a', publicKey, now: NOW });
    expect(certificate.verify(authority.certificate.publicKey)).toBe(false);
  });
});

describe('a signing request', () => {
  const names = { organization: 'open-courses', commonName: 'uni-a' };
  const request = makeSigningRequest(names, privateKey);

  it('gives the key it was made with', () => {
    expect(rawPublicKey(readSigningRequest(request))).toEqual(rawPublicKey(publicKey));
  });

  it('never gives another key when a bit of it differs', () => {
    let refused = 0;
    for (let bit = 0; bit < request.length * 8; bit++) {
      const damaged = new Uint8Array(request);
      damaged[bit >> 3] = damaged[bit >> 3]! ^ (1 << (bit & 7));
      try {
        expect(rawPublicKey(readSigningRequest(damaged)), `bit ${bit}`).toEqual(rawPublicKey(publicKey));
      } catch (error) {
        expect((error as StoaError).code, `bit ${bit}: ${error}`).toBe('STOA_USAGE');
        refused++;
      }
    }
    // What may differ is how the outermost length is written; names, key and signature may not.
    expect(refused).toBeGreaterThan((request.length - 4) * 8);
  });

  it('for a key that its sender does not hold is refused', () => {
    // The public key of one, the signature of another.
    const thief = generateKeyPairSync('ed25519').privateKey;
    const forged = Buffer.from(request);
    const signature = forged.subarray(forged.length - 64);
    const body = forged.subarray(3, forged.length - 64 - 10);
    sign(null, body, thief).copy(signature);
    expect(() => readSigningRequest(forged)).toThrow('its signature');
  });

  it('with another kind of key, too long or empty is refused', () => {
    const { privateKey: ec } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => readSigningRequest(makeSigningRequest(names, ec))).toThrow(/Ed25519|form/);
    expect(() => readSigningRequest(new Uint8Array())).toThrow('its size');
    expect(() => readSigningRequest(new Uint8Array(5000))).toThrow('its size');
    expect(() => readSigningRequest(new X509Certificate(authority.certificate.raw).raw)).toThrow();
  });

  it('made by OpenSSL from a key in a file is read', () => {
    // `openssl genpkey -algorithm ed25519 | tee key.pem | openssl req -new -key /dev/stdin -subj /O=o/CN=c -outform der`
    const der = Buffer.from(OPENSSL_REQUEST, 'base64');
    const key = createPrivateKey({ key: Buffer.from(OPENSSL_KEY, 'base64'), format: 'der', type: 'pkcs8' });
    const certificate = certifyMember(authority, { name: 'c', publicKey: readSigningRequest(der), now: NOW });
    expect(certificate.checkPrivateKey(key)).toBe(true);
  });
});

describe("a member's name", () => {
  it('is a label that is safe in files, certificates and logs', () => {
    for (const name of ['a', 'uni-a', '4tu', 'x'.repeat(63)]) expect(requireMemberName(name)).toBe(name);
    const wrong = ['', '-a', 'a-', 'Uni', 'a b', '../x', 'a/b', 'a.b', 'é', 'a\n', 'x'.repeat(64), 'a\0'];
    for (const name of wrong) expect(() => requireMemberName(name), name).toThrow("is not a member's name");
  });
});

const OPENSSL_KEY = 'MC4CAQAwBQYDK2VwBCIEIOP9M1jHhHXxbAqlXZaMdXz46XGutD0jwKxRFV+58dYY';
const OPENSSL_REQUEST =
  'MIGXMEsCAQAwGDEKMAgGA1UECgwBbzEKMAgGA1UEAwwBYzAqMAUGAytlcAMhAN1pJO7ZGRh4gHwemSg1zNswdQK2nG2EHLbaRWLF8UlKoAAwBQYDK2VwA0EAyjrvxpXTDWN8lR5OL2czdxLoHSRROreeBu9zS3NuDUxd8KCniV2utGCECe6tBLYyoR1Nh2dx66QpjUPvlWMUBg==';
