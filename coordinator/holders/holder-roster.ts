// The parameter processes that are there: they join, their heartbeats keep them, they leave or fall silent.

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import type { Clock } from '../../common/clock.js';
import { FencedError } from '../../common/errors.js';
import { HolderLost } from './holder-lost.js';

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

interface Entry {
  readonly holder: Holder;
  lastHeardMs: number;
  peakRssBytes: number;
  isLeaving: boolean;
}

/** Told of the loss of a process; resolves when it is not needed any more. */
export type LossListener = (holder: Holder, loss: HolderLost) => Promise<void>;

export class HolderRoster {
  readonly timing: HolderTiming;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #entries = new Map<string, Entry>();
  readonly #waiting = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #listener: LossListener | undefined;
  #lastTickMs: number;
  #isDraining = false;

  constructor(options: { clock: Clock; log: Logger; timing: HolderTiming }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.timing = options.timing;
    this.#lastTickMs = this.#clock.nowMs();
    this.#timer = setInterval(() => this.#tick(), this.timing.heartbeatMs / 2);
  }

  get isDraining(): boolean {
    return this.#isDraining;
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

  /** Tells of losses from now on; one listener at a time. */
  listen(listener: LossListener | undefined): void {
    this.#listener = listener;
  }

  /** One of the same name that was there before has been started again: it is given up. */
  register(name: string, address: HostPort): Holder {
    for (const { holder } of this.#entries.values()) {
      if (holder.name === name) this.#giveUp(holder, 'it was started again, or another has its name');
    }
    const holder = { id: randomUUID(), name, address };
    const lastHeardMs = this.#clock.nowMs();
    this.#entries.set(holder.id, { holder, lastHeardMs, peakRssBytes: 0, isLeaving: false });
    this.#log.info({ parameters: name, address: formatAddress(address) }, 'a parameter process joined');
    for (const wake of this.#waiting) wake();
    return holder;
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  heartbeat(id: string, peakRssBytes: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      throw new FencedError('STOA_SESSION_OVER', 'this process was given up; register again');
    }
    entry.lastHeardMs = this.#clock.nowMs();
    entry.peakRssBytes = Math.max(entry.peakRssBytes, peakRssBytes);
  }

  /** A process leaves in good order: resolves when nothing needs its rows any more. */
  async leave(id: string): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.isLeaving = true;
    const { holder } = entry;
    this.#log.info({ parameters: holder.name }, 'a parameter process leaves');
    await this.#listener?.(holder, new HolderLost(`parameter process ${holder.name} leaves`, true));
    this.#entries.delete(id);
  }

  /** Resolves when so many are there, or after the time; says how many there are. */
  async untilCount(count: number, timeoutMs: number, signal: AbortSignal): Promise<number> {
    const isEnough = () => this.alive().length >= count;
    if (!isEnough() && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const finish = () => {
          clearTimeout(timer);
          this.#waiting.delete(check);
          resolve();
        };
        const check = () => isEnough() && finish();
        const timer = setTimeout(finish, timeoutMs);
        this.#waiting.add(check);
        signal.addEventListener('abort', finish, { once: true });
      });
    }
    return this.alive().length;
  }

  /** Tells all to leave, with their next heartbeat. */
  drain(): void {
    this.#isDraining = true;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listener = undefined;
  }

  #tick(): void {
    const now = this.#clock.nowMs();
    const { sessionTimeoutMs } = this.timing;
    // Who was frozen itself has heard nobody meanwhile: what was said waits to be read.
    const wasFrozen = now - this.#lastTickMs > sessionTimeoutMs / 2;
    this.#lastTickMs = now;
    for (const entry of this.#entries.values()) {
      if (wasFrozen) entry.lastHeardMs = now;
      const isSilent = now - entry.lastHeardMs > sessionTimeoutMs;
      if (isSilent) this.#giveUp(entry.holder, `it was silent for ${sessionTimeoutMs / 1000} s`);
    }
  }

  #giveUp(holder: Holder, why: string): void {
    this.#entries.delete(holder.id);
    this.#log.warn({ parameters: holder.name }, `a parameter process is gone: ${why}`);
    const loss = new HolderLost(`parameter process ${holder.name} is gone: ${why}`);
    this.#listener?.(holder, loss).catch(() => {});
  }
}
