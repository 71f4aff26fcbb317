// One process works in a folder at a time. The lock is a file that names the process; one that a dead process left is
// recognised: on this machine by the process's start time, else by a file that nobody renews.

import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { StateError } from '../../common/errors.js';
import { type ProcessIdentity, processIdentity, startOf } from './process-identity.js';

const LOCK_FILE = '.lock';
/** How often a holder shows that it lives, for readers on other machines. */
const RENEW_MS = 1000;
/** A holder elsewhere that did not renew its lock for this long is gone: five missed renewals. */
const SILENT_MS = 5000;

const lockSchema = z.strictObject({
  pid: z.int(),
  host: z.string(),
  /** Changes when the machine starts again. */
  boot: z.string(),
  /** When the process started, in the system's ticks since the machine did; empty where that cannot be known. */
  started: z.string(),
  /** ISO 8601; for people. */
  since: z.string(),
  /** Tells two locks of one process apart. */
  nonce: z.string(),
});
type Lock = z.infer<typeof lockSchema>;

export interface FolderLock {
  release(): Promise<void>;
}

/**
 * Takes the lock of a folder, which must be there.
 *
 * @param what names the folder in the error: "run X", "the coordinator's state".
 * @param options.force takes it from whoever holds it: for one whose right to write is settled elsewhere.
 * @throws {StateError} `STOA_LOCKED`: a process that lives holds it; fields `pid` and `host` name it.
 */
export async function lockFolder(
  dir: string,
  what: string,
  { force = false }: { force?: boolean } = {},
): Promise<FolderLock> {
  const file = path.join(dir, LOCK_FILE);
  const mine = JSON.stringify(lockOf(processIdentity()));
  for (;;) {
    if (await placeLock(file, mine)) return holding(file, mine);
    const text = await readText(file);
    if (text === undefined) continue;
    const holder = parseLock(text);
    if (!force && holder !== undefined && (await isHeld(file, text, holder))) {
      const { pid, host, since } = holder;
      throw new StateError(
        'STOA_LOCKED',
        `${what} is in use by process ${pid} on ${host} since ${since}; wait for it or end it`,
        { fields: { pid, host, file } },
      );
    }
    await removeStale(file, text);
  }
}

function lockOf({ pid, host, boot, started }: ProcessIdentity): Lock {
  const nonce = randomBytes(8).toString('hex');
  return { pid, host, boot, started, since: new Date().toISOString(), nonce };
}

/** Makes the file with its text, both at once, unless there is one. */
async function placeLock(file: string, text: string): Promise<boolean> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}`;
  await writeFile(temporary, text);
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function isHeld(file: string, text: string, holder: Lock): Promise<boolean> {
  const { host, boot } = processIdentity();
  if (holder.host === host && holder.boot === boot) {
    const started = startOf(holder.pid);
    return started !== undefined && (holder.started === '' || started === holder.started);
  }
  // The process cannot be seen from here, its renewals can. A copy of a folder is never renewed.
  const before = await renewedMs(file);
  await sleep(SILENT_MS);
  return (await readText(file)) === text && (await renewedMs(file)) !== before;
}

/** Takes a stale lock away, and no other that was placed meanwhile. */
async function removeStale(file: string, text: string): Promise<void> {
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if ((await readText(aside)) !== text) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

function holding(file: string, text: string): FolderLock {
  const timer = setInterval(() => {
    const now = new Date();
    // A folder that is gone needs no lock; one that cannot be written will say so elsewhere.
    utimes(file, now, now).catch(() => undefined);
  }, RENEW_MS);
  timer.unref();
  return {
    release: async () => {
      clearInterval(timer);
      if ((await readText(file)) === text) await rm(file, { force: true });
    },
  };
}

function parseLock(text: string): Lock | undefined {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

async function readText(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch(() => undefined);
}

async function renewedMs(file: string): Promise<number> {
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
