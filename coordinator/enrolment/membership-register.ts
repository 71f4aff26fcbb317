// Who is a member of a federation: invitations, members, their certificates, and who was revoked. All of it is read
// from disk when it is asked for, so that what another process changed holds at the next call.

import { createHash, type KeyObject, randomBytes, type X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { createFileAtomic } from '../../common/atomic-files.js';
import { AccessError, NotFoundError, StateError } from '../../common/errors.js';
import type { MemberRole } from '../../federation/trust/access-table.js';
import { certifyMember } from '../../federation/trust/authority.js';
import { fingerprintOf, rawPublicKey } from '../../federation/trust/certificates.js';
import {
  checkInvitation,
  hashToken,
  INVITATION_ID_BYTES,
  type Invitation,
  type InvitationRecord,
  refusal,
  TOKEN_BYTES,
} from '../../federation/trust/invitation.js';
import { requireMemberName } from '../../federation/trust/member-name.js';
import { readSigningRequest } from '../../federation/trust/signing-request.js';
import {
  absent,
  type CertificateFile,
  certificateFile,
  invitationFile,
  type MemberFile,
  memberFile,
  pathsOf,
  readRecord,
  readRecordSync,
  revocationFile,
  useFile,
} from './federation-files.js';
import type { Federation } from './federation-folder.js';

export interface Member {
  name: string;
  role: MemberRole;
  /** ISO 8601, as all times here. */
  enrolTime: string;
}

/** A member who has shown a certificate, and the certificate. */
export interface KnownCaller extends Member {
  /** SHA-256 of the certificate. */
  fingerprint: string;
  expireTime: string;
}

export interface MemberEntry {
  name: string;
  role: MemberRole;
  state: 'invited' | 'invitation expired' | 'member' | 'certificate expired' | 'revoked';
  /** Of the invitation, or of the latest certificate. */
  expireTime: string;
  enrolTime?: string;
  revokeTime?: string;
  reason?: string;
}

export interface InviteOptions {
  name: string;
  role: MemberRole;
  /** "HOST:PORT" where the invited finds the coordinator. */
  address: string;
  validMs: number;
  now: Date;
}

export class MembershipRegister {
  readonly #federation: Federation;
  readonly #paths: ReturnType<typeof pathsOf>;
  /** Certificates by fingerprint: they never change. Bounded by those that were issued. */
  readonly #certificates = new Map<string, CertificateFile & MemberFile>();

  constructor(federation: Federation) {
    this.#federation = federation;
    this.#paths = pathsOf(federation.folder);
  }

  /**
   * Makes an invitation; an earlier one of the same name, which nobody used, is worth nothing from then on.
   *
   * @throws {StateError} `STOA_EXISTS`: the name is a member's, or was.
   */
  async invite({ name, role, address, validMs, now }: InviteOptions): Promise<Invitation> {
    requireMemberName(name);
    await this.#requireFree(name);
    await this.#withdraw(name);
    const id = randomBytes(INVITATION_ID_BYTES).toString('hex');
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const expires = new Date(now.getTime() + validMs).toISOString();
    await createFileAtomic(
      this.#paths.invitation(id),
      text({
        id,
        name,
        role,
        token_hash: hashToken(token),
        create_time: now.toISOString(),
        expire_time: expires,
      }),
    );
    const { name: federation, fingerprint: authority } = this.#federation;
    return { id, federation, authority, address, name, role, expires, token };
  }

  /**
   * Makes the bearer of an invitation a member. Repeated with the same key it answers the same certificate.
   *
   * @param request DER of the signing request.
   * @throws {AccessError} `STOA_ACCESS_INVITATION`. @throws {UsageError} the request is not acceptable.
   */
  async enrol({ id, token, request, now }: { id: string; token: string; request: Uint8Array; now: Date }) {
    const invitation = await this.#invitation(id);
    checkInvitation(invitation, token, now);
    const { name, role } = invitation;
    const publicKey = readSigningRequest(request);
    const key_hash = keyHash(publicKey);
    const isFirst = await createFileAtomic(
      this.#paths.use(id),
      text({ key_hash, use_time: now.toISOString() }),
    );
    if (!isFirst && (await readRecord(this.#paths.use(id), useFile))?.key_hash !== key_hash) {
      throw refusal('used');
    }
    const member = { name, role, invitation_id: id, enrol_time: now.toISOString() };
    const isNew = await createFileAtomic(this.#paths.member(name), text(member));
    const holder = isNew ? member : await readRecord(this.#paths.member(name), memberFile);
    if (holder?.invitation_id !== id) throw refusal('used');
    this.#requireNotRevoked(name);
    const certificate = await this.#certificateOf(name, key_hash);
    return { name, role, certificate: certificate ?? (await this.#certify(name, publicKey, now)) };
  }

  /**
   * Certifies a member for another term. @param request DER of the signing request.
   *
   * @throws {UsageError} the request is not acceptable.
   */
  async renew(name: string, request: Uint8Array, now: Date): Promise<string> {
    return this.#certify(name, readSigningRequest(request), now);
  }

  /**
   * Who shows a certificate that TLS has found to be signed by the authority.
   *
   * @param fingerprint SHA-256, hexadecimal.
   * @throws {AccessError} `STOA_ACCESS_CERTIFICATE`: unknown, expired or replaced. `STOA_ACCESS_REVOKED`.
   */
  standing(fingerprint: string, now: Date): KnownCaller {
    const isFirst = !this.#certificates.has(fingerprint);
    const known = this.#certificates.get(fingerprint) ?? this.#read(fingerprint);
    this.#requireNotRevoked(known.name);
    if (now.getTime() >= Date.parse(known.expire_time)) {
      throw invalid(`the certificate of ${known.name} expired at ${known.expire_time}`, 'expired');
    }
    if (existsSync(this.#paths.retired(fingerprint))) {
      throw invalid(`this certificate of ${known.name} was replaced by a later one`, 'replaced');
    }
    if (isFirst) {
      this.#retireBefore(known);
      this.#certificates.set(fingerprint, known);
    }
    const { name, role, enrol_time: enrolTime, expire_time: expireTime } = known;
    return { name, role, enrolTime, fingerprint, expireTime };
  }

  /**
   * Holds a key that somebody has shown to have against the certificates of a member.
   *
   * @param keyHash SHA-256 of the public key, hexadecimal.
   * @throws {AccessError} `STOA_ACCESS_CERTIFICATE`: no certificate of the member that is good now has this key, or
   *   there is no participant of that name. `STOA_ACCESS_REVOKED`.
   */
  requireKey({ name, keyHash }: { name: string; keyHash: string }, now: Date): void {
    for (const file of readdirSync(this.#paths.folder('certificates'))) {
      const fingerprint = path.basename(file, '.json');
      const one = readRecordSync(this.#paths.certificate(fingerprint), certificateFile);
      if (one?.name !== name || one.key_hash !== keyHash) continue;
      const { role } = this.standing(fingerprint, now);
      if (role === 'participant') return;
    }
    throw new AccessError(
      'STOA_ACCESS_CERTIFICATE',
      'the key that was shown is not in a certificate of a participant of that name; join with an invitation',
      { fields: { reason: 'unknown' } },
    );
  }

  isRevoked(name: string): boolean {
    return existsSync(this.#paths.revoked(name));
  }

  /**
   * Ends a membership for good, or withdraws an invitation. Safe to repeat.
   *
   * @throws {NotFoundError} `STOA_NOT_FOUND_MEMBER`.
   */
  async revoke(name: string, reason: string, now: Date): Promise<'revoked' | 'withdrawn'> {
    requireMemberName(name);
    if ((await readRecord(this.#paths.member(name), memberFile)) === undefined) {
      if (await this.#withdraw(name)) return 'withdrawn';
      throw new NotFoundError(
        'STOA_NOT_FOUND_MEMBER',
        `there is no member ${name}; "stoa federation members" lists them`,
        { fields: { member: name } },
      );
    }
    await createFileAtomic(this.#paths.revoked(name), text({ revoke_time: now.toISOString(), reason }));
    return 'revoked';
  }

  /** Members, and invitations that nobody used yet, by name. */
  async list(now: Date): Promise<MemberEntry[]> {
    const entries: MemberEntry[] = [];
    for (const { id, name, role, expireTime } of await this.#invitations()) {
      if (existsSync(this.#paths.use(id))) continue;
      const state = now.getTime() < Date.parse(expireTime) ? 'invited' : 'invitation expired';
      entries.push({ name, role, state, expireTime });
    }
    const certificates = await this.#allCertificates();
    for (const member of await this.#records('members', memberFile)) {
      const last = certificates.filter(({ name }) => name === member.name).at(-1);
      const expireTime = last?.expire_time ?? member.enrol_time;
      const revoked = await readRecord(this.#paths.revoked(member.name), revocationFile);
      const valid = now.getTime() < Date.parse(expireTime) ? 'member' : 'certificate expired';
      entries.push({
        name: member.name,
        role: member.role,
        state: revoked === undefined ? valid : 'revoked',
        expireTime,
        enrolTime: member.enrol_time,
        revokeTime: revoked?.revoke_time,
        reason: revoked?.reason,
      });
    }
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #read(fingerprint: string): CertificateFile & MemberFile {
    const certificate = readRecordSync(this.#paths.certificate(fingerprint), certificateFile);
    const member =
      certificate === undefined
        ? undefined
        : readRecordSync(this.#paths.member(certificate.name), memberFile);
    if (certificate === undefined || member === undefined) {
      throw invalid('this federation has not issued the certificate that was shown', 'unknown');
    }
    return { ...certificate, ...member };
  }

  async #certify(name: string, publicKey: KeyObject, now: Date): Promise<string> {
    const certificate = certifyMember(this.#federation.authority, { name, publicKey, now });
    await createFileAtomic(
      this.#paths.certificate(fingerprintOf(certificate)),
      record(certificate, name, now),
    );
    return certificate.toString();
  }

  /** A member that calls with a certificate has it: those it had before are good for nobody but a thief. */
  #retireBefore(current: CertificateFile): void {
    for (const file of readdirSync(this.#paths.folder('certificates'))) {
      const fingerprint = path.basename(file, '.json');
      const earlier = readRecordSync(this.#paths.certificate(fingerprint), certificateFile);
      if (earlier?.name !== current.name || earlier.issue_time >= current.issue_time) continue;
      writeFileSync(this.#paths.retired(fingerprint), '');
    }
  }

  async #certificateOf(name: string, key_hash: string): Promise<string | undefined> {
    const all = await this.#allCertificates();
    return all.filter((one) => one.name === name && one.key_hash === key_hash).at(-1)?.pem;
  }

  async #requireFree(name: string): Promise<void> {
    if ((await readRecord(this.#paths.member(name), memberFile)) === undefined) return;
    throw new StateError(
      'STOA_EXISTS',
      this.isRevoked(name)
        ? `${name} was revoked, and the name stays with its history; invite under another name`
        : `${name} is a member already; to replace it, revoke it and invite under another name`,
      { fields: { member: name } },
    );
  }

  #requireNotRevoked(name: string): void {
    if (!this.isRevoked(name)) return;
    throw new AccessError('STOA_ACCESS_REVOKED', `${name} is no longer a member of this federation`, {
      fields: { member: name },
    });
  }

  /** Removes invitations of a name that nobody used; true when there was one. */
  async #withdraw(name: string): Promise<boolean> {
    let found = false;
    for (const invitation of await this.#invitations()) {
      if (invitation.name !== name || existsSync(this.#paths.use(invitation.id))) continue;
      await rm(this.#paths.invitation(invitation.id), { force: true });
      found = true;
    }
    return found;
  }

  async #invitation(id: string): Promise<InvitationRecord | undefined> {
    if (!/^[0-9a-f]{16}$/.test(id)) return undefined;
    const found = await readRecord(this.#paths.invitation(id), invitationFile);
    return found === undefined ? undefined : invitationOf(found);
  }

  async #invitations(): Promise<InvitationRecord[]> {
    return (await this.#records('invitations', invitationFile)).map(invitationOf);
  }

  async #allCertificates(): Promise<(CertificateFile & { fingerprint: string })[]> {
    const all = await this.#records('certificates', certificateFile);
    return all.sort((a, b) => (a.issue_time < b.issue_time ? -1 : 1));
  }

  async #records<T>(
    folder: 'invitations' | 'members' | 'certificates',
    schema: Parameters<typeof readRecord<T>>[1],
  ): Promise<(T & { fingerprint: string })[]> {
    const names = (await readdir(this.#paths.folder(folder)).catch(absent)) ?? [];
    const found: (T & { fingerprint: string })[] = [];
    for (const name of names.filter((one) => /^[^.].*\.json$/.test(one)).sort()) {
      const one = await readRecord(path.join(this.#paths.folder(folder), name), schema);
      if (one !== undefined) found.push({ ...one, fingerprint: path.basename(name, '.json') });
    }
    return found;
  }
}

function record(certificate: X509Certificate, name: string, now: Date): string {
  return text({
    name,
    key_hash: keyHash(certificate.publicKey),
    issue_time: now.toISOString(),
    expire_time: new Date(certificate.validTo).toISOString(),
    pem: certificate.toString(),
  });
}

function keyHash(key: KeyObject): string {
  return createHash('sha256').update(rawPublicKey(key)).digest('hex');
}

function invitationOf(file: {
  id: string;
  name: string;
  role: MemberRole;
  token_hash: string;
  create_time: string;
  expire_time: string;
}): InvitationRecord {
  const { id, name, role, token_hash, create_time, expire_time } = file;
  return {
    id,
    name,
    role,
    tokenHash: token_hash,
    createTime: create_time,
    expireTime: expire_time,
  };
}

function invalid(what: string, reason: string): AccessError {
  return new AccessError(
    'STOA_ACCESS_CERTIFICATE',
    `${what}; renew it before it ends, or join with a new invitation`,
    { fields: { reason } },
  );
}

function text(value: object): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
