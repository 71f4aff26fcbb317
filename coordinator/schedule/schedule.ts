// The schedule of a coordinator: sessions of workers, the phases of the run in progress, leases of its blocks.
// A pure machine: events and the time go in by `receive` and `tick`, effects come out by `drain`.

import { assert } from '../../common/errors.js';
import type { Disposition, Lease, ResultKey, ScheduleEffect, ScheduleEvent, SessionInfo } from './events.js';
import { type LeaseRequest, LeaseRequests } from './lease-requests.js';
import { RunProgress, type Verdict } from './run-progress.js';
import { type Session, Sessions } from './sessions.js';
import { DEFAULT_TIMING, type ScheduleTiming } from './timing.js';

type EventOf<T extends ScheduleEvent['type']> = Extract<ScheduleEvent, { type: T }>;

export class Schedule {
  readonly timing: ScheduleTiming;
  readonly #sessions = new Sessions();
  readonly #requests = new LeaseRequests();
  #run: RunProgress | undefined;
  #effects: ScheduleEffect[] = [];
  #nextLeaseId: number;
  /** Never goes back. */
  #nowMs = 0;
  #tickedMs: number | undefined;

  /** @param leaseIdStart first lease id. @default 1 */
  constructor(timing: Partial<ScheduleTiming> = {}, leaseIdStart = 1) {
    this.#nextLeaseId = leaseIdStart;
    this.timing = { ...DEFAULT_TIMING, ...timing };
  }

  /** The run in progress, to be read only. */
  get run(): RunProgress | undefined {
    return this.#run;
  }

  get sessionCount(): number {
    return this.#sessions.size;
  }

  /** Requests that wait for something to lend: at most four a session. */
  get waitingCount(): number {
    return this.#requests.waiting().length;
  }

  sessions(): IterableIterator<Session> {
    return this.#sessions.all();
  }

  hasSession(sessionId: string): boolean {
    return this.#sessions.get(sessionId) !== undefined;
  }

  /** What would become of a result: nothing changes. */
  judge(result: ResultKey, from: { sessionId: string; leaseId: number }): Disposition {
    if (!this.hasSession(from.sessionId)) return 'stale';
    return this.#run?.judge(result, from) ?? 'stale';
  }

  receive(event: ScheduleEvent, nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if ('sessionId' in event) this.#hear(event.sessionId);
    this.#dispatch(event);
    // A thousand workers send as many a second; what only time changes is seen by `tick`.
    if (event.type !== 'heartbeat') this.#serve();
  }

  /** Ends what is overdue. To be called every `timing.tickMs`. */
  tick(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#forgiveStandstill();
    for (const session of this.#sessions.silentSince(this.#nowMs - this.timing.sessionTimeoutMs)) {
      this.#lose(session);
    }
    for (const lease of this.#run?.expire(this.#nowMs) ?? [])
      this.#effects.push({ type: 'leaseExpired', lease });
    this.#serve();
  }

  /** The effects since the last call, to be carried out in this order. */
  drain(): ScheduleEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #dispatch(event: ScheduleEvent): void {
    switch (event.type) {
      case 'workerJoined':
        this.#join(event.session);
        return;
      case 'heartbeat':
        return;
      case 'leaseRequested':
        this.#request(event);
        return;
      case 'blockDone':
        this.#settle(event);
        return;
      case 'blockFailed':
        this.#fail(event);
        return;
      case 'leasesReturned':
        for (const lease of this.#leasesOf(event)) this.#run!.giveBack(lease);
        return;
      case 'workerLeft':
        this.#leave(event.sessionId);
        return;
      case 'runStarted':
        this.#start(event);
        return;
      case 'phaseCommitted':
        this.#advance();
        return;
      case 'pause':
        this.#run?.pause();
        return;
      case 'resume':
        this.#run?.resume(this.#nowMs);
        return;
      case 'stop':
        this.#stop();
        return;
    }
  }

  #hear(sessionId: string): void {
    const session = this.#sessions.get(sessionId);
    if (session !== undefined) session.lastHeardMs = this.#nowMs;
  }

  /** A coordinator that was frozen wakes up with heartbeats unread: its own pause must not end sessions or leases. */
  #forgiveStandstill(): void {
    const gapMs = this.#nowMs - (this.#tickedMs ?? this.#nowMs);
    this.#tickedMs = this.#nowMs;
    if (gapMs <= this.timing.sessionTimeoutMs / 2) return;
    this.#sessions.forgive(gapMs, this.#nowMs);
    this.#run?.leases.forgive(gapMs);
  }

  #join(info: SessionInfo): void {
    assert(this.#sessions.get(info.sessionId) === undefined, `session ${info.sessionId} is new`);
    this.#sessions.add(info, this.#nowMs);
    this.#run?.setSessions(this.#sessions.all());
  }

  #request({ sessionId, requestId, count, waitMs }: EventOf<'leaseRequested'>): void {
    if (!this.hasSession(sessionId)) {
      const message = 'the session is over; register again';
      this.#effects.push({ type: 'requestRefused', sessionId, requestId, reason: 'session-over', message });
      return;
    }
    const before = this.#requests.answerOf(sessionId, requestId);
    if (before !== undefined) {
      const leases = before.filter((lease) => this.#run?.leases.get(lease.leaseId) === lease);
      this.#effects.push({ type: 'leasesGranted', sessionId, requestId, leases });
      return;
    }
    const deadlineMs = this.#nowMs + Math.min(waitMs, this.timing.waitMsMax);
    const crowdedOut = this.#requests.wait({ sessionId, requestId, count, deadlineMs });
    if (crowdedOut !== undefined) this.#grant(crowdedOut, []);
  }

  #settle({ sessionId, leaseId, deliveryId, result }: EventOf<'blockDone'>): void {
    const isKnown = this.hasSession(sessionId) && this.#run !== undefined;
    const { disposition, lease, verdict }: ReturnType<RunProgress['settle']> = isKnown
      ? this.#run!.settle(result, { sessionId, leaseId }, this.#nowMs)
      : { disposition: 'stale' };
    this.#effects.push({ type: 'blockSettled', deliveryId, disposition, sessionId, lease });
    this.#reportCaught();
    if (verdict !== undefined) this.#endIfFatal(verdict);
    if (disposition === 'accepted') this.#completePhase();
  }

  #fail(event: EventOf<'blockFailed'>): void {
    for (const lease of this.#leasesOf(event)) {
      this.#endIfFatal(this.#run!.fail(lease, event.reason, event.isFatal));
      this.#reportCaught();
      if (this.#run === undefined) return;
    }
  }

  #reportCaught(): void {
    for (const caught of this.#run?.takeCaught() ?? [])
      this.#effects.push({ type: 'workerQuarantined', ...caught });
  }

  #leave(sessionId: string): void {
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return;
    const leases = this.#run?.leases.ofSession(sessionId) ?? [];
    for (const lease of leases) this.#run!.giveBack(lease);
    this.#removeSession(session, leases);
  }

  #lose(session: Session): void {
    const lost = this.#run?.lose(session);
    this.#removeSession(session, lost?.leases ?? []);
    if (lost !== undefined) this.#endIfFatal(lost.verdict);
  }

  #removeSession(session: Session, leases: readonly Lease[]): void {
    const { sessionId } = session.info;
    this.#sessions.remove(sessionId);
    for (const request of this.#requests.removeSession(sessionId)) {
      const message = 'the session is over; register again';
      const { requestId } = request;
      this.#effects.push({ type: 'requestRefused', sessionId, requestId, reason: 'session-over', message });
    }
    this.#run?.setSessions(this.#sessions.all());
    this.#effects.push({ type: 'sessionEnded', session: session.info, leases });
  }

  #start({ run: task }: EventOf<'runStarted'>): void {
    assert(this.#run === undefined, 'one run trains at a time');
    if (task.phaseStart >= task.phaseEnd) {
      this.#effects.push({ type: 'runEnded', runId: task.runId, outcome: 'completed' });
      return;
    }
    this.#run = new RunProgress(task, this.timing, this.#nextLeaseId, this.#nowMs);
    this.#run.setSessions(this.#sessions.all());
    this.#open(task.phaseStart);
  }

  #open(index: number): void {
    const run = this.#run!;
    run.openPhase(index, this.#nowMs);
    this.#effects.push({ type: 'phaseOpened', phase: run.progress.phase });
    if (run.progress.isComplete) {
      run.state = 'committing';
      this.#completePhase();
    }
  }

  #completePhase(): void {
    const run = this.#run!;
    if (run.state === 'committing') this.#effects.push({ type: 'phaseCompleted', phase: run.progress.phase });
  }

  #advance(): void {
    const run = this.#run;
    if (run === undefined) return;
    assert(run.state === 'committing', 'only a complete phase is committed');
    const next = run.progress.phase.index + 1;
    if (next === run.task.phaseEnd) this.#end('completed');
    else if (run.isStopping) this.#end('stopped');
    else this.#open(next);
  }

  #stop(): void {
    if (this.#run === undefined) return;
    if (this.#run.state === 'committing') this.#run.isStopping = true;
    else this.#end('stopped');
  }

  #endIfFatal(verdict: Verdict): void {
    if (verdict.isFatal) this.#end('failed', verdict.reason);
  }

  #end(outcome: 'completed' | 'stopped' | 'failed', reason?: string): void {
    const run = this.#run!;
    this.#nextLeaseId = run.leases.nextId;
    this.#run = undefined;
    this.#effects.push({ type: 'runEnded', runId: run.task.runId, outcome, reason });
  }

  #leasesOf({ sessionId, leaseIds }: { sessionId: string; leaseIds: readonly number[] }): Lease[] {
    const leases = leaseIds.map((leaseId) => this.#run?.leases.get(leaseId));
    return leases.filter((lease) => lease?.sessionId === sessionId) as Lease[];
  }

  /** Answers the requests that can be answered now. */
  #serve(): void {
    for (const request of this.#requests.waiting()) {
      const session = this.#sessions.get(request.sessionId)!;
      const unsuitable = this.#run?.unsuitability(session);
      if (unsuitable !== undefined) {
        this.#requests.remove(request);
        const { sessionId, requestId } = request;
        const message = unsuitable;
        this.#effects.push({ type: 'requestRefused', sessionId, requestId, reason: 'unsuitable', message });
        continue;
      }
      const leases = this.#run?.lend(session, request.count, this.#nowMs) ?? [];
      if (leases.length > 0 || request.deadlineMs <= this.#nowMs) this.#grant(request, leases);
    }
  }

  #grant(request: LeaseRequest, leases: readonly Lease[]): void {
    this.#requests.answer(request, leases);
    const { sessionId, requestId } = request;
    this.#effects.push({ type: 'leasesGranted', sessionId, requestId, leases });
  }
}
