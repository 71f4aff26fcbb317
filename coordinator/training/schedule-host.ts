// The rim of the schedule: turns calls into events, gives it the time, carries its effects out.

import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Clock } from '../../common/clock.js';
import { assert, DeviceError, FencedError } from '../../common/errors.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import type { Delivery } from '../parameters/delivery.js';
import type { StepDelivery } from '../parameters/step-delivery.js';
import type {
  Disposition,
  Lease,
  Phase,
  ResultKey,
  RunTask,
  ScheduleEffect,
  ScheduleEvent,
  SessionInfo,
} from '../schedule/events.js';
import { Schedule } from '../schedule/schedule.js';
import type { ScheduleTiming } from '../schedule/timing.js';
import { WorkerRoster } from './worker-roster.js';

/** What happens to the run in progress. Calls come in order; none overlaps another. */
export interface RunListener {
  phaseOpened(phase: Phase): void;
  blockAccepted(lease: Lease, delivery: Delivery | StepDelivery): void;
  /** All blocks are in. The next phase opens when the promise resolves; it must not reject. */
  phaseCompleted(phase: Phase): Promise<void>;
  ended(outcome: 'completed' | 'stopped' | 'failed', reason?: string): void;
}

/** Who is told what the schedule does. */
export interface ScheduleObserver {
  leased(leases: readonly Lease[]): void;
  settled(disposition: Disposition): void;
  expired(): void;
  sessionEnded(sessionId: string): void;
}

interface PendingReply {
  resolve(leases: readonly Lease[]): void;
  reject(error: Error): void;
}

export class ScheduleHost {
  readonly roster = new WorkerRoster();
  readonly term: number;
  readonly #schedule: Schedule;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #observer: ScheduleObserver | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #replies = new Map<string, PendingReply[]>();
  readonly #deliveries = new Map<number, { delivery: Delivery | StepDelivery; disposition?: Disposition }>();
  readonly #joinWaiters = new Set<() => void>();
  #listener: RunListener | undefined;
  #nextDeliveryId = 1;
  #isDraining = false;

  constructor(options: {
    clock: Clock;
    log: Logger;
    timing?: Partial<ScheduleTiming>;
    observer?: ScheduleObserver;
    /** Of the coordinator: no two terms lend under the same lease id. @default 1 */
    term?: number;
  }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#observer = options.observer;
    this.term = options.term ?? 1;
    this.#schedule = new Schedule(options.timing, leaseIdStart(this.term));
    this.#timer = setInterval(() => {
      this.#schedule.tick(this.#clock.nowMs());
      this.#carryOut();
    }, this.timing.tickMs);
  }

  get timing(): ScheduleTiming {
    return this.#schedule.timing;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  /** To be read only. */
  get schedule(): Schedule {
    return this.#schedule;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  register(worker: Omit<SessionInfo, 'sessionId'> & { facts: DeviceFacts; stepFacts?: DeviceFacts }): string {
    const sessionId = randomUUID();
    const { facts, stepFacts, ...info } = worker;
    const { device } = facts;
    this.roster.join(sessionId, { name: info.name, threads: info.threads, device, facts, stepFacts });
    this.#receive({ type: 'workerJoined', session: { ...info, sessionId } });
    this.#log.info(
      { worker: info.name, threads: info.threads, device, detail: facts.name },
      'a worker joined',
    );
    for (const wake of this.#joinWaiters) wake();
    return sessionId;
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  heartbeat(sessionId: string, peakRssBytes: number): void {
    this.requireSession(sessionId);
    this.roster.observe(sessionId, peakRssBytes);
    this.#receive({ type: 'heartbeat', sessionId });
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`; {DeviceError} the worker cannot solve this run's blocks. */
  lease(sessionId: string, requestId: string, count: number, waitMs: number): Promise<readonly Lease[]> {
    return new Promise((resolve, reject) => {
      const key = `${sessionId} ${requestId}`;
      this.#replies.set(key, [...(this.#replies.get(key) ?? []), { resolve, reject }]);
      this.#receive({ type: 'leaseRequested', sessionId, requestId, count, waitMs });
    });
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  giveBack(sessionId: string, leaseIds: readonly number[]): void {
    this.requireSession(sessionId);
    this.#receive({ type: 'leasesReturned', sessionId, leaseIds });
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  fail(sessionId: string, leaseIds: readonly number[], reason: string, isFatal: boolean): void {
    this.requireSession(sessionId);
    this.#log.warn({ worker: this.roster.nameOf(sessionId), reason }, 'a block failed');
    this.#receive({ type: 'blockFailed', sessionId, leaseIds, reason, isFatal });
  }

  endSession(sessionId: string): void {
    this.#receive({ type: 'workerLeft', sessionId });
  }

  /** Ends all sessions: their workers join again, with nothing in their memory. */
  endSessions(): void {
    for (const [sessionId] of this.roster.alive()) this.endSession(sessionId);
  }

  /** What would become of a result. */
  judge(result: ResultKey, from: { sessionId: string; leaseId: number }): Disposition {
    return this.#schedule.judge(result, from);
  }

  /** Judges a complete result; the listener has an accepted one on return. */
  deliver(delivery: Delivery | StepDelivery): Disposition {
    const deliveryId = this.#nextDeliveryId++;
    const entry: { delivery: Delivery | StepDelivery; disposition?: Disposition } = { delivery };
    this.#deliveries.set(deliveryId, entry);
    const { sessionId, leaseId } = delivery;
    this.#receive({ type: 'blockDone', sessionId, leaseId, result: delivery, deliveryId });
    this.#deliveries.delete(deliveryId);
    assert(entry.disposition !== undefined, 'every result is judged at once');
    return entry.disposition;
  }

  /** Starts a run; the listener hears of it until it has ended. */
  start(run: RunTask, listener: RunListener): void {
    assert(this.#listener === undefined, 'one run trains at a time');
    this.#listener = listener;
    this.#receive({ type: 'runStarted', run });
  }

  /** Ends the run in progress, at its last complete phase. */
  stop(): void {
    this.#receive({ type: 'stop' });
  }

  /** Lends nothing of the run in progress until `resume`. Safe to repeat. */
  pause(): void {
    this.#receive({ type: 'pause' });
  }

  resume(): void {
    this.#receive({ type: 'resume' });
  }

  /** True where a result needs a digest, since it is compared with another worker's. */
  isAudited(result: ResultKey): boolean {
    return this.#schedule.run?.isAudited(result) ?? false;
  }

  /** Resolves when so many workers are there, or after the time. */
  async untilWorkers(count: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#schedule.sessionCount >= count || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#joinWaiters.delete(check);
        resolve();
      };
      const check = () => {
        if (this.#schedule.sessionCount >= count) finish();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#joinWaiters.add(check);
      signal.addEventListener('abort', finish, { once: true });
    });
  }

  /** Tells workers to leave from now on, with their next heartbeat. */
  drain(): void {
    this.#isDraining = true;
    for (const replies of this.#replies.values()) for (const reply of replies) reply.resolve([]);
    this.#replies.clear();
  }

  close(): void {
    this.drain();
    clearInterval(this.#timer);
  }

  #receive(event: ScheduleEvent): void {
    this.#schedule.receive(event, this.#clock.nowMs());
    this.#carryOut();
  }

  #carryOut(): void {
    for (const effect of this.#schedule.drain()) this.#perform(effect);
  }

  #perform(effect: ScheduleEffect): void {
    switch (effect.type) {
      case 'leasesGranted':
        this.#observer?.leased(effect.leases);
        for (const reply of this.#takeReplies(effect)) reply.resolve(effect.leases);
        return;
      case 'requestRefused':
        for (const reply of this.#takeReplies(effect)) reply.reject(refusal(effect));
        return;
      case 'blockSettled':
        this.#settled(effect);
        return;
      case 'leaseExpired':
        this.#observer?.expired();
        this.#log.warn(
          { worker: this.roster.nameOf(effect.lease.sessionId), ...ids(effect.lease) },
          'a lease expired',
        );
        return;
      case 'sessionEnded':
        this.roster.leave(effect.session.sessionId);
        this.#observer?.sessionEnded(effect.session.sessionId);
        this.#log.info({ worker: effect.session.name, blocks: effect.leases.length }, 'a worker is gone');
        return;
      case 'workerQuarantined':
        this.#log.warn(
          { worker: effect.session.name, reason: effect.reason },
          'a worker gets no more blocks',
        );
        return;
      case 'phaseOpened':
        this.#listener?.phaseOpened(effect.phase);
        return;
      case 'phaseCompleted':
        this.#listener?.phaseCompleted(effect.phase).then(() => this.#receive({ type: 'phaseCommitted' }));
        return;
      case 'runEnded': {
        const listener = this.#listener;
        this.#listener = undefined;
        listener?.ended(effect.outcome, effect.reason);
      }
    }
  }

  #settled(effect: Extract<ScheduleEffect, { type: 'blockSettled' }>): void {
    const entry = this.#deliveries.get(effect.deliveryId)!;
    entry.disposition = effect.disposition;
    this.#observer?.settled(effect.disposition);
    if (effect.disposition === 'accepted') this.#listener?.blockAccepted(effect.lease!, entry.delivery);
  }

  #takeReplies({ sessionId, requestId }: { sessionId: string; requestId: string }): PendingReply[] {
    const key = `${sessionId} ${requestId}`;
    const replies = this.#replies.get(key) ?? [];
    this.#replies.delete(key);
    return replies;
  }

  /** @throws {FencedError} `STOA_SESSION_OVER`. */
  requireSession(sessionId: string): void {
    if (!this.#schedule.hasSession(sessionId)) throw sessionOver('the session is over; register again');
  }
}

/** 2^32 ids a term, which no term uses up; the ids of 2^21 terms are exact numbers. */
function leaseIdStart(term: number): number {
  return term * 2 ** 32 + 1;
}

function refusal(effect: Extract<ScheduleEffect, { type: 'requestRefused' }>): Error {
  return effect.reason === 'session-over'
    ? sessionOver(effect.message)
    : new DeviceError('STOA_DEVICE', effect.message);
}

function sessionOver(message: string): FencedError {
  return new FencedError('STOA_SESSION_OVER', message);
}

function ids({ block, phase }: Lease): { side: string; block: number; epoch: number } {
  return { side: phase.side, block: block.index, epoch: phase.epoch };
}
