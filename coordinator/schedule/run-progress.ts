// One run under way: lends the blocks of the phase in progress, takes results, knows when the phase is complete.

import { assert } from '../../common/errors.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import { Audit } from './audit.js';
import type { Disposition, Lease, ResultKey, RunTask, SessionInfo } from './events.js';
import { Homes } from './homes.js';
import { LeaseTable } from './lease-table.js';
import { costOf, costOfAll, Pace } from './pace.js';
import { PendingBlocks } from './pending-blocks.js';
import { PhaseProgress } from './phase-progress.js';
import { phaseOf, stepPhaseOf } from './phases.js';
import { Quarantine } from './quarantine.js';
import { bitsKey, type RunBits, type Session, unsuitability } from './sessions.js';
import type { ClockChange } from './sync/sync-clocks.js';
import { leadMax } from './sync/sync-mode.js';
import type { ScheduleTiming } from './timing.js';

/** What happened to a block when its worker failed it or vanished. */
export type Verdict = { readonly isFatal: false } | { readonly isFatal: true; readonly reason: string };

const FINE: Verdict = { isFatal: false };

export class RunProgress {
  readonly task: RunTask;
  /** `open`: blocks are lent. `committing`: all blocks are in, the rim makes the clock readable. */
  state: 'open' | 'committing' = 'open';
  /** The run is to end when the phase that is being committed is. */
  isStopping = false;
  #isPaused = false;
  readonly #timing: ScheduleTiming;
  readonly #leases: LeaseTable;
  readonly #pending = new PendingBlocks();
  readonly #homes = new Homes();
  readonly #pace = new Pace();
  readonly #quarantine: Quarantine;
  readonly #audit: Audit;
  /** Sessions that were found out and not reported yet. */
  #caught: { session: SessionInfo; reason: string }[] = [];
  /** With `task.isDeterministic`, once the first block was lent; only kept without results while such a worker lives. */
  #bits: RunBits | undefined;
  #sessions: readonly Session[] = [];
  #hasResults = false;
  /** When the last result of the phase came in, or when the phase opened. */
  #lastResultMs = 0;
  #suitable = new Set<string>();
  #progress: PhaseProgress;

  constructor(task: RunTask, timing: ScheduleTiming, nextLeaseId: number, nowMs: number) {
    assert(task.phaseStart < task.phaseEnd, 'a run has at least one phase to do');
    this.task = task;
    this.#timing = timing;
    this.#leases = new LeaseTable(task.runId, nextLeaseId);
    this.#quarantine = new Quarantine(timing.quarantineFailures);
    // Two computations of a block have equal bits only where both read the same and the devices promise it.
    const isComparable =
      task.isDeterministic === true && (task.sync === undefined || leadMax(task.sync.mode) === 0);
    this.#audit = new Audit(isComparable ? (task.auditShare ?? 0) : 0);
    this.#progress = this.#progressOf(task.phaseStart, nowMs);
  }

  get progress(): PhaseProgress {
    return this.#progress;
  }

  get leases(): LeaseTable {
    return this.#leases;
  }

  /** Sessions that can take part. */
  get suitableCount(): number {
    return this.#suitable.size;
  }

  /** Puts all blocks of phase `index` on offer. */
  openPhase(index: number, nowMs: number): void {
    assert(this.#leases.size === 0, 'no lease outlives its phase');
    this.state = 'open';
    this.#lastResultMs = nowMs;
    this.#progress = this.#progressOf(index, nowMs);
    this.#pending.clear();
    this.#audit.clear();
    for (const block of this.#progress.blocks) this.#offer(block);
  }

  /** Takes the sessions that live now, after workers came or went. */
  setSessions(sessions: Iterable<Session>): void {
    this.#sessions = [...sessions];
    const isHeld = this.#sessions.some(({ info }) => bitsKey(info, this.task) === this.#bits?.key);
    if (!isHeld && !this.#hasResults) this.#bits = undefined;
    const able = this.#sessions.filter((session) => this.#inability(session) === undefined);
    const clean = able.filter(({ key }) => this.#quarantine.markOf(key) === undefined);
    const suitable =
      clean.length > 0 ? clean : able.filter(({ key }) => this.#quarantine.markOf(key)?.isProven !== true);
    this.#suitable = new Set(suitable.map((session) => session.info.sessionId));
    this.#homes.setSessions(suitable);
    this.#pending.rehome((block) => this.#homes.homeOf(block, this.#pace));
  }

  /** Why a session cannot take part, or undefined when it can. */
  unsuitability(session: Session): string | undefined {
    const { sessionId, name } = session.info;
    if (this.#suitable.has(sessionId)) return undefined;
    const inability = this.#inability(session);
    if (inability !== undefined) return inability;
    const reason = this.#quarantine.markOf(session.key)?.reason;
    return `worker ${name} gets no blocks of run ${this.task.runId}: ${reason}; see its log, and start it under another name once it is mended`;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Lends nothing until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(nowMs: number): void {
    this.#isPaused = false;
    // Nobody was asked for anything: that there were no results makes no worker slow.
    this.#lastResultMs = Math.max(this.#lastResultMs, nowMs);
  }

  /** True where a result is compared with another worker's before it counts: it then needs a digest. */
  isAudited({ block, clock }: ResultKey): boolean {
    return this.#bits !== undefined && this.#bits.key !== '' && this.#audit.isDue(block, clock);
  }

  /** Workers that went into quarantine since the last call. */
  takeCaught(): { session: SessionInfo; reason: string }[] {
    const caught = this.#caught;
    this.#caught = [];
    return caught;
  }

  /**
   * Lends up to `count` blocks, and no more than the session's share by its speed. Near the end of the phase that is
   * few, so that the last blocks are spread over all workers, and none where the others would be done with everything
   * before this one with a block. An idle worker gets a backup lease of a late block when nothing else is left.
   */
  lend(session: Session, count: number, nowMs: number): Lease[] {
    if (this.state !== 'open' || this.#isPaused) return [];
    const { sessionId } = session.info;
    const leases: Lease[] = [];
    while (leases.length < count && this.#isWorthLending(session, nowMs)) {
      const block = this.#pending.take(sessionId, (candidate) => this.#mayTry(candidate, sessionId));
      if (block === undefined) break;
      leases.push(this.#grant(block, sessionId, nowMs, false));
      this.#fixBits(session);
    }
    if (leases.length === 0 && this.#leases.countOfSession(sessionId) === 0) {
      const late = this.#lateBlock(sessionId, nowMs);
      if (late !== undefined) leases.push(this.#grant(late, sessionId, nowMs, true));
    }
    return leases;
  }

  /** What would become of a result: nothing changes. */
  judge(result: ResultKey, from: { sessionId: string; leaseId: number }): Disposition {
    const { phase, blocks } = this.#progress;
    const isOfPhase =
      result.runId === this.task.runId && result.side === phase.side && result.block < blocks.length;
    if (!isOfPhase) return 'stale';
    const disposition = this.#progress.judge(result.block, result.clock);
    if (disposition !== 'accepted') return disposition;
    const lease = this.#leases.get(from.leaseId);
    const isHeld = lease?.sessionId === from.sessionId && lease.block.index === result.block;
    return isHeld ? 'accepted' : 'stale';
  }

  /** Judges a result; an accepted one counts from now on. */
  settle(
    result: ResultKey,
    from: { sessionId: string; leaseId: number },
    nowMs: number,
  ): { disposition: Disposition; lease?: Lease; change?: ClockChange; verdict?: Verdict } {
    const disposition = this.judge(result, from);
    if (disposition !== 'accepted') return { disposition };
    const lease = this.#leases.get(from.leaseId)!;
    if (this.isAudited(result) && !this.#isAgreed(lease, result.digest ?? 0)) {
      this.giveBack(lease);
      return { disposition: 'witnessed', lease, verdict: this.#verdictOf(lease.block) };
    }
    this.#leases.removeBlock(result.block);
    const change = this.#progress.markDone(lease.block, from.sessionId);
    this.#hasResults = true;
    this.#lastResultMs = nowMs;
    const info = this.#infoOf(from.sessionId);
    if (info !== undefined) this.#pace.observe(lease, info, nowMs);
    this.#quarantine.succeeded(this.#keyOf(from.sessionId));
    this.#homes.solved(lease.block, from.sessionId);
    for (const block of change?.startable ?? []) this.#offer(this.#progress.blocks[block]!);
    this.#catchWrong(lease.block, result.digest ?? 0);
    if (this.#progress.isComplete) this.state = 'committing';
    return { disposition, lease, change };
  }

  /** A worker could not solve a block of its own lease. */
  fail(lease: Lease, reason: string, isFatal: boolean): Verdict {
    const { block } = lease;
    const failures = this.#progress.countFailure(block.index, lease.sessionId);
    this.giveBack(lease);
    if (isFatal) return { isFatal: true, reason: `block ${nameOf(block)} cannot be solved: ${reason}` };
    if (this.#quarantine.failed(this.#keyOf(lease.sessionId), reason) && this.#suitable.size > 1) {
      this.#catch(lease.sessionId);
      return FINE;
    }
    if (failures < this.#timing.failuresMax) return FINE;
    return {
      isFatal: true,
      reason: `block ${nameOf(block)} failed ${failures} times; the last time: ${reason}`,
    };
  }

  /** A worker vanished with its leases. The ones it was working on, its oldest, count as lost. */
  lose(session: Session): { leases: readonly Lease[]; verdict: Verdict } {
    const leases = this.#leases.ofSession(session.info.sessionId);
    let verdict: Verdict = FINE;
    leases.forEach((lease, n) => {
      this.giveBack(lease);
      if (n >= session.info.threads) return;
      const losses = this.#progress.countLoss(lease.block.index);
      if (losses < this.#timing.lossesMax) return;
      verdict = {
        isFatal: true,
        reason: `${losses} workers vanished while they solved block ${nameOf(lease.block)}, the last was ${session.info.name}; see the workers' logs`,
      };
    });
    this.#pace.forget(session.info.sessionId);
    return { leases, verdict };
  }

  /** Ends a lease without a result; its block is free again unless a backup still holds it. */
  giveBack(lease: Lease): void {
    this.#leases.remove(lease);
    const isHeld = this.#leases.ofBlock(lease.block.index).length > 0;
    if (!isHeld && this.#progress.mayStart(lease.block.index)) this.#offer(lease.block);
  }

  /** Ends the leases that are past their deadline. */
  expire(nowMs: number): Lease[] {
    const expired = [...this.#leases.all()].filter((lease) => lease.deadlineMs <= nowMs);
    for (const lease of expired) {
      this.#progress.countExpiry(lease.block.index);
      this.giveBack(lease);
    }
    return expired;
  }

  /** Hears a result of a block that is computed twice; true when it agrees with another worker's and counts. */
  #isAgreed({ block, sessionId }: Lease, digest: number): boolean {
    const witness = { key: this.#keyOf(sessionId), digest };
    return this.#audit.hear(block.index, witness, this.#suitable.size < 2);
  }

  /** Finds out whose results of a block differ from the one that counts; its leases are over by now. */
  #catchWrong(block: PlanBlock, digest: number): void {
    for (const wrong of this.#audit.settle(block.index, digest)) {
      this.#quarantine.prove(wrong, `its result of block ${nameOf(block)} differs from that of two others`);
      for (const session of this.#sessions) if (session.key === wrong) this.#catch(session.info.sessionId);
    }
  }

  /** Results that go on differing, with nobody left to tell which are right, end the run. */
  #verdictOf(block: PlanBlock): Verdict {
    const witnesses = this.#audit.of(block.index);
    if (witnesses.length < 2 * this.#timing.failuresMax) return FINE;
    const names = [...new Set(witnesses.map(({ key }) => key))].join(', ');
    return {
      isFatal: true,
      reason: `workers ${names} give different results for block ${nameOf(block)}; start a third to tell which is right, or train without the one that is wrong`,
    };
  }

  /** Ends the leases of a session that went into quarantine; its failures are not the blocks'. */
  #catch(sessionId: string): void {
    const session = this.#sessions.find(({ info }) => info.sessionId === sessionId)!;
    this.#progress.forgetFailuresAt(sessionId);
    for (const lease of this.#leases.ofSession(sessionId)) this.giveBack(lease);
    this.#caught.push({ session: session.info, reason: this.#quarantine.markOf(session.key)!.reason });
    this.setSessions(this.#sessions);
  }

  #inability(session: Session): string | undefined {
    return unsuitability(session, this.task, this.#bits);
  }

  #keyOf(sessionId: string): string {
    return this.#sessions.find(({ info }) => info.sessionId === sessionId)?.key ?? '';
  }

  /** The first worker of a run decides which bits its model has. */
  #fixBits({ info }: Session): void {
    if (this.#bits !== undefined || this.task.isDeterministic !== true) return;
    this.#bits = { key: bitsKey(info, this.task), name: info.name };
    this.setSessions(this.#sessions);
  }

  /** Whether one more block is well placed at a session, as far as the speeds of all tell. */
  #isWorthLending({ info }: Session, nowMs: number): boolean {
    const { size, work } = this.#pending;
    if (size === 0) return false;
    if (this.#suitable.size < 2) return true;
    const own = this.#pace.rateOf(info);
    let all = 0;
    let fastestOther = 0;
    for (const session of this.#sessions) {
      if (!this.#suitable.has(session.info.sessionId)) continue;
      const rate = this.#pace.rateOf(session.info);
      all += rate;
      if (session.info.sessionId !== info.sessionId) fastestOther = Math.max(fastestOther, rate);
    }
    let held = 0;
    let lent = 0;
    for (const { block, sessionId } of this.#leases.all()) {
      lent += costOf(block);
      if (sessionId === info.sessionId) held += costOf(block);
    }
    const pending = costOfAll(size, work);
    const next = pending / size;
    const isBusy = this.#leases.countOfSession(info.sessionId) >= info.threads;
    // Half of a fair share: the other half is lent when it is clearer how fast everybody is.
    if (isBusy && held + next > ((pending + lent) * own) / (2 * all)) return false;
    const ownMs = (held + next) / own;
    // All of them together, but each block at one of them.
    const othersMs = Math.max((pending + lent - held) / (all - own), next / fastestOther);
    // Others that deliver nothing for that long are not as fast as they were.
    const isStalled = nowMs - this.#lastResultMs > ownMs;
    return ownMs <= othersMs || isStalled;
  }

  #infoOf(sessionId: string): SessionInfo | undefined {
    return this.#sessions.find(({ info }) => info.sessionId === sessionId)?.info;
  }

  #progressOf(index: number, nowMs: number): PhaseProgress {
    const { sync, blocks } = this.task;
    const phase = sync === undefined ? phaseOf(index) : stepPhaseOf(index);
    return new PhaseProgress(phase, blocks[phase.side], nowMs, sync);
  }

  #offer(block: PlanBlock): void {
    this.#pending.add(block, this.#homes.homeOf(block, this.#pace));
  }

  /**
   * A block that was computed here for comparison goes to others while there are any who did not; one that failed here,
   * to others who did neither.
   */
  #mayTry(block: PlanBlock, sessionId: string): boolean {
    const hasFailed = (session: string) => this.#progress.hasFailedAt(block.index, session);
    const wasHeard = (session: string) => this.#audit.hasHeard(block.index, this.#keyOf(session));
    const suitable = [...this.#suitable];
    if (this.#audit.of(block.index).length > 0 && wasHeard(sessionId)) return suitable.every(wasHeard);
    if (!hasFailed(sessionId)) return true;
    return suitable.every((other) => hasFailed(other) || wasHeard(other));
  }

  #grant(block: PlanBlock, sessionId: string, nowMs: number, isBackup: boolean): Lease {
    const { leaseFactor, leaseMsMin, leaseMsFirst } = this.#timing;
    const expectedMs = this.#pace.expectedMs(block, sessionId);
    const leaseMs = expectedMs === undefined ? leaseMsFirst : Math.max(leaseMsMin, leaseFactor * expectedMs);
    const deadlineMs = nowMs + leaseMs * 2 ** Math.min(10, this.#progress.expiriesOf(block.index));
    return this.#leases.grant(this.#progress.phaseFor(block.index), block, {
      sessionId,
      nowMs,
      deadlineMs,
      isBackup,
    });
  }

  /** The block that was lent longest ago, once, to another session, if it is late. */
  #lateBlock(sessionId: string, nowMs: number): PlanBlock | undefined {
    let oldest: Lease | undefined;
    for (const lease of this.#leases.all()) {
      if (lease.sessionId === sessionId || this.#leases.ofBlock(lease.block.index).length > 1) continue;
      if (!this.#mayTry(lease.block, sessionId)) continue;
      if (oldest === undefined || lease.grantedMs < oldest.grantedMs) oldest = lease;
    }
    if (oldest === undefined) return undefined;
    const expectedMs = this.#pace.expectedMs(oldest.block, oldest.sessionId);
    if (expectedMs === undefined) return undefined;
    const { backupFactor, backupMsMin } = this.#timing;
    const isLate = nowMs - oldest.grantedMs >= Math.max(backupMsMin, backupFactor * expectedMs);
    return isLate ? oldest.block : undefined;
  }
}

function nameOf(block: PlanBlock): string {
  return `${block.side}/${block.index} (rows ${block.rowStart} to ${block.rowEnd - 1})`;
}
