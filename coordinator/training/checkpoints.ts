import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { type Clock, systemClock } from '../../common/clock.js';
import { assert, CorruptError, messageOf } from '../../common/errors.js';
import { readCheckpoint, type Snapshot, writeCheckpoint } from './checkpoint.js';

/** The newest and, should it turn out damaged, the one before. */
const KEPT = 2;
const NAME = /^phase-(\d{6,})$/;
/**
 * Share of the time that goes into checkpoints at most: what training loses by them, and what a crash may lose of it,
 * stay small beside each other whether an epoch takes a hundredth of a second or an hour.
 */
const TIME_SHARE_MAX = 0.05;

/** The checkpoints of a run: at most one is being written. */
export class Checkpoints {
  readonly #dir: string;
  #writing: { nextPhase: number; captured: Promise<void>; durable: Promise<void> } | undefined;
  readonly #clock: Clock;
  #lastPhase = -1;
  #hasFailed = false;
  /** When the last one was begun, and how long it took. */
  #last: { beginMs: number; tookMs: number } | undefined;

  constructor(dir: string, clock: Clock = systemClock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** True when another one, as long as the last, would keep within the share of the time. */
  get isAffordable(): boolean {
    if (this.#last === undefined) return true;
    const { beginMs, tookMs } = this.#last;
    return this.#clock.nowMs() - beginMs >= tookMs / TIME_SHARE_MAX;
  }

  /** The phase that the newest durable checkpoint goes on with, -1 when there is none. */
  get lastPhase(): number {
    return this.#lastPhase;
  }

  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /** The last write failed; `settle` says why. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /**
   * Starts to write a checkpoint, which appears only after `before` has resolved. A failure comes out of `settle`.
   */
  begin(snapshot: Snapshot, before: Promise<void>): void {
    assert(!this.isWriting, 'one checkpoint is written at a time');
    let capture = () => {};
    const captured = new Promise<void>((resolve) => {
      capture = resolve;
    });
    const beginMs = this.#clock.nowMs();
    const durable = this.#write(snapshot, before, capture);
    this.#writing = { nextPhase: snapshot.nextPhase, captured, durable };
    durable.then(
      () => {
        this.#last = { beginMs, tookMs: this.#clock.nowMs() - beginMs };
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

  /** The newest checkpoint that is whole, or undefined when there is none at all. @throws {CorruptError} none is whole. */
  async latest(log: Logger): Promise<Snapshot | undefined> {
    let damage: CorruptError | undefined;
    for (const name of (await this.#names()).reverse()) {
      try {
        const snapshot = await readCheckpoint(path.join(this.#dir, name));
        this.#lastPhase = snapshot.nextPhase;
        return snapshot;
      } catch (error) {
        if (!(error instanceof CorruptError)) throw error;
        log.warn({ checkpoint: name }, messageOf(error));
        damage ??= error;
      }
    }
    if (damage !== undefined) throw damage;
    return undefined;
  }

  async #write(snapshot: Snapshot, before: Promise<void>, captured: () => void): Promise<void> {
    await before;
    await mkdir(this.#dir, { recursive: true });
    const dir = path.join(this.#dir, `phase-${String(snapshot.nextPhase).padStart(6, '0')}`);
    await rm(dir, { recursive: true, force: true });
    await writeCheckpoint(dir, snapshot, captured);
    for (const name of (await this.#names()).slice(0, -KEPT)) {
      await rm(path.join(this.#dir, name), { recursive: true, force: true });
    }
  }

  async #names(): Promise<string[]> {
    const names = await readdir(this.#dir).catch(() => []);
    const phases = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).sort((a, b) => Number(a) - Number(b));
    return phases.map((phase) => `phase-${phase}`);
  }
}
