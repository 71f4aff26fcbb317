import { FencedError, messageOf } from '../../common/errors.js';
import type { EtcdGateway } from './etcd-gateway.js';
import type { Fence } from './fence.js';

/**
 * A leader stops this long before its lease may have passed on: for clocks that do not run quite alike, a quarter of the
 * shortest lease.
 */
const MARGIN_MS = 500;
/** A lease is renewed this often while it lives: with the shortest, a leader may stand still for 1.1 s and keep it. */
const RENEWALS = 5;
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
  readonly #timer: NodeJS.Timeout;
  #deadlineMs: number;
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
    this.#deadlineMs = held.sinceMs + held.ttlMs - MARGIN_MS;
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
    if (this.#nowMs() >= this.#deadlineMs) this.#end('its lease could not be renewed in time');
  }

  #end(reason: string): void {
    if (this.#overBy !== undefined) return;
    this.#overBy = reason;
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
        this.#deadlineMs = Math.max(this.#deadlineMs, askedMs + this.#ttlMs - MARGIN_MS);
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
