// Who of several coordinators leads: the one whose key is in etcd, under a lease.
//
// The key alone would make two leaders of one that is cut off and one that was elected since. So each term has a
// number, one greater than every term before: granted by etcd in a transaction that compares the key's
// create_revision, so that only the holder of the key gets one. The number is the fencing token that everything a
// leader writes carries, and that every reader compares.

import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf } from '../../common/errors.js';
import { leaderClaim, termClaim } from './claims.js';
import type { EtcdGateway } from './etcd-gateway.js';
import { LeaderTerm } from './leader-term.js';

/**
 * How often a coordinator that stands by looks whether there is a leader: watches of old servers lose events. A look is
 * one small request.
 */
const LOOK_MS = 100;

export interface ElectionOptions {
  etcd: EtcdGateway;
  /** Coordinators of one cluster share it, and a state folder. */
  cluster: string;
  /** Where workers and clients find this coordinator. */
  address: string;
  ttlSeconds: number;
  log: Logger;
}

export class Election {
  readonly #o: ElectionOptions;

  constructor(options: ElectionOptions) {
    this.#o = options;
  }

  /**
   * Stands by until this coordinator is elected. An etcd that does not answer is waited for.
   *
   * @param termsBegun the greatest term in the state folder, which the next must exceed.
   * @param onLeader called with the leader's address whenever it changes; empty when there is none.
   * @throws the signal's reason.
   */
  async campaign(
    termsBegun: () => Promise<number>,
    onLeader: (address: string) => void,
    signal: AbortSignal,
  ): Promise<LeaderTerm> {
    const { log } = this.#o;
    let leader: string | undefined;
    let isSilent = false;
    for (;;) {
      signal.throwIfAborted();
      try {
        const now = await this.#leaderAddress();
        if (isSilent) log.info('etcd answers again');
        isSilent = false;
        if (now !== leader) onLeader(now ?? '');
        leader = now;
        const term = now === undefined ? await this.#tryToLead(termsBegun) : undefined;
        if (term !== undefined) return term;
      } catch (error) {
        if (!isSilent) log.warn(`${messageOf(error)}; waiting for it`);
        isSilent = true;
        leader = undefined;
        onLeader('');
      }
      await sleep(LOOK_MS, undefined, { signal });
    }
  }

  async #leaderAddress(): Promise<string | undefined> {
    return (await this.#o.etcd.get(this.#key('leader')))?.value;
  }

  async #tryToLead(termsBegun: () => Promise<number>): Promise<LeaderTerm | undefined> {
    const { etcd, address, ttlSeconds } = this.#o;
    const key = this.#key('leader');
    const sinceMs = steadyMs();
    const lease = await etcd.grantLease(ttlSeconds);
    const token = await etcd.putIf(leaderClaim(key), { key, value: address, lease });
    const term = token === undefined ? undefined : await this.#grantTerm(token, await termsBegun());
    if (term === undefined) {
      await etcd.revokeLease(lease);
      return undefined;
    }
    return new LeaderTerm(etcd, { term, lease, ttlMs: ttlSeconds * 1000, sinceMs }, steadyMs);
  }

  /** The next term's number, or undefined when the key was lost or somebody else was faster. */
  async #grantTerm(token: number, begun: number): Promise<number | undefined> {
    const { etcd } = this.#o;
    const keys = { leader: this.#key('leader'), term: this.#key('term') };
    const { term, conditions } = termClaim(keys, token, await etcd.get(keys.term), begun);
    const granted = await etcd.putIf(conditions, { key: keys.term, value: String(term) });
    return granted === undefined ? undefined : term;
  }

  #key(name: string): string {
    return `stoa/${this.#o.cluster}/${name}`;
  }
}

/**
 * Milliseconds that go on while the process is frozen, and while the machine sleeps: the monotonic clock stands still
 * then, the time since the machine's start does not.
 */
const startMs = { monotonic: performance.now(), machine: os.uptime() * 1000 };
export function steadyMs(): number {
  return Math.max(performance.now() - startMs.monotonic, os.uptime() * 1000 - startMs.machine);
}
