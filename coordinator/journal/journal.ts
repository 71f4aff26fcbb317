// The journal of a coordinator: what it has acknowledged, in an LMDB store of its own for each term of leadership.
//
// A term never writes to another's store. A leader that was frozen and wakes up when others lead can therefore spoil
// nothing: what it still writes lies where nobody looks any more.

import { mkdir, rm } from 'node:fs/promises';
import os from 'node:os';
import { open, type RootDatabase } from 'lmdb';
import type { Logger } from 'pino';
import { explainDisk, syncPath } from '../../common/atomic-files.js';
import type { Clock } from '../../common/clock.js';
import { FencedError, messageOf, StateError, SystemError } from '../../common/errors.js';
import type { Fence } from '../leader/fence.js';
import type { DiskGuard } from './disk-guard.js';
import type { JournalEntry } from './entries.js';
import { firstEntry } from './first-entry.js';
import { applyEntry, emptyState, type JournalState } from './journal-state.js';
import { JournalTail } from './journal-tail.js';
import { listTerms, type ReadTerm, readTerm, termDir } from './read-terms.js';

/** A disk that takes longer to confirm a few hundred bytes is broken, or as good as. */
const FLUSH_MS_MAX = 10_000;
/** Pages that a transaction of one record may copy: the path to its leaf, twice, and a new root. */
const TRANSACTION_BYTES = 1 << 20;
/** Terms that are kept: this one, the one it took over from, and one more to look at should that be damaged. */
const TERMS_KEPT = 3;

export interface JournalOptions {
  /** Made when it is not there. */
  dir: string;
  fence: Fence;
  guard: DiskGuard;
  clock: Clock;
  log: Logger;
  /**
   * Called when the disk did not confirm a write: nothing that was said to be written may be trusted from here on, and
   * asking again could say yes to bytes that are lost. Ends the process where there is one to end.
   */
  onFatal: (error: SystemError) => void;
}

export class Journal {
  readonly #o: JournalOptions;
  readonly #store: RootDatabase<Buffer, number>;
  readonly #tail: JournalTail;
  #failure: SystemError | undefined;
  #pending = new Set<Promise<void>>();

  private constructor(options: JournalOptions, state: JournalState, store: RootDatabase<Buffer, number>) {
    this.#o = options;
    this.#tail = new JournalTail(options.fence, state);
    this.#store = store;
  }

  /**
   * Reads what earlier terms left and begins a new one.
   *
   * @throws {SystemError} `STOA_DISK_FULL`, `STOA_DISK_FAILED`; {FencedError} `STOA_NOT_LEADER`: a later term has begun.
   */
  static async open(options: JournalOptions): Promise<Journal> {
    const { dir, fence, guard, log } = options;
    await mkdir(dir, { recursive: true }).catch((error: unknown) => {
      throw explainDisk(error, dir);
    });
    const terms = await listTerms(dir);
    const before = await lastReadable(dir, terms, log);
    const state = emptyState();
    for (const entry of before?.entries ?? []) applyEntry(state, entry);
    guard.requireRoom(2 * TRANSACTION_BYTES);
    await makeTermFolder(dir, fence.term, terms);
    const journal = new Journal(options, state, openStore(termDir(dir, fence.term)));
    const who = { term: fence.term, time: options.clock.date().toISOString() };
    const here = { host: os.hostname(), pid: process.pid };
    await journal.append(firstEntry({ ...who, ...here }, state, before));
    await syncPath(termDir(dir, fence.term));
    await syncPath(dir);
    for (const old of terms.slice(0, Math.max(0, terms.length + 1 - TERMS_KEPT))) {
      if (old !== before?.term) await rm(termDir(dir, old), { recursive: true, force: true });
    }
    return journal;
  }

  get term(): number {
    return this.#o.fence.term;
  }

  /** All that was journaled, this term's entries included. */
  get state(): JournalState {
    return this.#tail.state;
  }

  /**
   * Resolves when the entry is on disk and this process still had the right to write then: it may be acknowledged.
   *
   * @throws {SystemError} `STOA_DISK_FULL`: nothing was written; `STOA_DISK_FAILED`: the process ends.
   * @throws {FencedError} `STOA_NOT_LEADER`: nobody may be told of the entry.
   */
  async append(entry: JournalEntry): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    const { sequence, bytes } = this.#tail.begin(entry, (length) =>
      this.#o.guard.requireRoom(TRANSACTION_BYTES + 2 * length),
    );
    const written = this.#write(sequence, bytes);
    this.#pending.add(written);
    try {
      await written;
    } finally {
      this.#pending.delete(written);
    }
    this.#tail.confirm(entry);
  }

  /** Closes the store once what is being written is on disk. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    await this.#store.close();
  }

  async #write(sequence: number, bytes: Buffer): Promise<void> {
    try {
      await within(FLUSH_MS_MAX, this.#commit(sequence, bytes));
    } catch (error) {
      this.#failure ??= new SystemError(
        'STOA_DISK_FAILED',
        `the disk did not confirm record ${sequence} of the journal in ${this.#o.dir} (${messageOf(error)}); ending, since what is not on disk must not be acknowledged`,
        { fields: { file: this.#o.dir }, cause: error },
      );
      this.#o.onFatal(this.#failure);
      throw this.#failure;
    }
  }

  async #commit(sequence: number, bytes: Buffer): Promise<void> {
    await this.#store.put(sequence, bytes);
    // With the store's settings a commit is on disk; this holds should they change.
    await this.#store.flushed;
  }
}

function openStore(dir: string): RootDatabase<Buffer, number> {
  return open<Buffer, number>({
    path: dir,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'uint32',
    // A commit waits for its own fsync: errors come out of it (with overlapping ones they are lost), and it is faster
    // for one writer that waits for each record.
    overlappingSync: false,
  });
}

/** The newest term with at least its first record. What is wrong with it, or with those after it, is logged. */
async function lastReadable(
  dir: string,
  terms: readonly number[],
  log: Logger,
): Promise<ReadTerm | undefined> {
  for (const term of [...terms].reverse()) {
    const read = await readTerm(dir, term);
    if (read.damage !== undefined) {
      const { sequence } = read.head;
      const rest =
        sequence === 0 ? 'the term before is taken' : `what is after record ${sequence} is cut off`;
      log.warn({ term }, `the journal is damaged: ${read.damage}; ${rest}`);
    }
    if (read.entries.length > 0) return read;
  }
  return undefined;
}

async function makeTermFolder(dir: string, term: number, terms: readonly number[]): Promise<void> {
  const newest = terms.at(-1) ?? 0;
  if (newest >= term) {
    throw new FencedError(
      'STOA_NOT_LEADER',
      `term ${term} cannot begin in ${dir}, where term ${newest} has begun already`,
      { fields: { file: dir } },
    );
  }
  await mkdir(termDir(dir, term)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw explainDisk(error, dir);
    throw new StateError('STOA_LOCKED', `another process has just begun term ${term} of ${dir}; try again`, {
      fields: { file: dir },
    });
  });
}

/** @throws an error when the promise has not settled in time; it is left alone then. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
