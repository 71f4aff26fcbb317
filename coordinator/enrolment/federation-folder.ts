// A federation as it lies on disk: founding it, and what its authority certifies. See federation-files.ts for the files.

import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { publishFolder, writeFileAtomic } from '../../common/atomic-files.js';
import { CorruptError, NotFoundError, UsageError } from '../../common/errors.js';
import {
  type Authority,
  certifyServer,
  createAuthority,
  isDueForRenewal,
} from '../../federation/trust/authority.js';
import { fingerprintOf } from '../../federation/trust/certificates.js';
import { SECRET_MODE } from '../../federation/trust/identity-folder.js';
import { requireMemberName } from '../../federation/trust/member-name.js';
import { absent, FOLDERS, federationFile, pathsOf, readRecord } from './federation-files.js';

export interface Federation {
  folder: string;
  name: string;
  hosts: readonly string[];
  authority: Authority;
  /** SHA-256 of the authority's certificate: what invitations pin. */
  fingerprint: string;
}

export interface ServerIdentity {
  /** PEM: the coordinator's certificate, then the authority's. */
  chain: string;
  /** PEM. */
  key: string;
}

export interface FoundOptions {
  name: string;
  /** Names and addresses that participants will call the coordinator by. */
  hosts: readonly string[];
  now: Date;
}

/**
 * Founds a federation: an authority and the coordinator's certificate, in a folder that is made whole or not at all.
 *
 * @throws {StateError} `STOA_EXISTS`: the folder is there and not empty.
 * @throws {UsageError} a name or host that cannot be.
 */
export async function foundFederation(
  folder: string,
  { name, hosts, now }: FoundOptions,
): Promise<Federation> {
  requireMemberName(name);
  for (const host of hosts) requireHost(host);
  const authority = createAuthority(name, now);
  await publishFolder(folder, async (temporary) => {
    const paths = pathsOf(temporary);
    for (const part of FOLDERS) await mkdir(paths.folder(part));
    await writeFile(paths.authority, authority.certificate.toString());
    await writeFile(paths.authorityKey, pemOf(authority.privateKey), { mode: SECRET_MODE });
    const record = { schema_version: 1, name, hosts, create_time: now.toISOString() };
    await writeFile(paths.federation, `${JSON.stringify(record, undefined, 2)}\n`);
    await certifyCoordinator(temporary, authority, hosts, now);
  });
  return openFederation(folder);
}

/**
 * @throws {NotFoundError} `STOA_NOT_FOUND_FEDERATION`: there is none in the folder.
 * @throws {CorruptError} a file is damaged, or the key is not that of the certificate.
 */
export async function openFederation(folder: string): Promise<Federation> {
  const paths = pathsOf(folder);
  const record = await readRecord(paths.federation, federationFile);
  if (record === undefined) {
    throw new NotFoundError(
      'STOA_NOT_FOUND_FEDERATION',
      `there is no federation in ${folder}; make one with "stoa federation init"`,
      { fields: { file: folder } },
    );
  }
  const certificate = await readPem(paths.authority, (text) => new X509Certificate(text));
  const privateKey = await readPem(paths.authorityKey, createPrivateKey);
  if (!certificate.checkPrivateKey(privateKey)) throw damaged(paths.authorityKey);
  const authority = { federation: record.name, certificate, privateKey };
  return {
    folder: path.resolve(folder),
    name: record.name,
    hosts: record.hosts,
    authority,
    fingerprint: fingerprintOf(certificate),
  };
}

/** The coordinator's certificate and key; made anew in the last third of their time. */
export async function serverIdentity(
  { folder, authority, hosts }: Federation,
  now: Date,
): Promise<ServerIdentity> {
  const paths = pathsOf(folder);
  const certificate = await readPem(paths.server, (text) => new X509Certificate(text));
  if (isDueForRenewal(certificate, now)) await certifyCoordinator(folder, authority, hosts, now);
  const chain = await readFile(paths.server, 'utf8');
  const key = await readFile(paths.serverKey, 'utf8');
  if (!new X509Certificate(chain).checkPrivateKey(createPrivateKey(key))) throw damaged(paths.serverKey);
  return { chain, key };
}

export function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}

/** The key stays when the certificate is made anew, so that the two files never disagree. */
async function certifyCoordinator(
  folder: string,
  authority: Authority,
  hosts: readonly string[],
  now: Date,
): Promise<void> {
  const paths = pathsOf(folder);
  const kept = await readFile(paths.serverKey, 'utf8').catch(absent);
  const privateKey = kept === undefined ? generateKeyPairSync('ed25519').privateKey : createPrivateKey(kept);
  if (kept === undefined) await writeFileAtomic(paths.serverKey, pemOf(privateKey), SECRET_MODE);
  const certificate = certifyServer(authority, { publicKey: createPublicKey(privateKey), hosts, now });
  await writeFileAtomic(paths.server, `${certificate}${authority.certificate}`);
}

/** A DNS name or an IP address, as it stands in a certificate. */
function requireHost(host: string): void {
  if (/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$/.test(host) || /^[0-9a-fA-F:]+$/.test(host)) return;
  throw new UsageError('STOA_USAGE', `--host ${JSON.stringify(host)} is neither a host name nor an address`, {
    fields: { field: '--host' },
  });
}

async function readPem<T>(file: string, parse: (text: string) => T): Promise<T> {
  const text = await readFile(file, 'utf8').catch(absent);
  try {
    if (text !== undefined) return parse(text);
  } catch {
    // What a parser says of a damaged key might quote it.
  }
  throw damaged(file);
}

function damaged(file: string): CorruptError {
  return new CorruptError('STOA_TORN', `${file} is missing or damaged; restore it from a copy`, {
    fields: { file },
  });
}
