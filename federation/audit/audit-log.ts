// The log of what left, on disk before it leaves. `audit.jsonl` is appended to and never rewritten; `audit-head.json`
// says how far it reached, so that entries cut off at its end are missed.

import { type FileHandle, mkdir, open, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk, writeFileAtomic } from '../../common/atomic-files.js';
import { NotFoundError } from '../../common/errors.js';
import type { ChainHead } from '../hash-chained-lines.js';
import { AUDIT_LINES, type AuditEntry, auditDamaged } from './audit-records.js';

const LOG_FILE = 'audit.jsonl';
const HEAD_FILE = 'audit-head.json';

/** The only writer of its folder. Calls may overlap; entries stand in the order of the calls. */
export class AuditLog {
  readonly #dir: string;
  readonly #handle: FileHandle;
  readonly #now: () => Date;
  #head: ChainHead;
  #polls = 0;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(dir: string, handle: FileHandle, head: ChainHead, now: () => Date) {
    this.#dir = dir;
    this.#handle = handle;
    this.#head = head;
    this.#now = now;
  }

  /**
   * Opens a log, or begins one where there is none.
   *
   * @throws {CorruptError} `STOA_AUDIT_DAMAGED`: nothing may leave that a damaged log would be the record of.
   */
  static async open(dir: string, now: () => Date): Promise<AuditLog> {
    const file = path.join(dir, LOG_FILE);
    try {
      await mkdir(dir, { recursive: true });
      const read = await readIfThere(dir);
      // An incomplete line was never acknowledged: what it is about has not left.
      if (read !== undefined && read.tornBytes > 0) await truncate(file, read.wholeBytes);
      return new AuditLog(dir, await open(file, 'a'), read?.head ?? AUDIT_LINES.empty, now);
    } catch (error) {
      throw explainDisk(error, file);
    }
  }

  /** Something without data in it left: counted, and said with the next entry. */
  poll(): void {
    this.#polls++;
  }

  /** Resolves when the entry is on disk: then the message may leave. @throws {SystemError} `STOA_DISK_FULL`. */
  append(entry: Omit<AuditEntry, 'time' | 'polls'>): Promise<void> {
    const turn = this.#last.then(async () => {
      const polls = this.#polls;
      const { line, head } = AUDIT_LINES.encode(this.#head, {
        time: this.#now().toISOString(),
        ...entry,
        polls,
      });
      try {
        await this.#handle.appendFile(line);
        await this.#handle.sync();
        await writeFileAtomic(path.join(this.#dir, HEAD_FILE), `${JSON.stringify(head)}\n`);
      } catch (error) {
        throw explainDisk(error, path.join(this.#dir, LOG_FILE));
      }
      this.#polls -= polls;
      this.#head = head;
    });
    // One that failed leaves a log that nothing may follow.
    this.#last = turn;
    turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    await this.#last.catch(() => {});
    await this.#handle.close();
  }
}

/** What a log says, once every line of it was checked. */
export interface VerifiedAudit {
  entries: readonly AuditEntry[];
  head: ChainHead;
}

/**
 * Reads and checks a log.
 *
 * @throws {NotFoundError} `STOA_NOT_FOUND_FILE`; {CorruptError} `STOA_AUDIT_DAMAGED`.
 */
export async function verifyAudit(dir: string): Promise<VerifiedAudit> {
  const read = await readIfThere(dir);
  if (read === undefined) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `there is no audit log in ${dir}`, {
      fields: { file: path.join(dir, LOG_FILE) },
    });
  }
  return read;
}

async function readIfThere(
  dir: string,
): Promise<(VerifiedAudit & { wholeBytes: number; tornBytes: number }) | undefined> {
  const file = path.join(dir, LOG_FILE);
  const bytes = await bytesOf(file);
  const acknowledged = await bytesOf(path.join(dir, HEAD_FILE));
  if (bytes === undefined && acknowledged === undefined) return undefined;
  if (bytes === undefined) throw auditDamaged(file, 'it is gone, while its head is there');
  const { records: entries, heads, wholeBytes } = AUDIT_LINES.read(bytes, file);
  const head = heads.at(-1) ?? AUDIT_LINES.empty;
  const tornBytes = bytes.length - wholeBytes;
  if (acknowledged === undefined) {
    // Ended between the first line and its head: nothing has left.
    if (entries.length <= 1) return { entries, head, wholeBytes, tornBytes };
    throw auditDamaged(file, 'its head is gone');
  }
  const known = parseHead(acknowledged.toString('utf8'));
  if (known === undefined) throw auditDamaged(file, 'its head is not what was written');
  const at = heads[known.sequence - 1];
  if (at === undefined) {
    throw auditDamaged(file, `it has ${entries.length} entries where ${known.sequence} were written`);
  }
  if (at.chain !== known.chain) throw auditDamaged(file, 'it is another one than that of its head');
  return { entries, head, wholeBytes, tornBytes };
}

function parseHead(text: string): ChainHead | undefined {
  try {
    const { sequence, chain } = JSON.parse(text) as ChainHead;
    const isHead = Number.isSafeInteger(sequence) && sequence >= 1 && /^[0-9a-f]{64}$/.test(chain);
    return isHead ? { sequence, chain } : undefined;
  } catch {
    return undefined;
  }
}

async function bytesOf(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw explainDisk(error, file);
  });
}
