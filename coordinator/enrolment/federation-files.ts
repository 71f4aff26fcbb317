// What the files of a federation's folder hold, and where they lie. The folder is the federation's whole memory: every
// file is made once and whole, so that commands and a running coordinator may work on it at the same time.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { CorruptError, messageOf } from '../../common/errors.js';
import { MEMBER_ROLES } from '../../federation/trust/access-table.js';

const fingerprint = z.string().regex(/^[0-9a-f]{64}$/);

export const federationFile = z.strictObject({
  schema_version: z.literal(1),
  name: z.string(),
  /** Names and addresses in the coordinator's certificate. */
  hosts: z.array(z.string()).min(1),
  create_time: z.iso.datetime(),
});

export const invitationFile = z.strictObject({
  id: z.string(),
  name: z.string(),
  role: z.enum(MEMBER_ROLES),
  token_hash: fingerprint,
  create_time: z.iso.datetime(),
  expire_time: z.iso.datetime(),
});

/** Beside an invitation that was used: by whom. */
export const useFile = z.strictObject({
  /** SHA-256 of the public key that joined. */
  key_hash: fingerprint,
  use_time: z.iso.datetime(),
});

export const memberFile = z.strictObject({
  name: z.string(),
  role: z.enum(MEMBER_ROLES),
  invitation_id: z.string(),
  enrol_time: z.iso.datetime(),
});

export const certificateFile = z.strictObject({
  name: z.string(),
  key_hash: fingerprint,
  issue_time: z.iso.datetime(),
  expire_time: z.iso.datetime(),
  pem: z.string(),
});

export const revocationFile = z.strictObject({
  revoke_time: z.iso.datetime(),
  reason: z.string(),
});

export type FederationFile = z.infer<typeof federationFile>;
export type MemberFile = z.infer<typeof memberFile>;
export type CertificateFile = z.infer<typeof certificateFile>;

/** Folders within the federation's. */
export const FOLDERS = ['invitations', 'members', 'certificates', 'retired', 'revoked'] as const;

/** Paths below a federation's folder. Ids, names and fingerprints have been checked to be no paths. */
export const pathsOf = (folder: string) => ({
  federation: path.join(folder, 'federation.json'),
  authority: path.join(folder, 'authority.pem'),
  authorityKey: path.join(folder, 'authority-key.pem'),
  server: path.join(folder, 'server.pem'),
  serverKey: path.join(folder, 'server-key.pem'),
  invitation: (id: string) => path.join(folder, 'invitations', `${id}.json`),
  use: (id: string) => path.join(folder, 'invitations', `${id}.used`),
  member: (name: string) => path.join(folder, 'members', `${name}.json`),
  certificate: (of: string) => path.join(folder, 'certificates', `${of}.json`),
  retired: (of: string) => path.join(folder, 'retired', of),
  revoked: (name: string) => path.join(folder, 'revoked', `${name}.json`),
  folder: (name: (typeof FOLDERS)[number]) => path.join(folder, name),
});

/** @throws {CorruptError} `STOA_TORN`: the file is not what it should be. Undefined when it is not there. */
export async function readRecord<T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const text = await readFile(file, 'utf8').catch(absent);
  return text === undefined ? undefined : parse(file, text, schema);
}

/** As `readRecord`, at once. */
export function readRecordSync<T>(file: string, schema: z.ZodType<T>): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return absent(error);
  }
  return parse(file, text, schema);
}

export function absent(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

function parse<T>(file: string, text: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new CorruptError('STOA_TORN', `${file} is damaged; restore it from a copy`, {
      fields: { file, problem: messageOf(error).slice(0, 200) },
      cause: error,
    });
  }
}
