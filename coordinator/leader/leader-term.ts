import { FencedError, messageOf } from '../../common/errors.js';
import type { EtcdGateway } from './etcd-gateway.js';
import type { Fence } from './fence.js';
import { RENEWALS, TermClock } from './term-clock.js';

/** Between two tries to renew a lease when etcd does not answer. */
const RETRY_MS = 200;
/** How often a leader looks at its own clock. */
const WATCH_MS = 100;

/**
 * One term of leadership: held by a lease at etcd that is renewed, and given up by this process's own clock.
 *
 * Whoever is frozen or cut off renews nothing, and finds its time run out before it does anything else: the time it
 * may lead is counted from before each renewal was asked for.
 */
export class LeaderTerm implements Fence {
  readonly term: number;
  /** Resolves with the reason, one sentence, when the term is over. */
  readonly lost: Promise<string>;
  readonly #etcd: EtcdGateway;
  readonly #lease: string;
  readonly #ttlMs: number;
  readonly #nowMs: () => number;
  readonly #clock: TermClock;
  readonly #timer: NodeJS.Timeout;
  #overBy: string | undefined;
  #tellLost: (reason: string) => void = () => {};

  /**
   * @param held.sinceMs when the lease was asked for, by `nowMs`.
   * @param nowMs a clock that goes on while the process is frozen.
   */
  constructor(
    etcd: EtcdGateway,
    held: { term: number; lease: string; ttlMs: number; sinceMs: number },
    nowMs: () => number,
  ) {
    this.term = held.term;
    this.#etcd = etcd;
    this.#lease = held.lease;
    this.#ttlMs = held.ttlMs;
    this.#nowMs = nowMs;
    this.#clock = new TermClock(held.ttlMs, held.sinceMs);
    this.lost = new Promise((resolve) => {
      this.#tellLost = resolve;
    });
    this.#timer = setInterval(() => this.#look(), WATCH_MS);
    void this.#renew();
  }

  check(): void {
    this.#look();
    if (this.#overBy === undefined) return;
    throw new FencedError('STOA_NOT_LEADER', `term ${this.term} is over: ${this.#overBy}`, {
      fields: { leader: '' },
    });
  }

  /** Gives the leadership up, so that another may have it at once. */
  async resign(): Promise<void> {
    this.#end('it was given up');
    // Without an answer the lease ends by itself.
    await this.#etcd.revokeLease(this.#lease).catch(() => undefined);
  }

  #look(): void {
    if (this.#clock.isOver(this.#nowMs())) this.#end('its lease could not be renewed in time');
  }

  #end(reason: string): void {
    if (this.#overBy !== undefined) return;
    this.#overBy = reason;
    this.#clock.end();
    clearInterval(this.#timer);
    this.#tellLost(reason);
  }

  async #renew(): Promise<void> {
    let problem = '';
    while (this.#overBy === undefined) {
      await pause(problem === '' ? this.#ttlMs / RENEWALS : RETRY_MS);
      if (this.#overBy !== undefined) return;
      const askedMs = this.#nowMs();
      try {
        const isAlive = await this.#etcd.keepAlive(this.#lease);
        if (!isAlive) this.#end('etcd has ended its lease');
        problem = '';
        this.#clock.renewed(askedMs);
      } catch (error) {
        problem = messageOf(error);
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
