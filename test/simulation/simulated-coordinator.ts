import type { Random } from '../../common/random.js';
import type {
  Disposition,
  Lease,
  ResultKey,
  RunTask,
  ScheduleEffect,
} from '../../coordinator/schedule/events.js';
import { Schedule } from '../../coordinator/schedule/schedule.js';
import type { ScheduleTiming } from '../../coordinator/schedule/timing.js';
import type { EventQueue } from './event-queue.js';

export type LeaseReply = { leases: readonly Lease[] } | { refused: string };

/** The rim of the schedule, with an oracle that checks every effect against what a run must be. */
export class SimulatedCoordinator {
  readonly schedule: Schedule;
  ended: { outcome: string; reason?: string } | undefined;
  /** First broken promise, in words. */
  violation: string | undefined;
  readonly counts = { backups: 0, expiries: 0, lost: 0, duplicates: 0, stale: 0 };
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #task: RunTask;
  /** Frozen until then: messages wait. */
  #frozenUntilMs = 0;
  #phase: number | undefined;
  #committed: number;
  readonly #applied = new Set<number>();
  readonly #leaseReplies = new Map<string, ((reply: LeaseReply) => void)[]>();
  readonly #deliveryReplies = new Map<number, (disposition: Disposition) => void>();
  #nextId = 1;

  constructor(queue: EventQueue, random: Random, task: RunTask, timing: Partial<ScheduleTiming>) {
    this.#queue = queue;
    this.#random = random;
    this.#task = task;
    this.#committed = task.phaseStart;
    this.schedule = new Schedule(timing);
    this.#tick();
  }

  start(): void {
    this.schedule.receive({ type: 'runStarted', run: this.#task }, this.#queue.nowMs);
    this.#carryOut();
  }

  stop(): void {
    this.#awake(() => {
      this.schedule.receive({ type: 'stop' }, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  freeze(forMs: number): void {
    this.#frozenUntilMs = this.#queue.nowMs + forMs;
  }

  register(worker: { name: string; threads: number }, reply: (sessionId: string) => void): void {
    this.#awake(() => {
      const sessionId = `s${this.#nextId++}`;
      const session = {
        ...worker,
        sessionId,
        solvers: ['cholesky'],
        gathers: ['f32'],
        reproducibilityKey: '',
        gflops: 0,
        factorsMax: 64,
      };
      this.schedule.receive({ type: 'workerJoined', session }, this.#queue.nowMs);
      this.#carryOut();
      reply(sessionId);
    });
  }

  heartbeat(sessionId: string, reply: (isAlive: boolean) => void): void {
    this.#awake(() => {
      const isAlive = this.schedule.hasSession(sessionId);
      this.schedule.receive({ type: 'heartbeat', sessionId }, this.#queue.nowMs);
      this.#carryOut();
      reply(isAlive);
    });
  }

  lease(sessionId: string, requestId: string, count: number, reply: (reply: LeaseReply) => void): void {
    this.#awake(() => {
      const key = `${sessionId}:${requestId}`;
      this.#leaseReplies.set(key, [...(this.#leaseReplies.get(key) ?? []), reply]);
      const event = { type: 'leaseRequested' as const, sessionId, requestId, count, waitMs: 2000 };
      this.schedule.receive(event, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  done(sessionId: string, leaseId: number, result: ResultKey, reply: (d: Disposition) => void): void {
    this.#awake(() => {
      const deliveryId = this.#nextId++;
      this.#deliveryReplies.set(deliveryId, reply);
      const event = { type: 'blockDone' as const, sessionId, leaseId, result, deliveryId };
      this.schedule.receive(event, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  fail(sessionId: string, leaseId: number, isFatal: boolean): void {
    this.#awake(() => {
      const event = {
        type: 'blockFailed' as const,
        sessionId,
        leaseIds: [leaseId],
        reason: 'by lot',
        isFatal,
      };
      this.schedule.receive(event, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  giveBack(sessionId: string, leaseIds: readonly number[]): void {
    this.#awake(() => {
      this.schedule.receive({ type: 'leasesReturned', sessionId, leaseIds }, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  leave(sessionId: string): void {
    this.#awake(() => {
      this.schedule.receive({ type: 'workerLeft', sessionId }, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  #tick(): void {
    this.#awake(() => {
      this.schedule.tick(this.#queue.nowMs);
      this.#carryOut();
      if (this.ended === undefined) this.#queue.after(this.schedule.timing.tickMs, () => this.#tick());
    });
  }

  #awake(handle: () => void): void {
    if (this.#queue.nowMs >= this.#frozenUntilMs) handle();
    else this.#queue.at(this.#frozenUntilMs, () => this.#awake(handle));
  }

  #carryOut(): void {
    for (const effect of this.schedule.drain()) this.#check(effect);
  }

  #check(effect: ScheduleEffect): void {
    switch (effect.type) {
      case 'phaseOpened':
        this.#expect(effect.phase.index === this.#committed, `phase ${effect.phase.index} opened too early`);
        this.#phase = effect.phase.index;
        this.#applied.clear();
        return;
      case 'phaseCompleted': {
        const { index, side } = effect.phase;
        this.#expect(index === this.#phase, `phase ${index} completed, which is not open`);
        this.#expect(this.#applied.size === this.#task.blocks[side].length, `phase ${index} completed early`);
        this.#queue.after(this.#random.next() * 50, () => this.#commit(index));
        return;
      }
      case 'blockSettled':
        this.#settled(effect);
        return;
      case 'leasesGranted':
        this.counts.backups += effect.leases.filter((lease) => lease.isBackup).length;
        this.#reply(effect.sessionId, effect.requestId, { leases: effect.leases });
        return;
      case 'requestRefused':
        this.#reply(effect.sessionId, effect.requestId, { refused: effect.reason });
        return;
      case 'leaseExpired':
        this.counts.expiries++;
        return;
      case 'sessionEnded':
        this.counts.lost += effect.leases.length;
        return;
      case 'runEnded':
        this.#expect(this.ended === undefined, 'the run ended twice');
        if (effect.outcome === 'completed') {
          this.#expect(this.#committed === this.#task.phaseEnd, 'the run completed before its last phase');
        }
        this.ended = effect;
    }
  }

  #commit(index: number): void {
    this.#awake(() => {
      this.#committed = index + 1;
      this.schedule.receive({ type: 'phaseCommitted' }, this.#queue.nowMs);
      this.#carryOut();
    });
  }

  #settled(effect: Extract<ScheduleEffect, { type: 'blockSettled' }>): void {
    if (effect.disposition === 'duplicate') this.counts.duplicates++;
    if (effect.disposition === 'stale') this.counts.stale++;
    if (effect.disposition === 'accepted') {
      const { block, phase } = effect.lease!;
      this.#expect(
        phase.index === this.#phase && this.#committed === phase.index,
        'a block of another phase counted',
      );
      this.#expect(
        !this.#applied.has(block.index),
        `block ${block.index} of phase ${phase.index} counted twice`,
      );
      this.#applied.add(block.index);
    }
    this.#deliveryReplies.get(effect.deliveryId)!(effect.disposition);
    this.#deliveryReplies.delete(effect.deliveryId);
  }

  #reply(sessionId: string, requestId: string, reply: LeaseReply): void {
    const key = `${sessionId}:${requestId}`;
    for (const send of this.#leaseReplies.get(key) ?? []) send(reply);
    this.#leaseReplies.delete(key);
  }

  #expect(isTrue: boolean, message: string): void {
    if (!isTrue) this.violation ??= `${message} (at ${this.#queue.nowMs.toFixed(1)} ms)`;
  }
}
