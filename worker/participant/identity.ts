import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign as signWith,
} from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk } from '../../common/atomic-files.js';
import { CorruptError, NotFoundError, UsageError } from '../../common/errors.js';
import { PARTICIPANT_NAME } from '../../federation/protocol/join-statement.js';
import { hasIdentity, type MemberIdentity, readIdentity } from '../../federation/trust/identity-folder.js';

/** Who a participant is: a name, and a key that signs what it says in rounds. */
export interface ParticipantIdentity {
  readonly name: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(statement: Uint8Array): Uint8Array;
  /** Of a federation that `stoa federation join` joined: what its coordinator is called with. */
  readonly member?: MemberIdentity;
}

const NAME_FILE = 'name';
const KEY_FILE = 'identity-key.pem';

/** Makes an identity of its own in a folder. Whoever reads the folder can speak in its name. */
export async function createIdentity(dir: string, name: string): Promise<ParticipantIdentity> {
  requireName(name);
  const { privateKey } = generateKeyPairSync('ed25519');
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
    await writeFile(path.join(dir, KEY_FILE), pem, { mode: 0o600, flag: 'wx' });
    await writeFile(path.join(dir, NAME_FILE), `${name}\n`);
  } catch (error) {
    throw explainDisk(error, dir);
  }
  return identityOf(name, privateKey);
}

/**
 * Opens the identity of a folder: of a member of a federation, or one of its own.
 *
 * @throws {NotFoundError} `STOA_NOT_FOUND_FILE`: there is none; {CorruptError} `STOA_TORN`: it is not complete.
 */
export async function openIdentity(dir: string): Promise<ParticipantIdentity> {
  if (await hasIdentity(dir)) {
    const member = await readIdentity(dir);
    return { ...identityOf(member.name, member.privateKey), member };
  }
  const read = (file: string) =>
    readFile(path.join(dir, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
      throw new NotFoundError('STOA_NOT_FOUND_FILE', `there is no identity in ${dir}: ${file} is missing`, {
        fields: { file: path.join(dir, file) },
      });
    });
  const pem = await read(KEY_FILE);
  const name = (await read(NAME_FILE)).trim();
  requireName(name);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return identityOf(name, key);
  } catch {
    // Said below.
  }
  throw new CorruptError(
    'STOA_TORN',
    `${path.join(dir, KEY_FILE)} is no Ed25519 key; restore it from a copy`,
    {
      fields: { file: path.join(dir, KEY_FILE) },
    },
  );
}

function identityOf(name: string, key: KeyObject): ParticipantIdentity {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return {
    name,
    publicKey: new Uint8Array(spki.subarray(-32)),
    sign: (statement) => new Uint8Array(signWith(null, statement, key)),
  };
}

function requireName(name: string): void {
  if (PARTICIPANT_NAME.test(name)) return;
  throw new UsageError(
    'STOA_USAGE',
    `"${name}" is no name of a participant: 1 to 64 letters, digits, dots, dashes and underscores`,
    { fields: { field: '--name' } },
  );
}
