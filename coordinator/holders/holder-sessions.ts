// Which parameter processes are there, by what was heard of them. Pure: ids and time are the caller's.

import type { HostPort } from '../../common/addresses.js';
import { FencedError } from '../../common/errors.js';

export interface Holder {
  /** Known to the process and its coordinator alone. */
  readonly id: string;
  readonly name: string;
  readonly address: HostPort;
}

export interface HolderTiming {
  readonly heartbeatMs: number;
  /** After so long without a heartbeat a process is given up. */
  readonly sessionTimeoutMs: number;
}

/** A process that is there no more, and why, as the end of a sentence. */
export interface GoneHolder {
  readonly holder: Holder;
  readonly why: string;
}

interface Entry {
  readonly holder: Holder;
  lastHeardMs: number;
  peakRssBytes: number;
  isLeaving: boolean;
}

export class HolderSessions {
  readonly timing: HolderTiming;
  readonly #entries = new Map<string, Entry>();
  #lastTickMs: number;
  /** Never goes back, whatever the clock does. */
  #nowMs: number;

  constructor(timing: HolderTiming, nowMs: number) {
    this.timing = timing;
    this.#lastTickMs = nowMs;
    this.#nowMs = nowMs;
  }

  /** Those that rows can be placed on, in the order of their names. */
  alive(): Holder[] {
    const there = [...this.#entries.values()].filter(({ isLeaving }) => !isLeaving);
    return there.map(({ holder }) => holder).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  isAlive({ id }: Holder): boolean {
    return this.#entries.has(id);
  }

  /** Peak resident set size by the names of all that are there, bytes. */
  peaks(): Record<string, number> {
    return Object.fromEntries(
      [...this.#entries.values()].map(({ holder, peakRssBytes }) => [holder.name, peakRssBytes]),
    );
  }

  /** A process joins. One of its name that was there before is given up: it has been started again. */
  register(holder: Holder, nowMs: number): GoneHolder[] {
    const gone = [...this.#entries.values()]
      .filter((entry) => entry.holder.name === holder.name)
      .map((entry) => this.#remove(entry, 'it was started again, or another has its name'));
    this.#entries.set(holder.id, {
      holder,
      lastHeardMs: this.#passTime(nowMs),
      peakRssBytes: 0,
      isLeaving: false,
    });
    return gone;
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  heartbeat(id: string, peakRssBytes: number, nowMs: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new FencedError('STOA_SESSION_OVER', 'this process was given up; register again');
    }
    entry.lastHeardMs = this.#passTime(nowMs);
    entry.peakRssBytes = Math.max(entry.peakRssBytes, peakRssBytes);
  }

  /**
   * A call to the process failed for good. It may have lost its place without our knowledge, or be cut off: it takes no
   * rows until it has joined again. Undefined: it is not there any more.
   */
  giveUp(id: string, why: string): GoneHolder | undefined {
    const entry = this.#entries.get(id);
    return entry && this.#remove(entry, why);
  }

  /** It takes no more rows; those that it has can still be read. Undefined: it is not there. */
  beginLeave(id: string): Holder | undefined {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.isLeaving = true;
    return entry?.holder;
  }

  endLeave(id: string): void {
    this.#entries.delete(id);
  }

  /** Gives up whoever has been silent for too long. To be called at least every `sessionTimeoutMs / 2`. */
  tick(readMs: number): GoneHolder[] {
    const { sessionTimeoutMs } = this.timing;
    const nowMs = this.#passTime(readMs);
    // Who was frozen itself has heard nobody meanwhile: what was said waits to be read.
    const wasFrozen = nowMs - this.#lastTickMs > sessionTimeoutMs / 2;
    this.#lastTickMs = nowMs;
    const gone: GoneHolder[] = [];
    for (const entry of this.#entries.values()) {
      if (wasFrozen) entry.lastHeardMs = nowMs;
      const isSilent = nowMs - entry.lastHeardMs > sessionTimeoutMs;
      if (isSilent) gone.push(this.#remove(entry, `it was silent for ${sessionTimeoutMs / 1000} s`));
    }
    return gone;
  }

  #passTime(readMs: number): number {
    this.#nowMs = Math.max(this.#nowMs, readMs);
    return this.#nowMs;
  }

  #remove({ holder }: Entry, why: string): GoneHolder {
    this.#entries.delete(holder.id);
    return { holder, why };
  }
}
