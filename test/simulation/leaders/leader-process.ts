// A coordinator as a process that may lead: production's claims, term clock, journal and lease ids; a disk that is slow,
// an etcd that is far away, a clock of its own. It may die or freeze between any two of its steps.

import { FencedError, StoaError } from '../../../common/errors.js';
import type { Random } from '../../../common/random.js';
import type { JournalEntry } from '../../../coordinator/journal/entries.js';
import { firstEntry } from '../../../coordinator/journal/first-entry.js';
import { applyEntry, emptyState, type JournalState } from '../../../coordinator/journal/journal-state.js';
import { JournalTail } from '../../../coordinator/journal/journal-tail.js';
import { entriesOf } from '../../../coordinator/journal/term-entries.js';
import { leaderClaim, termClaim } from '../../../coordinator/leader/claims.js';
import { type Fence, soleFence } from '../../../coordinator/leader/fence.js';
import { RENEWALS, TermClock } from '../../../coordinator/leader/term-clock.js';
import { LeaseTable } from '../../../coordinator/schedule/lease-table.js';
import { leaseIdStart } from '../../../coordinator/training/lease-ids.js';
import type { EventQueue } from '../event-queue.js';
import type { Trace } from '../trace.js';
import { entryOf } from './journal-changes.js';
import type { Change, LeaderOracle } from './leader-oracle.js';
import type { SimulatedEtcd } from './simulated-etcd.js';
import type { SimulatedJournalDisk } from './simulated-journal-disk.js';

export interface LeaderWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly oracle: LeaderOracle;
  readonly trace: Trace;
  readonly disk: SimulatedJournalDisk;
  /** Absent: the coordinator is the only one, and begins a term with each of its lives. */
  readonly etcd?: SimulatedEtcd;
  readonly ttlMs: number;
  readonly isCalm: () => boolean;
  /** Whether etcd is out of reach, of everybody or of one process. */
  readonly isEtcdCut: (name: string) => boolean;
}

const KEYS = { leader: 'leader', term: 'term' } as const;
/** Of a clock, in the time that a lease lives. */
const DRIFT_MS_MAX = 450;
const LOOK_MS = 250;
const CALL_MS = 2000;
const TERMS_KEPT = 3;
const BLOCK = {
  index: 0,
  side: 'users',
  shard: 0,
  rowStart: 0,
  rowEnd: 1,
  interactions: 1,
  work: 1,
} as const;
const PHASE = { index: 0, epoch: 0, side: 'users', fixedClock: 0, priorClock: 0 } as const;

interface Life {
  /** Records that wait for the disk; the first is under way. */
  readonly writing: { term: number; record: Buffer; done: () => void }[];
  leading?: Leading;
  /** Ends the term that it was elected for. */
  end?: () => void;
}

interface Leading {
  readonly fence: Fence;
  readonly tail: JournalTail;
  readonly leases: LeaseTable;
  /** The first record of the term is on disk. */
  isOpen: boolean;
}

export class LeaderProcess {
  readonly name: string;
  readonly #world: LeaderWorld;
  readonly #clockRate: number;
  readonly #offsetMs: number;
  #life: Life | undefined;
  #frozenUntilMs = 0;

  constructor(world: LeaderWorld, name: string) {
    this.#world = world;
    this.name = name;
    // As fast or slow as the margin of a leader allows for, nearly.
    this.#clockRate = 1 + ((2 * world.random.next() - 1) * DRIFT_MS_MAX) / world.ttlMs;
    this.#offsetMs = world.random.next() * 1e6;
    this.#boot();
  }

  /** The term it leads in and what it knows, if it does. */
  get leading(): { term: number; state: JournalState } | undefined {
    const leading = this.#life?.leading;
    if (leading?.isOpen !== true || !this.#isFenceGood(leading.fence)) return undefined;
    return { term: leading.fence.term, state: leading.tail.state };
  }

  crash(downMs: number): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#say('crashes');
    this.#life = undefined;
    const [current] = life.writing;
    if (current !== undefined) this.#world.disk.abandon(current.term, current.record);
    this.#world.queue.after(downMs, () => this.#boot());
  }

  freeze(forMs: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#world.queue.nowMs + forMs);
    this.#say('freezes for', Math.round(forMs));
  }

  /** Somebody asks for a change; `reply` is what is told to them. */
  change(make: (state: JournalState) => Change | undefined, reply: () => void): void {
    this.#serve((life, leading) => {
      const change = make(leading.tail.state);
      if (change !== undefined) this.#append(life, leading, entryOf(change), change, reply);
    });
  }

  /** A worker joins: it is told the term. */
  join(reply: (term: number) => void): void {
    this.#serve((_, { fence }) => reply(fence.term));
  }

  lease(worker: string, reply: (lease: { term: number; leaseId: number }) => void): void {
    this.#serve((_, { fence, leases }) => {
      const { nowMs } = this.#world.queue;
      const grant = { sessionId: worker, nowMs, deadlineMs: nowMs + 1000, isBackup: false };
      const lease = leases.grant(PHASE, BLOCK, grant);
      leases.remove(lease);
      this.#world.oracle.leased(fence.term, lease.leaseId, worker);
      reply({ term: fence.term, leaseId: lease.leaseId });
    });
  }

  /** A worker delivers what it was lent in a term. */
  deliver(worker: string, { term, leaseId }: { term: number; leaseId: number }): void {
    this.#serve((_, { fence }) => {
      if (fence.term === term) this.#world.oracle.applied(term, leaseId, worker);
      else this.#world.oracle.counts.refused++;
    });
  }

  #boot(): void {
    const life: Life = { writing: [] };
    this.#life = life;
    this.#say('starts');
    const { etcd, disk, random } = this.#world;
    this.#later(life, random.next() * LOOK_MS, () => {
      if (etcd !== undefined) this.#look(life, etcd);
      else this.#lead(life, soleFence((disk.terms().at(-1) ?? 0) + 1));
    });
  }

  #look(life: Life, etcd: SimulatedEtcd): void {
    const again = () => this.#later(life, LOOK_MS, () => this.#look(life, etcd));
    this.#ask(
      life,
      () => etcd.get(KEYS.leader),
      (leader) => (leader === undefined ? this.#claim(life, etcd, again) : again()),
      again,
    );
  }

  #claim(life: Life, etcd: SimulatedEtcd, again: () => void): void {
    const { ttlMs, disk } = this.#world;
    const sinceMs = this.#nowMs();
    this.#ask(
      life,
      () => etcd.grantLease(ttlMs),
      (lease) => {
        const giveUp = () => this.#ask(life, () => etcd.revokeLease(lease), again, again);
        const put = { key: KEYS.leader, value: this.name, lease };
        const grant = (token: number): void => {
          const begun = disk.terms().at(-1) ?? 0;
          this.#ask(
            life,
            () => etcd.get(KEYS.term),
            (last) => {
              const { term, conditions } = termClaim(KEYS, token, last, begun);
              this.#ask(
                life,
                () => {
                  return etcd.putIf(conditions, { key: KEYS.term, value: String(term) });
                },
                (granted) =>
                  granted === undefined ? giveUp() : this.#elected(life, etcd, { term, lease, sinceMs }),
                again,
              );
            },
            again,
          );
        };
        this.#ask(
          life,
          () => etcd.putIf(leaderClaim(KEYS.leader), put),
          (token) => (token === undefined ? giveUp() : grant(token)),
          again,
        );
      },
      again,
    );
  }

  #elected(life: Life, etcd: SimulatedEtcd, held: { term: number; lease: number; sinceMs: number }): void {
    const { ttlMs } = this.#world;
    const clock = new TermClock(ttlMs, held.sinceMs);
    const check = () => {
      if (clock.isOver(this.#nowMs())) throw new FencedError('STOA_NOT_LEADER', 'the term is over');
    };
    let hasEnded = false;
    const end = () => {
      if (hasEnded) return;
      hasEnded = true;
      clock.end();
      this.#stepDown(life, etcd, held.lease);
    };
    life.end = end;
    const renew = (afterMs: number): void =>
      this.#later(life, afterMs / this.#clockRate, () => {
        if (clock.isOver(this.#nowMs())) return end();
        const askedMs = this.#nowMs();
        this.#ask(
          life,
          () => etcd.keepAlive(held.lease),
          (isAlive) => {
            if (!isAlive) return end();
            clock.renewed(askedMs);
            renew(ttlMs / RENEWALS);
          },
          () => renew(200),
        );
      });
    renew(ttlMs / RENEWALS);
    this.#lead(life, { term: held.term, check });
  }

  /** Reads what earlier terms left, and begins its own. */
  #lead(life: Life, fence: Fence): void {
    const { disk, random } = this.#world;
    this.#say('is elected for term', fence.term);
    const terms = disk.terms();
    this.#later(life, random.next() * 100, () => {
      const state = emptyState();
      let before: { term: number; head: ReturnType<typeof entriesOf>['head'] } | undefined;
      for (const term of [...terms].reverse()) {
        const { entries, head } = entriesOf(disk.bytes(term), term);
        if (entries.length === 0) continue;
        for (const entry of entries) applyEntry(state, entry);
        before = { term, head };
        break;
      }
      this.#later(life, random.next() * 30, () => this.#open(life, fence, state, terms, before));
    });
  }

  #open(
    life: Life,
    fence: Fence,
    state: JournalState,
    terms: readonly number[],
    before: Parameters<typeof firstEntry>[2],
  ): void {
    const { disk, oracle } = this.#world;
    // A later term has begun: its leader reads nothing of this one.
    if ((terms.at(-1) ?? 0) >= fence.term || !disk.makeTerm(fence.term)) {
      this.#retry(life);
      return;
    }
    const leases = new LeaseTable('run', leaseIdStart(fence.term));
    const leading: Leading = { fence, tail: new JournalTail(fence, state), leases, isOpen: false };
    life.leading = leading;
    if (this.#isFenceGood(fence)) oracle.opened(fence.term, before?.term, state);
    const first = firstEntry({ term: fence.term, time: '', host: this.name, pid: 1 }, state, before);
    this.#append(life, leading, first, undefined, () => {
      leading.isOpen = true;
      this.#say('leads in term', fence.term);
      const old = terms.slice(0, Math.max(0, terms.length + 1 - TERMS_KEPT));
      for (const term of old) if (term !== before?.term) disk.removeTerm(term);
    });
  }

  #append(
    life: Life,
    { fence, tail }: Leading,
    entry: JournalEntry,
    change: Change | undefined,
    reply: () => void,
  ): void {
    const { oracle } = this.#world;
    this.#fenced(life, () => {
      const { bytes } = tail.begin(entry, () => {});
      if (change !== undefined) oracle.began(fence.term, change);
      this.#write(life, fence.term, bytes, () =>
        this.#fenced(life, () => {
          tail.confirm(entry);
          if (change !== undefined) oracle.acknowledged(fence.term, change);
          reply();
        }),
      );
    });
  }

  /** One record after the other. A disk that does not confirm one ends the process. */
  #write(life: Life, term: number, record: Buffer, done: () => void): void {
    life.writing.push({ term, record, done });
    if (life.writing.length === 1) this.#writeNext(life);
  }

  #writeNext(life: Life): void {
    const { queue, random, disk, isCalm } = this.#world;
    const [current] = life.writing;
    if (current === undefined) return;
    const isSlow = !isCalm() && random.int(8) === 0;
    // The system call itself may come late, the disk does not freeze with the process.
    this.#later(life, random.next(), () => {
      queue.after(random.next() * (isSlow ? 4000 : 20), () => {
        if (this.#life !== life) return;
        if (!isCalm() && random.int(200) === 0) return this.crash(random.next() * 2000);
        disk.confirm(current.term, current.record);
        life.writing.shift();
        this.#later(life, 0, current.done);
        this.#writeNext(life);
      });
    });
  }

  /** Does what only a leader may; one whose time is over stands by again. */
  #fenced(life: Life, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof StoaError)) throw error;
      this.#retry(life);
    }
  }

  #retry(life: Life): void {
    life.leading = undefined;
    if (life.end === undefined) this.crash(100);
    else life.end();
  }

  #stepDown(life: Life, etcd: SimulatedEtcd, lease: number): void {
    this.#say('leads no more');
    life.leading = undefined;
    const look = () => this.#later(life, LOOK_MS, () => this.#look(life, etcd));
    this.#ask(life, () => etcd.revokeLease(lease), look, look);
  }

  /** A call that only a leader answers, as far as it knows. */
  #serve(handle: (life: Life, leading: Leading) => void): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#later(life, 0, () => {
      const { leading } = life;
      if (leading?.isOpen !== true || !this.#isFenceGood(leading.fence)) return;
      handle(life, leading);
    });
  }

  #isFenceGood(fence: Fence): boolean {
    try {
      fence.check();
      return true;
    } catch {
      return false;
    }
  }

  /** A call to etcd, which may get lost on either way, or be answered late. */
  #ask<T>(life: Life, call: () => T, answer: (value: T) => void, fail: () => void): void {
    const { queue, random, isCalm, isEtcdCut } = this.#world;
    const isLate = !isCalm() && random.int(20) === 0;
    let isSettled = false;
    const settle = (act: () => void) => {
      if (isSettled) return;
      isSettled = true;
      this.#later(life, 0, act);
    };
    queue.after(random.next() * 15, () => {
      if (this.#life !== life || isEtcdCut(this.name)) return;
      const value = call();
      queue.after(random.next() * (isLate ? 1900 : 15), () => {
        if (!isEtcdCut(this.name)) settle(() => answer(value));
      });
    });
    queue.after(CALL_MS, () => settle(fail));
  }

  /** Goes on after a while, if this life lasts, and when it is not frozen. */
  #later(life: Life, delayMs: number, act: () => void): void {
    this.#world.queue.after(delayMs, () => this.#within(life, act));
  }

  #within(life: Life, act: () => void): void {
    if (this.#life !== life) return;
    const { queue } = this.#world;
    if (queue.nowMs < this.#frozenUntilMs) queue.at(this.#frozenUntilMs, () => this.#within(life, act));
    else act();
  }

  /** Goes on while the process is frozen. */
  #nowMs(): number {
    return this.#offsetMs + this.#clockRate * this.#world.queue.nowMs;
  }

  #say(what: string, ...details: readonly unknown[]): void {
    this.#world.trace.add(this.#world.queue.nowMs, this.name, what, ...details);
  }
}
