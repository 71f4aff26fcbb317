// A folder that gives way to a new one of the same name. No system call exchanges two folders everywhere, so there are
// two renames; who finds the moment between them, after a crash, ends it.

import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk, syncPath, syncTree } from './atomic-files.js';
import { StateError } from './errors.js';

/** Of a replacement, or of a write that did not get to its end (atomic-files.ts). */
const LEFTOVER = /^\.(.+)\.(?:filling|next|gone|[0-9a-f]{12}\.tmp)$/;

/** Of which folder a name beside it is a leftover; undefined: of none. */
export function nameOfLeftover(entry: string): string | undefined {
  return LEFTOVER.exec(entry)?.[1];
}

function besides(folder: string) {
  const absolute = path.resolve(folder);
  const parent = path.dirname(absolute);
  const beside = (ending: string) => path.join(parent, `.${path.basename(absolute)}.${ending}`);
  return {
    folder: absolute,
    parent,
    /** Being filled: may be incomplete. */
    filling: beside('filling'),
    /** Complete and synced. */
    next: beside('next'),
    /** What was there before. */
    gone: beside('gone'),
  };
}

/**
 * Refuses a folder that has more than a replacement would write: it would be lost, and what it says is not known.
 *
 * @param known names that the folder may have.
 * @throws {StateError} `STOA_ERASURE`.
 */
export async function requireNothingElse(folder: string, known: readonly string[]): Promise<void> {
  const other = (await readdir(folder)).find((name) => !known.includes(name));
  if (other === undefined) return;
  const file = path.join(folder, other);
  throw new StateError('STOA_ERASURE', `${file} is not Stoa's and would be lost; move it elsewhere`, {
    fields: { file },
  });
}

/**
 * Replaces a folder by one that `write` fills. After a crash at any moment the folder is the old one or the new one for
 * whoever calls `finishReplacement` where nothing stands, and `clearReplacement` removes what is left of the old one.
 *
 * One process at a time: the caller holds a lock.
 *
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_ACCESS`: the old folder is as it was.
 */
export async function replaceFolder<T>(folder: string, write: (temporary: string) => Promise<T>): Promise<T> {
  const at = besides(folder);
  await clearReplacement(folder);
  try {
    await mkdir(at.filling);
    const result = await write(at.filling);
    await syncTree(at.filling);
    await rename(at.filling, at.next);
    await syncPath(at.parent);
    await rename(at.folder, at.gone);
    await syncPath(at.parent);
    await finishReplacement(folder);
    await clearReplacement(folder);
    return result;
  } catch (error) {
    await rm(at.filling, { recursive: true, force: true });
    throw explainDisk(error, folder);
  }
}

/**
 * Ends a replacement that was cut off between its two renames.
 *
 * @returns whether there was one: the folder is there now.
 */
export async function finishReplacement(folder: string): Promise<boolean> {
  const { folder: target, parent, next, gone } = besides(folder);
  if ((await isThere(target)) || !(await isThere(gone)) || !(await isThere(next))) return false;
  try {
    await rename(next, target);
    await syncPath(parent);
  } catch (error) {
    // Somebody else was faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainDisk(error, folder);
  }
  return true;
}

/**
 * Ends what was cut off, and removes what earlier writes of the folder left beside it, complete or not.
 *
 * @returns how many leftovers there were.
 */
export async function clearReplacement(folder: string): Promise<number> {
  await finishReplacement(folder);
  const { folder: target, parent } = besides(folder);
  const entries = await readdir(parent).catch(() => []);
  const left = entries.filter((entry) => nameOfLeftover(entry) === path.basename(target));
  for (const entry of left) await rm(path.join(parent, entry), { recursive: true, force: true });
  if (left.length > 0) await syncPath(parent);
  return left.length;
}

async function isThere(target: string): Promise<boolean> {
  return stat(target).then(
    () => true,
    () => false,
  );
}
