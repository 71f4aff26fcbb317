// A member's identity on its own disk: who it is in which federation, its certificate and its secret key.

import { createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { explainDisk, writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError, NotFoundError } from '../../common/errors.js';
import { MEMBER_ROLES, type MemberRole } from './access-table.js';
import { fingerprintOf, rawPublicKey } from './certificates.js';

const memberFile = z.strictObject({
  schema_version: z.literal(1),
  federation: z.string(),
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  address: z.string(),
  name: z.string(),
  role: z.enum(MEMBER_ROLES),
  enrol_time: z.iso.datetime(),
});

/** Only the owner may read a secret key. */
export const SECRET_MODE = 0o600;

export interface MemberIdentity {
  folder: string;
  federation: string;
  /** SHA-256 of the authority's certificate, hexadecimal. */
  authority: string;
  /** PEM of the authority's certificate. */
  authorityPem: string;
  /** "HOST:PORT" of the coordinator, as the invitation had it. */
  address: string;
  name: string;
  role: MemberRole;
  enrolTime: string;
  certificate: X509Certificate;
  /** Ed25519. */
  privateKey: KeyObject;
}

/** What stands in the folder besides certificate and key. */
export type IdentityFacts = Pick<
  MemberIdentity,
  'federation' | 'authority' | 'authorityPem' | 'address' | 'name' | 'role' | 'enrolTime'
>;

const paths = (folder: string) => ({
  member: path.join(folder, 'member.json'),
  authority: path.join(folder, 'authority.pem'),
  identity: path.join(folder, 'identity.pem'),
});

/** Makes a folder for secrets. */
export async function makeIdentityFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw explainDisk(error, folder);
  });
}

/** Whether somebody is at home in the folder. */
export async function hasIdentity(folder: string): Promise<boolean> {
  return (await read(paths(folder).member)) !== undefined;
}

/** Writes an identity; it counts from the last of its files on. */
export async function writeIdentity(
  folder: string,
  facts: IdentityFacts,
  { certificate, privateKey }: Pick<MemberIdentity, 'certificate' | 'privateKey'>,
): Promise<MemberIdentity> {
  await makeIdentityFolder(folder);
  await writeFileAtomic(paths(folder).authority, facts.authorityPem);
  await replaceCertificate(folder, { certificate, privateKey });
  const { federation, authority, address, name, role, enrolTime } = facts;
  const member = { schema_version: 1, federation, authority, address, name, role, enrol_time: enrolTime };
  await writeFileAtomic(paths(folder).member, `${JSON.stringify(member, undefined, 2)}\n`);
  return { folder, ...facts, certificate, privateKey };
}

/** Key and certificate are one file, so that after a crash they still belong together. */
export async function replaceCertificate(
  folder: string,
  { certificate, privateKey }: Pick<MemberIdentity, 'certificate' | 'privateKey'>,
): Promise<void> {
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' });
  await writeFileAtomic(paths(folder).identity, `${key}${certificate}`, SECRET_MODE);
}

/**
 * @throws {NotFoundError} `STOA_NOT_FOUND_FEDERATION`: nobody is at home in the folder.
 * @throws {CorruptError} `STOA_TORN`: a file is damaged, or they do not belong together.
 */
export async function readIdentity(folder: string): Promise<MemberIdentity> {
  const { member, authority, identity } = paths(folder);
  const text = await read(member);
  if (text === undefined) {
    throw new NotFoundError(
      'STOA_NOT_FOUND_FEDERATION',
      `there is no identity of a federation in ${folder}; get one with "stoa federation join"`,
      { fields: { file: folder } },
    );
  }
  const facts = parsed(member, () => memberFile.parse(JSON.parse(text)));
  const authorityPem = (await read(authority)) ?? '';
  const pem = (await read(identity)) ?? '';
  const certificate = parsed(identity, () => new X509Certificate(pem));
  const privateKey = parsed(identity, () => createPrivateKey(pem));
  const issuer = parsed(authority, () => new X509Certificate(authorityPem));
  if (fingerprintOf(issuer) !== facts.authority) throw damaged(authority);
  if (!certificate.checkPrivateKey(privateKey) || !certificate.verify(issuer.publicKey))
    throw damaged(identity);
  const { enrol_time: enrolTime, schema_version: _, ...rest } = facts;
  return { folder, ...rest, enrolTime, authorityPem, certificate, privateKey };
}

/** Signs statements with the identity: rounds and receipts know its public half. */
export function signerOf({ privateKey }: MemberIdentity): (statement: Uint8Array) => Uint8Array {
  return (statement) => sign(null, statement, privateKey);
}

/** The 32 bytes that others verify this member's statements with. */
export function identityKeyOf({ certificate }: Pick<MemberIdentity, 'certificate'>): Uint8Array {
  return rawPublicKey(certificate.publicKey);
}

async function read(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw explainDisk(error, file);
  });
}

/** Parsers of secrets may quote them: what they say is dropped. */
function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    throw damaged(file);
  }
}

function damaged(file: string): CorruptError {
  return new CorruptError(
    'STOA_TORN',
    `${file} is damaged or does not belong to the other files of its folder; restore it from a copy`,
    { fields: { file } },
  );
}
