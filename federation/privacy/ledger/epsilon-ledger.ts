// The record of what was spent on privacy, on disk before anything that it pays for is sent.
//
// Two files. `ledger.jsonl` is appended to and never rewritten. `ledger-head.json` says how far the ledger reached when
// it was last acknowledged, and is replaced as a whole. A spend is: append, sync, replace the head, sync, answer.
// - Killed while appending: the head is of the record before. An incomplete last line was never acknowledged and is cut
//   off; a complete one counts as spent.
// - The ledger is shorter than its head, or differs from it: lines were lost that were acknowledged. It is damaged.
// - One of the two is missing: damaged. Both are missing: there is no ledger, and `open` makes none.
// Two files put back together from the same older copy cannot be told from that time's; docs/privacy.md says so.

import { type FileHandle, open, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { explainDisk, publishFolder, syncPath, writeFileAtomic } from '../../../common/atomic-files.js';
import { sha256 } from '../../../common/checksums.js';
import { messageOf, NotFoundError, StateError } from '../../../common/errors.js';
import type { ChainHead } from '../../hash-chained-lines.js';
import type { PlannedRelease } from '../planned-releases.js';
import type { Adjacency } from '../privacy-loss.js';
import { SpendPermit } from '../spend-permit.js';
import {
  type BudgetRecord,
  damaged,
  LEDGER_LINES,
  type LedgerRecord,
  type SpendRecord,
} from './ledger-records.js';
import { LedgerState, type Spent } from './ledger-state.js';

const LEDGER_FILE = 'ledger.jsonl';
const HEAD_FILE = 'ledger-head.json';

/** What a group allows; see `BudgetRecord`. */
export type Budget = Omit<BudgetRecord, 'kind' | 'time'>;

export interface LedgerOptions {
  /** For people: when a record was made. */
  now: () => Date;
}

export interface SpendRequest {
  readonly group: string;
  readonly run: string;
  readonly round: string;
  readonly releases: readonly Pick<PlannedRelease, 'name' | 'noiseMultiplier'>[];
}

/** The only writer of its folder: see `STOA_LEDGER_CHANGED`. Calls may overlap; they are done one after the other. */
export class EpsilonLedger {
  readonly #file: string;
  readonly #headFile: string;
  readonly #handle: FileHandle;
  readonly #now: () => Date;
  readonly #state: LedgerState;
  #head: ChainHead;
  /** What the ledger's file has when nobody else writes. */
  #bytes: number;
  /** The call before; never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  /** Set by a write that failed: nobody knows what is on disk then, so nothing more is spent. */
  #broken: unknown;

  private constructor(dir: string, handle: FileHandle, read: OpenedLedger, { now }: LedgerOptions) {
    this.#file = path.join(dir, LEDGER_FILE);
    this.#headFile = path.join(dir, HEAD_FILE);
    this.#handle = handle;
    this.#state = read.state;
    this.#head = read.head;
    this.#bytes = read.bytes;
    this.#now = now;
  }

  /**
   * Begins a ledger in a folder of its own, which appears whole or not at all.
   *
   * @param dir not there, or empty.
   * @param o   `ledgerId` tells it from others.
   * @throws {StateError} `STOA_EXISTS`: something is there; it was not touched.
   */
  static async create(
    dir: string,
    o: { ledgerId: string; adjacency: Adjacency; budgets: readonly Budget[] },
    options: LedgerOptions,
  ): Promise<EpsilonLedger> {
    const { ledgerId, adjacency, budgets } = o;
    const time = options.now().toISOString();
    let head = LEDGER_LINES.empty;
    let text = '';
    const records: LedgerRecord[] = [
      { kind: 'open', version: 1, ledgerId, adjacency, time },
      ...budgets.map((budget): BudgetRecord => ({ kind: 'budget', ...budget, time })),
    ];
    for (const record of records) {
      const next = LEDGER_LINES.encode(head, record);
      text += next.line;
      head = next.head;
    }
    await publishFolder(dir, async (folder) => {
      await writeFile(path.join(folder, LEDGER_FILE), text);
      await writeFile(path.join(folder, HEAD_FILE), headText(head));
    });
    return EpsilonLedger.open(dir, options);
  }

  /**
   * Opens a ledger and adds up what was spent.
   *
   * @throws {NotFoundError} `STOA_NOT_FOUND_FILE`: there is none; nothing was made.
   * @throws {CorruptError} `STOA_LEDGER_DAMAGED`.
   */
  static async open(dir: string, options: LedgerOptions): Promise<EpsilonLedger> {
    const read = await readLedger(dir);
    const file = path.join(dir, LEDGER_FILE);
    try {
      if (read.tornBytes > 0) await truncate(file, read.bytes);
      await syncPath(file);
      await writeFileAtomic(path.join(dir, HEAD_FILE), headText(read.head));
      return new EpsilonLedger(dir, await open(file, 'a'), read, options);
    } catch (error) {
      throw explainDisk(error, file);
    }
  }

  get ledgerId(): string {
    return this.#state.ledgerId;
  }

  /** What a group has spent so far, or what one run of it has. */
  spent(group: string, run?: string): Spent {
    return this.#state.spent(group, run);
  }

  /**
   * Records releases as spent. When it resolves, the record is on disk, and the permit lets each of them be sent once.
   * The same round asked for again is paid for again: its noise would be fresh.
   *
   * @throws {PrivacyError} `STOA_BUDGET`: the budget does not allow it; nothing was recorded.
   * @throws {SystemError} `STOA_DISK_FULL`, `STOA_DISK_FAILED`: nothing may be sent, and this ledger spends no more.
   * @throws {StateError} `STOA_LEDGER_CHANGED`: another process writes to it; as above.
   */
  spend(request: SpendRequest): Promise<SpendPermit> {
    return this.#inTurn(async () => {
      const { group, run, round } = request;
      const releases = request.releases.map(({ name, noiseMultiplier }) => ({ name, noiseMultiplier }));
      const time = this.#now().toISOString();
      const record: SpendRecord = { kind: 'spend', group, run, round, releases, time };
      if (new Set(releases.map(({ name }) => name)).size < releases.length) {
        throw new StateError('STOA_RUN_STATE', `two releases of ${round} have one name`);
      }
      this.#state.requireAffordable(record);
      await this.#append(record);
      return new SpendPermit(record);
    });
  }

  /** Sets what a group allows from here on. What was spent stays spent. */
  setBudget(budget: Budget): Promise<void> {
    return this.#inTurn(() => this.#append({ kind: 'budget', ...budget, time: this.#now().toISOString() }));
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#handle.close();
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #append(record: LedgerRecord): Promise<void> {
    if (this.#broken !== undefined) {
      throw new StateError(
        'STOA_LEDGER_CHANGED',
        `${this.#file} could not be written before (${messageOf(this.#broken)}); nothing is spent until it is opened again`,
        { cause: this.#broken, fields: { file: this.#file } },
      );
    }
    const { line, head } = LEDGER_LINES.encode(this.#head, record);
    const bytes = this.#bytes + Buffer.byteLength(line);
    await this.#requireBytes(this.#bytes);
    try {
      await this.#handle.appendFile(line);
      await this.#handle.sync();
      await this.#requireBytes(bytes);
      await writeFileAtomic(this.#headFile, headText(head));
    } catch (error) {
      this.#broken = error;
      throw explainDisk(error, this.#file);
    }
    this.#head = head;
    this.#bytes = bytes;
    this.#state.apply(record);
  }

  /** Two writers at once: at least one of them sees a length that it did not make, and the chain breaks for the next. */
  async #requireBytes(expected: number): Promise<void> {
    const held = await this.#handle.stat();
    const named = await stat(this.#file).catch(() => undefined);
    if (held.size === expected && named?.ino === held.ino) return;
    const error = new StateError(
      'STOA_LEDGER_CHANGED',
      `another process changed ${this.#file}; nothing was sent`,
      {
        fields: { file: this.#file },
      },
    );
    this.#broken = error;
    throw error;
  }
}

interface OpenedLedger {
  state: LedgerState;
  head: ChainHead;
  /** Of whole lines. */
  bytes: number;
  /** What follows them: an incomplete line, never acknowledged. */
  tornBytes: number;
}

async function readLedger(dir: string): Promise<OpenedLedger> {
  const file = path.join(dir, LEDGER_FILE);
  const bytes = await readIfThere(file);
  const headBytes = await readIfThere(path.join(dir, HEAD_FILE));
  if (bytes === undefined && headBytes === undefined) {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `there is no privacy ledger in ${dir}`, {
      fields: { file },
    });
  }
  if (bytes === undefined) throw damaged(file, 'it is gone, while its head is there');
  if (headBytes === undefined) throw damaged(file, 'its head is gone');
  const acknowledged = parseHead(headBytes.toString('utf8'));
  if (acknowledged === undefined) throw damaged(file, 'its head is not what was written');
  const { records, heads, wholeBytes } = LEDGER_LINES.read(bytes, file);
  const at = heads[acknowledged.sequence - 1];
  if (at === undefined) {
    throw damaged(file, `it has ${records.length} records, ${acknowledged.sequence} were acknowledged`);
  }
  if (at.chain !== acknowledged.chain) throw damaged(file, 'it is another one than that of its head');
  const state = new LedgerState();
  for (const record of records) state.apply(record);
  return { state, head: heads.at(-1)!, bytes: wholeBytes, tornBytes: bytes.length - wholeBytes };
}

/** A line with a checksum of its own: a damaged head must not pass for an earlier one. */
function headText({ sequence, chain }: ChainHead): string {
  return `${JSON.stringify({ sequence, chain, check: sha256(`head ${sequence} ${chain}`) })}\n`;
}

function parseHead(text: string): ChainHead | undefined {
  try {
    const { sequence, chain } = JSON.parse(text) as ChainHead;
    return text === headText({ sequence, chain }) && sequence >= 1 ? { sequence, chain } : undefined;
  } catch {
    return undefined;
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explainDisk(error, file);
  }
}
