// A coordinator's --state: journal, runs, models, datasets. One process works in it at a time.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { explainDisk } from '../common/atomic-files.js';
import type { Clock } from '../common/clock.js';
import type { StoaError } from '../common/errors.js';
import { DiskGuard } from './journal/disk-guard.js';
import { type FolderLock, lockFolder } from './journal/folder-lock.js';
import { Journal } from './journal/journal.js';
import { listTerms } from './journal/read-terms.js';
import { type Fence, soleFence } from './leader/fence.js';
import { promotionsInJournal } from './registry/promotions.js';
import { Registry } from './registry/registry.js';

export interface StateFolder {
  readonly fence: Fence;
  readonly journal: Journal;
  readonly registry: Registry;
  /** Closes the journal and lets others in. */
  close(): Promise<void>;
}

export interface StateFolderOptions {
  /** Made when it is not there. */
  dir: string;
  /** Of an elected leader; absent: this process is the only one. */
  fence?: Fence;
  diskReserveBytes: number;
  clock: Clock;
  log: Logger;
  onFatal: (error: StoaError) => void;
}

export function journalDirOf(stateDir: string): string {
  return path.join(path.resolve(stateDir), 'journal');
}

/**
 * @throws {StateError} `STOA_LOCKED`: another process works in the folder, which is named.
 * @throws {SystemError} `STOA_DISK_FULL`, `STOA_DISK_FAILED`, `STOA_ACCESS`.
 */
export async function openStateFolder(options: StateFolderOptions): Promise<StateFolder> {
  const { dir, clock, log, onFatal } = options;
  await mkdir(dir, { recursive: true }).catch((error: unknown) => {
    throw explainDisk(error, dir);
  });
  const journalDir = journalDirOf(dir);
  // An elected leader may follow one that is frozen and still holds the lock: its right is the later one.
  const lock = await lockFolder(dir, `the state folder ${dir}`, { force: options.fence !== undefined });
  try {
    const fence = options.fence ?? soleFence(1 + ((await listTerms(journalDir)).at(-1) ?? 0));
    const guard = new DiskGuard(dir, options.diskReserveBytes);
    const journal = await Journal.open({ dir: journalDir, fence, guard, clock, log, onFatal });
    const registry = await Registry.open(dir, promotionsInJournal(journal, path.join(dir, 'models')));
    return { fence, journal, registry, close: () => closeAll(journal, lock) };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

async function closeAll(journal: Journal, lock: FolderLock): Promise<void> {
  await journal.close();
  await lock.release();
}
