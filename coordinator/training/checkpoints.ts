// The checkpoints of a run. One is begun at the end of every phase and written beside the next one, so that a crash
// costs at most the phase in progress and the one before it; only where phases are shorter than half a second, or
// than twenty times what a checkpoint takes, are some passed over, and a crash costs that long. Only tables that
// changed are written: each once an epoch.

import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Clock } from '../../common/clock.js';
import { assert, CorruptError, messageOf, StoaError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import type { DiskGuard } from '../journal/disk-guard.js';
import type { PhaseEnd } from '../journal/entries.js';
import type { Fence } from '../leader/fence.js';
import { arraySource, type RowSource } from '../parameters/row-source.js';
import type { Snapshot } from './checkpoint.js';
import {
  type CheckpointManifest,
  type CheckpointName,
  checkpointName,
  checkpointNames,
  readManifest,
  type TableEntry,
  tableFiles,
  termOf,
  writeManifest,
} from './checkpoint-manifest.js';
import { checkSnapshot, loadSnapshot } from './read-snapshot.js';
import { writeTable } from './table-file.js';

/** What a checkpoint is written from. */
type StoredSnapshot = Snapshot<Float32Array | RowSource>;

/**
 * Least time from one checkpoint to the next. A disk takes some 10 ms to confirm one, and ten times that when others
 * use it too: more often, and short phases would mostly wait for it.
 */
const INTERVAL_MS = 500;
/** Share of the time that goes into checkpoints at most: a slow disk has fewer of them. */
const TIME_SHARE_MAX = 0.05;
/** Between two tries of a write that met a full disk although the guard saw room (a quota, another writer). */
const RETRY_MS = 500;
/** The manifest, the line of metrics and the journal's pages, generously. */
const SMALL_BYTES = 2 << 20;

/** Of models that push and pull. */
const NO_GRAM = new Float64Array(0);

interface TableToWrite extends Pick<Snapshot, 'clocks' | 'sums' | 'factors'> {
  side: Side;
  tables: Readonly<Record<Side, Float32Array | RowSource>>;
}

/** What was written of a checkpoint. */
interface Written {
  last?: Record<Side, TableEntry>;
  best?: Record<Side, TableEntry>;
}

export interface CheckpointsOptions {
  dir: string;
  /** How many to keep. */
  keep: number;
  fence: Fence;
  guard: DiskGuard;
  /** Ends waits for room on the disk. */
  signal: AbortSignal;
  clock: Clock;
  log: Logger;
  /** Called when a checkpoint is durable, to put it down where it counts. */
  acknowledge: (end: PhaseEnd) => Promise<void>;
  /** The run waits for room on the disk, or does no longer. */
  onWaiting: (isWaiting: boolean) => void;
  /** Called at once when the disk did not confirm a write. */
  onFatal: (error: StoaError) => void;
}

export class Checkpoints {
  readonly #o: CheckpointsOptions;
  #writing: { nextPhase: number; captured: Promise<void>; durable: Promise<void> } | undefined;
  #lastPhase = -1;
  #begunMs = Number.NEGATIVE_INFINITY;
  /** How long the last one took to write, without waiting for room on the disk. */
  #tookMs = 0;
  #hasFailed = false;
  #isWaiting = false;
  /** The tables of the newest checkpoint, of each side: its own, and those that it keeps of the best phase. */
  #tables: Record<Side, readonly TableEntry[]> = { users: [], items: [] };
  /** Table files of the checkpoints that are whole, by name. */
  readonly #whole = new Map<string, string[]>();

  constructor(options: CheckpointsOptions) {
    this.#o = options;
  }

  /** The phase that the newest durable checkpoint goes on with, -1 when there is none. */
  get lastPhase(): number {
    return this.#lastPhase;
  }

  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /**
   * False when the last one was begun less than `INTERVAL_MS` ago, or took too much of the time since. One that waits
   * for room on the disk makes the next one due: the run is to wait with it.
   */
  get isDue(): boolean {
    if (this.#isWaiting) return true;
    const leastMs = Math.max(INTERVAL_MS, this.#tookMs / TIME_SHARE_MAX);
    return this.#o.clock.nowMs() - this.#begunMs >= leastMs;
  }

  /** The last write failed; `settle` says why. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Begins the checkpoint of a phase, unless the last one was only just begun; else waits for that one: what is on disk
   * is at most one phase behind. Arguments as `begin`. Errors of the checkpoint before.
   */
  async beginIfDue(take: () => StoredSnapshot, before: () => Promise<void>): Promise<void> {
    if (this.hasFailed) await this.settle();
    if (!this.isDue) return;
    await this.settle();
    this.begin(take(), before);
  }

  /** Has a checkpoint of the phase on disk when it resolves; arguments as `begin`. Errors of the writing. */
  async reach(nextPhase: number, take: () => StoredSnapshot, before: () => Promise<void>): Promise<void> {
    await this.settle();
    if (nextPhase === 0 || this.#lastPhase === nextPhase) return;
    this.begin(take(), before);
    await this.settle();
  }

  /**
   * Starts to write a checkpoint, which appears only after `before` has resolved. It waits for room on the disk. A
   * failure comes out of `settle`.
   */
  begin(snapshot: StoredSnapshot, before: () => Promise<void>): void {
    assert(!this.isWriting, 'one checkpoint is written at a time');
    this.#begunMs = this.#o.clock.nowMs();
    let capture = () => {};
    const captured = new Promise<void>((resolve) => {
      capture = resolve;
    });
    const durable = this.#writeWhenThereIsRoom(snapshot, before, capture);
    this.#writing = { nextPhase: snapshot.nextPhase, captured, durable };
    durable.then(
      () => {
        this.#lastPhase = snapshot.nextPhase;
        this.#writing = undefined;
      },
      () => {
        this.#hasFailed = true;
        capture();
      },
    );
  }

  /**
   * Resolves when phase `next` may overwrite what the checkpoint under way reads: tables are double-buffered, so that
   * only the third phase after a checkpoint writes over its rows.
   */
  async untilCaptured(next: number): Promise<void> {
    if (this.#writing !== undefined && next >= this.#writing.nextPhase + 2) {
      await this.#writing.captured;
    }
  }

  /** Resolves when nothing is being written. @throws what the last write failed of. */
  async settle(): Promise<void> {
    await this.#writing?.durable;
  }

  /**
   * The newest checkpoint that is whole, its rows in memory, or undefined when there is none at all.
   *
   * @param acknowledged what the journal says of the run's phases, oldest first; absent: there is no journal. Others
   *   are taken only when none of these is whole.
   * @throws {CorruptError} there are checkpoints, and none is whole.
   */
  latest(acknowledged?: readonly PhaseEnd[]): Promise<Snapshot | undefined> {
    return this.#newest(acknowledged, loadSnapshot);
  }

  /** As `latest`, but the rows stay on the disk: all of them have been checked, and are again when they are read. */
  find(acknowledged?: readonly PhaseEnd[]): Promise<Snapshot<RowSource> | undefined> {
    return this.#newest(acknowledged, checkSnapshot);
  }

  async #newest<Rows>(
    acknowledged: readonly PhaseEnd[] | undefined,
    read: (dir: string, manifest: CheckpointManifest) => Promise<Snapshot<Rows>>,
  ): Promise<Snapshot<Rows> | undefined> {
    const { log } = this.#o;
    let damage: CorruptError | undefined;
    const found = await this.#names();
    for (const candidate of inOrder(found, acknowledged)) {
      if (candidate.isUnexpected) {
        log.warn(
          { checkpoint: candidate.name },
          'the journal does not know this checkpoint; it is whole or passed over',
        );
      }
      try {
        const snapshot = await this.#read(candidate.name, candidate.sha256, read);
        await this.#rememberOthers(found, candidate.name);
        return snapshot;
      } catch (error) {
        if (!(error instanceof CorruptError)) throw error;
        log.warn({ checkpoint: candidate.name }, `${messageOf(error)}; going back to the checkpoint before`);
        damage ??= error;
      }
    }
    if (damage === undefined) return undefined;
    throw new CorruptError(damage.code, `no checkpoint in ${this.#o.dir} is whole: ${damage.message}`, {
      fields: damage.fields,
      cause: damage,
    });
  }

  async #read<Rows>(
    name: string,
    sha256: string | undefined,
    read: (dir: string, manifest: CheckpointManifest) => Promise<Snapshot<Rows>>,
  ): Promise<Snapshot<Rows>> {
    const { dir } = this.#o;
    const manifest = await readManifest(path.join(dir, name), sha256);
    const snapshot = await read(dir, manifest);
    this.#remember(manifest);
    this.#whole.set(name, tableFiles(manifest));
    this.#lastPhase = manifest.next_phase;
    return snapshot;
  }

  #remember({ users, items, best }: CheckpointManifest): void {
    this.#tables = {
      users: best === undefined ? [users] : [users, best.users],
      items: best === undefined ? [items] : [items, best.items],
    };
  }

  /** Those before the one that is taken are kept as far as they are to be kept. */
  async #rememberOthers(found: readonly CheckpointName[], taken: string): Promise<void> {
    for (const { name } of found.slice(found.findIndex((one) => one.name === taken) + 1)) {
      const manifest = await readManifest(path.join(this.#o.dir, name)).catch(() => undefined);
      if (manifest !== undefined) this.#whole.set(name, tableFiles(manifest));
    }
  }

  async #writeWhenThereIsRoom(
    snapshot: StoredSnapshot,
    before: () => Promise<void>,
    captured: () => void,
  ): Promise<void> {
    const { guard, signal, clock, log, onWaiting, onFatal } = this.#o;
    // Once its rows may change again, a table that was written must not be written anew.
    const written: Written = {};
    const tables = [snapshot.tables, ...(snapshot.best === undefined ? [] : [snapshot.best.tables])];
    const bytes = tables.reduce(
      (sum, { users, items }) => sum + users.byteLength + items.byteLength,
      SMALL_BYTES,
    );
    let hasWaited = false;
    const wait = (sentence: string) => {
      if (!hasWaited) log.warn(sentence);
      hasWaited = true;
      this.#isWaiting = true;
      onWaiting(true);
    };
    for (;;) {
      try {
        await guard.untilRoom(bytes, signal, wait);
        const beginMs = clock.nowMs();
        await this.#write(snapshot, written, { before, captured });
        this.#tookMs = clock.nowMs() - beginMs;
        break;
      } catch (error) {
        const code = error instanceof StoaError ? error.code : undefined;
        if (code === 'STOA_DISK_FAILED') onFatal(error as StoaError);
        if (code !== 'STOA_DISK_FULL') throw error;
        wait(messageOf(error));
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
    if (!hasWaited) return;
    this.#isWaiting = false;
    log.info('there is room on the disk again; going on');
    onWaiting(false);
  }

  async #write(
    snapshot: StoredSnapshot,
    written: Written,
    { before, captured }: { before: () => Promise<void>; captured: () => void },
  ): Promise<void> {
    const { dir, fence, acknowledge } = this.#o;
    fence.check();
    await mkdir(dir, { recursive: true });
    const { clocks, tables, sums, factors, best } = snapshot;
    const writeAll = async (from: Omit<TableToWrite, 'side'>) => ({
      users: await this.#writeSide({ ...from, side: 'users' }),
      items: await this.#writeSide({ ...from, side: 'items' }),
    });
    written.last ??= await writeAll({ clocks, tables, sums, factors });
    if (best !== undefined) written.best ??= await writeAll({ ...best, sums: {}, factors });
    captured();
    await before();
    fence.check();
    const manifest: CheckpointManifest = {
      format: 'stoa-checkpoint',
      version: 2,
      run_id: snapshot.runId,
      plan: snapshot.plan,
      config: snapshot.config,
      next_phase: snapshot.nextPhase,
      factors,
      ...written.last,
      best: best && { next_phase: best.nextPhase, ...written.best! },
    };
    const name = checkpointName(snapshot.nextPhase, fence.term);
    const sha256 = await writeManifest(path.join(dir, name), manifest);
    this.#remember(manifest);
    this.#whole.set(name, tableFiles(manifest));
    await acknowledge({ next_phase: snapshot.nextPhase, checkpoint: name, sha256 });
    fence.check();
    await this.#prune();
  }

  /**
   * Writes a side's table unless it is there already. One of an earlier term is written again: its leader, should it
   * not be dead but frozen, might yet remove what it believes to be its own.
   */
  async #writeSide({ side, clocks, tables, sums, factors }: TableToWrite): Promise<TableEntry> {
    const { dir, fence } = this.#o;
    const clock = clocks[side];
    const before = this.#tables[side].find((entry) => entry.clock === clock);
    if (before !== undefined && termOf(before.file) === fence.term) return before;
    const file = `${side}-${String(clock).padStart(6, '0')}.${fence.term}.table`;
    const rows = tables[side];
    const source = rows instanceof Float32Array ? arraySource(rows, factors) : rows;
    const facts = await writeTable(path.join(dir, file), source, sums[side]?.gram ?? NO_GRAM);
    return { file, clock, rows: rows.byteLength / 4 / factors, ...facts, penalty: sums[side]?.penalty };
  }

  /**
   * Removes what is older than the checkpoints to keep. Files of later terms are another leader's: this process may
   * have been frozen since it looked.
   */
  async #prune(): Promise<void> {
    const { dir, keep, fence } = this.#o;
    const entries = await readdir(dir);
    const kept = checkpointNames(entries)
      .filter(({ name }) => this.#whole.has(name))
      .slice(0, keep);
    const needed = new Set(kept.flatMap(({ name }) => [name, ...this.#whole.get(name)!]));
    for (const name of entries) {
      if (needed.has(name) || termOf(name) > fence.term) continue;
      this.#whole.delete(name);
      await rm(path.join(dir, name), { recursive: true, force: true });
    }
  }

  async #names(): Promise<CheckpointName[]> {
    return checkpointNames(await readdir(this.#o.dir).catch(() => []));
  }
}

interface Choice {
  readonly name: string;
  readonly sha256?: string;
  readonly isUnexpected?: boolean;
}

function inOrder(found: readonly CheckpointName[], acknowledged: readonly PhaseEnd[] | undefined): Choice[] {
  if (acknowledged === undefined) return found.map(({ name }) => ({ name }));
  const there = new Set(found.map(({ name }) => name));
  // Those that were removed to make room for newer ones are not missed.
  const known = acknowledged.filter(({ checkpoint }) => there.has(checkpoint)).reverse();
  const rest = found.filter(({ name }) => !acknowledged.some(({ checkpoint }) => checkpoint === name));
  return [
    ...known.map(({ checkpoint, sha256 }) => ({ name: checkpoint, sha256 })),
    ...rest.map(({ name }) => ({ name, isUnexpected: true })),
  ];
}
