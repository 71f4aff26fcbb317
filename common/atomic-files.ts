// Files and folders that appear complete or not at all: written under a temporary name, synced, renamed.

import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { StateError, SystemError } from './errors.js';

/** Writes a file under a temporary name, syncs it and renames it into place. @param mode @default 0o666, less umask */
export async function writeFileAtomic(file: string, data: Uint8Array | string, mode?: number): Promise<void> {
  const temporary = temporaryName(file);
  try {
    await writeSynced(temporary, data, mode);
    await rename(temporary, file);
    await syncPath(path.dirname(file));
  } catch (error) {
    await rm(temporary, { force: true });
    throw explainDisk(error, file);
  }
}

/**
 * Makes a file that appears complete, unless one of that name is there: of several who try at once, one wins.
 *
 * @returns false: the file was there already and is as it was.
 */
export async function createFileAtomic(file: string, data: Uint8Array | string): Promise<boolean> {
  const temporary = temporaryName(file);
  try {
    await writeSynced(temporary, data);
    // Unlike a rename, a link never takes the place of a file.
    await link(temporary, file);
    await syncPath(path.dirname(file));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw explainDisk(error, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeSynced(file: string, data: Uint8Array | string, mode?: number): Promise<void> {
  const handle = await open(file, 'w', mode);
  try {
    await handle.writeFile(data);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a folder whole or not at all: `write` fills a temporary folder beside it, which is synced and renamed.
 *
 * @throws {StateError} `STOA_EXISTS`: something not empty stands there already; nothing was touched.
 */
export async function publishFolder<T>(folder: string, write: (temporary: string) => Promise<T>): Promise<T> {
  await refuseExisting(folder);
  const temporary = temporaryName(folder);
  try {
    await mkdir(temporary, { recursive: true });
    const result = await write(temporary);
    await syncTree(temporary);
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
    await syncPath(path.dirname(folder));
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw explainDisk(error, folder);
  }
}

/** Refuses a folder or file that is there and not an empty folder. */
export async function refuseExisting(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') return [folder];
    throw error;
  });
  if (entries.length > 0) {
    throw new StateError(
      'STOA_EXISTS',
      `${folder} already exists and is not empty; remove it or choose another name`,
      {
        fields: { file: folder },
      },
    );
  }
}

/** Turns the errors of a full, broken or unwritable disk into ones that a user can act on; passes others through. */
export function explainDisk(error: unknown, target: string): unknown {
  const code = (error as NodeJS.ErrnoException)?.code;
  const text = String((error as Error)?.message ?? error);
  if (code === 'ENOSPC' || code === 'EDQUOT' || /No space left on device/i.test(text)) {
    return new SystemError(
      'STOA_DISK_FULL',
      `no space left on the disk while writing ${target}; nothing was kept, free some space and try again`,
      { fields: { file: target }, cause: error },
    );
  }
  if (code === 'EIO') {
    return new SystemError(
      'STOA_DISK_FAILED',
      `the disk did not confirm what was written to ${target} (EIO); look at the disk and the system's log`,
      { fields: { file: target }, cause: error },
    );
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'EPERM') {
    return new SystemError('STOA_ACCESS', `${target} cannot be written (${code}); check its permissions`, {
      fields: { file: target },
      cause: error,
    });
  }
  return error;
}

function temporaryName(target: string): string {
  const absolute = path.resolve(target);
  return path.join(
    path.dirname(absolute),
    `.${path.basename(absolute)}.${randomBytes(6).toString('hex')}.tmp`,
  );
}

/** Makes all files of a folder durable. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const full = path.join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(full);
    else await syncPath(full);
  }
  await syncPath(folder);
}

/** Makes a file's bytes, or a folder's entries, durable. */
export async function syncPath(target: string): Promise<void> {
  const handle = await open(target, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
