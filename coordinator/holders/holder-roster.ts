// The parameter processes of a coordinator: they join, their heartbeats keep them, they leave or fall silent.

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { formatAddress, type HostPort } from '../../common/addresses.js';
import type { Clock } from '../../common/clock.js';
import { HolderLost } from './holder-lost.js';
import { type GoneHolder, type Holder, HolderSessions, type HolderTiming } from './holder-sessions.js';

/** Told of the loss of a process; resolves when it is not needed any more. */
export type LossListener = (holder: Holder, loss: HolderLost) => Promise<void>;

export class HolderRoster {
  readonly #sessions: HolderSessions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waiting = new Set<() => void>();
  readonly #timer: NodeJS.Timeout;
  #listener: LossListener | undefined;
  #isDraining = false;

  constructor({ clock, log, timing }: { clock: Clock; log: Logger; timing: HolderTiming }) {
    this.#clock = clock;
    this.#log = log;
    this.#sessions = new HolderSessions(timing, clock.nowMs());
    this.#timer = setInterval(
      () => this.#tellGone(this.#sessions.tick(clock.nowMs())),
      timing.heartbeatMs / 2,
    );
  }

  get timing(): HolderTiming {
    return this.#sessions.timing;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** As `HolderSessions`. */
  alive(): Holder[] {
    return this.#sessions.alive();
  }

  isAlive(holder: Holder): boolean {
    return this.#sessions.isAlive(holder);
  }

  peaks(): Record<string, number> {
    return this.#sessions.peaks();
  }

  /** Tells of losses from now on; one listener at a time. */
  listen(listener: LossListener | undefined): void {
    this.#listener = listener;
  }

  register(name: string, address: HostPort): Holder {
    const holder = { id: randomUUID(), name, address };
    this.#tellGone(this.#sessions.register(holder, this.#clock.nowMs()));
    this.#log.info({ parameters: name, address: formatAddress(address) }, 'a parameter process joined');
    for (const wake of this.#waiting) wake();
    return holder;
  }

  heartbeat(id: string, peakRssBytes: number): void {
    this.#sessions.heartbeat(id, peakRssBytes, this.#clock.nowMs());
  }

  giveUp({ id }: Holder, why: string): void {
    const gone = this.#sessions.giveUp(id, why);
    if (gone !== undefined) this.#tellGone([gone]);
  }

  /** A process leaves in good order: resolves when nothing needs its rows any more. */
  async leave(id: string): Promise<void> {
    const holder = this.#sessions.beginLeave(id);
    if (holder === undefined) return;
    this.#log.info({ parameters: holder.name }, 'a parameter process leaves');
    await this.#listener?.(holder, new HolderLost(`parameter process ${holder.name} leaves`, true));
    this.#sessions.endLeave(id);
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

  #tellGone(gone: readonly GoneHolder[]): void {
    for (const { holder, why } of gone) {
      this.#log.warn({ parameters: holder.name }, `a parameter process is gone: ${why}`);
      const loss = new HolderLost(`parameter process ${holder.name} is gone: ${why}`);
      this.#listener?.(holder, loss).catch(() => {});
    }
  }
}
