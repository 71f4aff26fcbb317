// Becoming a member, and staying one: what an institution does with an invitation, and before its certificate ends.

import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { type HostPort, parseAddress } from '../../common/addresses.js';
import { writeFileAtomic } from '../../common/atomic-files.js';
import type { Clock } from '../../common/clock.js';
import { AccessError, StateError, StoaError } from '../../common/errors.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { GrpcLink } from '../../common/grpc-link.js';
import { services } from '../../common/grpc-services.js';
import type { MemberRole } from './access-table.js';
import { isDueForRenewal } from './authority.js';
import {
  explainTls,
  FEDERATION_CHANNEL_OPTIONS,
  federationCredentials,
  requireValid,
} from './federation-channel.js';
import {
  hasIdentity,
  type MemberIdentity,
  makeIdentityFolder,
  readIdentity,
  replaceCertificate,
  SECRET_MODE,
  writeIdentity,
} from './identity-folder.js';
import type { Invitation } from './invitation.js';
import { pinnedAuthority } from './pinned-authority.js';
import { makeSigningRequest } from './signing-request.js';

const { EnrolmentService } = services.federation.v1;
const METHODS = EnrolmentService.service;

type EnrolmentServiceClient = InstanceType<typeof EnrolmentService>;
type Response<M extends { responseDeserialize: (bytes: Buffer) => unknown }> = ReturnType<
  M['responseDeserialize']
>;
type EnrolAnswer = Response<typeof METHODS.Enrol>;
type Timestamp = NonNullable<EnrolAnswer['serverTime']>;
type WireRole = EnrolAnswer['role'];

export interface MembershipOptions {
  clock: Clock;
  /** "HOST:PORT" instead of the address in the invitation or the identity. */
  address?: string;
}

export interface MembershipResult {
  identity: MemberIdentity;
  /** How far this machine's clock is ahead of the coordinator's, ms; includes the time of a call. */
  clockAheadMs: number;
}

/**
 * Joins a federation: makes a key, has it certified, and keeps both in a folder. When the answer was lost it may be
 * called again with the same folder: the key that was made is used again.
 *
 * @throws {StateError} `STOA_EXISTS`: somebody is at home in the folder.
 * @throws {AccessError} the coordinator is another's; the invitation is unknown, expired or used; a clock is far off.
 */
export async function joinFederation(
  invitation: Invitation,
  folder: string,
  options: MembershipOptions,
): Promise<MembershipResult> {
  await requireVacant(folder);
  const address = parseAddress(options.address ?? invitation.address, '--address');
  const authorityPem = await pinnedAuthority(address, invitation.authority);
  await makeIdentityFolder(folder);
  const pending = path.join(folder, `joining-${invitation.id}.pem`);
  const privateKey = await pendingKey(pending);
  const names = { organization: invitation.federation, commonName: invitation.name };
  const link = new FederationLink(address, authorityPem);
  try {
    const answer = await link.call(link.client, METHODS.Enrol, {
      invitationId: invitation.id,
      token: invitation.token,
      signingRequest: Buffer.from(makeSigningRequest(names, privateKey)),
    });
    const certificate = checked(answer.certificate, { authorityPem, privateKey });
    const facts = {
      federation: invitation.federation,
      authority: invitation.authority,
      authorityPem,
      address: link.target,
      name: answer.name,
      role: roleOf(answer.role),
      enrolTime: options.clock.date().toISOString(),
    };
    const identity = await writeIdentity(folder, facts, { certificate, privateKey });
    await rm(pending, { force: true });
    return { identity, clockAheadMs: aheadMs(answer.serverTime, options.clock) };
  } finally {
    link.close();
  }
}

/**
 * Renews a member's certificate, with a new key.
 *
 * @throws {AccessError} the certificate has expired or was replaced, the member was revoked.
 */
export async function renewMembership(folder: string, options: MembershipOptions): Promise<MembershipResult> {
  const identity = await readIdentity(folder);
  requireValid(identity, options.clock.date());
  const { authorityPem, federation: organization, name: commonName } = identity;
  const { privateKey } = generateKeyPairSync('ed25519');
  const link = memberLink(identity, options.address);
  try {
    const answer = await link.call(link.client, METHODS.RenewCertificate, {
      signingRequest: Buffer.from(makeSigningRequest({ organization, commonName }, privateKey)),
    });
    const certificate = checked(answer.certificate, { authorityPem, privateKey });
    await replaceCertificate(folder, { certificate, privateKey });
    const renewed = { ...identity, certificate, privateKey };
    return { identity: renewed, clockAheadMs: aheadMs(answer.serverTime, options.clock) };
  } finally {
    link.close();
  }
}

/**
 * Renews a certificate in the last third of its time; does nothing for one that is fresh, or where there is none. A
 * coordinator that cannot be asked now is no reason to stop: there are weeks left.
 *
 * @returns what went wrong, while the certificate is still good.
 * @throws {AccessError} the certificate has expired; the member was revoked.
 */
export async function renewIfDue(folder: string, options: MembershipOptions): Promise<StoaError | undefined> {
  if (!(await hasIdentity(folder))) return undefined;
  const identity = await readIdentity(folder);
  const now = options.clock.date();
  requireValid(identity, now);
  if (!isDueForRenewal(identity.certificate, now)) return undefined;
  try {
    await renewMembership(folder, options);
  } catch (error) {
    if (error instanceof AccessError || !(error instanceof StoaError)) throw error;
    return error;
  }
}

/** Asks the coordinator what it knows of a member, by default of oneself. */
export async function askMembership(
  identity: MemberIdentity,
  options: MembershipOptions & { name?: string },
) {
  requireValid(identity, options.clock.date());
  const link = memberLink(identity, options.address);
  try {
    return await link.call(link.client, METHODS.GetMember, { name: options.name ?? identity.name });
  } finally {
    link.close();
  }
}

function memberLink(identity: MemberIdentity, address = identity.address): FederationLink {
  return new FederationLink(parseAddress(address, '--address'), identity.authorityPem, identity);
}

class FederationLink extends GrpcLink {
  readonly client: EnrolmentServiceClient;

  constructor(
    address: HostPort,
    authorityPem: string,
    identity?: Pick<MemberIdentity, 'certificate' | 'privateKey'>,
  ) {
    super(address);
    const credentials = federationCredentials(authorityPem, identity);
    this.client = new EnrolmentService(this.target, credentials, FEDERATION_CHANNEL_OPTIONS);
  }

  close(): void {
    this.client.close();
  }

  override explain(error: unknown): StoaError {
    return explainTls(fromServiceError(error, this.target), this.target);
  }
}

async function requireVacant(folder: string): Promise<void> {
  if (!(await hasIdentity(folder))) return;
  const { name, federation } = await readIdentity(folder);
  throw new StateError(
    'STOA_EXISTS',
    `${folder} already has the identity of ${name} in ${federation}; choose another folder`,
    { fields: { file: folder } },
  );
}

/** The key of an earlier try with the same invitation, or a new one; on disk before anybody is asked. */
async function pendingKey(file: string): Promise<KeyObject> {
  const earlier = await readFile(file, 'utf8').catch(() => undefined);
  if (earlier !== undefined) return createPrivateKey(earlier);
  const { privateKey } = generateKeyPairSync('ed25519');
  await writeFileAtomic(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), SECRET_MODE);
  return privateKey;
}

/** A certificate as it came, which must be for this key and of this authority. */
function checked(
  bytes: Uint8Array,
  { authorityPem, privateKey }: { authorityPem: string; privateKey: KeyObject },
): X509Certificate {
  const certificate = new X509Certificate(bytes);
  const isOurs =
    certificate.checkPrivateKey(privateKey) &&
    certificate.verify(new X509Certificate(authorityPem).publicKey);
  if (isOurs) return certificate;
  throw new AccessError(
    'STOA_ACCESS_FEDERATION',
    'the coordinator answered with a certificate for another key',
  );
}

function roleOf(role: WireRole): MemberRole {
  return role === 'MEMBER_ROLE_OPERATOR' ? 'operator' : 'participant';
}

function aheadMs(serverTime: Timestamp | null, clock: Clock): number {
  if (serverTime === null) return 0;
  return clock.date().getTime() - (Number(serverTime.seconds) * 1000 + serverTime.nanos / 1e6);
}
