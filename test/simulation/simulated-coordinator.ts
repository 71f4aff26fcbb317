// A coordinator as a process: production's schedule, stores and deliveries behind calls that may find it down or frozen,
// a disk that is slow, and a clock of its own. It dies at any instant and comes back with what its disk has.

import { StoaError } from '../../common/errors.js';
import type { Random } from '../../common/random.js';
import type { PlacedResults } from '../../coordinator/holders/placed-results.js';
import { BlockPush } from '../../coordinator/parameters/block-push.js';
import type { Delivery } from '../../coordinator/parameters/delivery.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import type { StepReply } from '../../coordinator/parameters/step-exchange.js';
import { StepPush } from '../../coordinator/parameters/step-push.js';
import type { StepAnswer } from '../../coordinator/parameters/step-service.js';
import { gramAt, rangesAsked, tableAt } from '../../coordinator/parameters/table-reads.js';
import type {
  Disposition,
  Lease,
  Phase,
  ScheduleEffect,
  ScheduleEvent,
  SessionInfo,
} from '../../coordinator/schedule/events.js';
import { Schedule } from '../../coordinator/schedule/schedule.js';
import type { SyncClocks } from '../../coordinator/schedule/sync/sync-clocks.js';
import { leadMax } from '../../coordinator/schedule/sync/sync-mode.js';
import type { ScheduleTiming } from '../../coordinator/schedule/timing.js';
import { leaseIdStart } from '../../coordinator/training/lease-ids.js';
import type { Side } from '../../models/csr.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PushBlockRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushStepRequest__Output } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { EventQueue } from './event-queue.js';
import type { Oracle } from './oracle.js';
import { initialItems } from './phase-model.js';
import { SimulatedFleet, sideLayout } from './simulated-fleet.js';
import type { SimulatedHolder } from './simulated-holder.js';
import { parameterHostOf, type Rim, stepHostOf } from './simulated-hosts.js';
import { type Life, type Reply, requireParts, requirePhases, type WaitingRead } from './simulated-life.js';
import { type SimulatedNetwork, STALL_MS } from './simulated-network.js';
import { clocksOf, FACTORS, RUN_ID, type SimulatedPlan, taskOf } from './simulated-plan.js';
import type { SimulatedTables } from './simulated-tables.js';
import {
  clocksBefore,
  keepSteps,
  SimulatedPhases,
  SimulatedPlacedPhases,
  SimulatedPlacedSteps,
  type SimulatedRecord,
  SimulatedSteps,
} from './simulated-training.js';
import type { Trace } from './trace.js';

export interface PulledRows {
  readonly chunks: readonly { readonly rowStart: number; readonly rows: Float32Array }[];
  readonly gram?: Float64Array;
}

export interface CoordinatorTraits {
  readonly timing: Partial<ScheduleTiming>;
  /** Every phase is on disk before the next opens; else a record follows when the disk has time. */
  readonly isWriteThrough: boolean;
  /** Usual and longest time of a write. */
  readonly diskMs: { readonly usual: number; readonly slow: number; readonly slowShare: number };
  readonly skew: { readonly offsetMs: number; readonly rate: number; readonly backMs: number };
}

interface World {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly oracle: Oracle;
  readonly trace: Trace;
  readonly plan: SimulatedPlan;
  readonly isCalm: () => boolean;
  readonly network: SimulatedNetwork;
  /** The parameter process that lives on a node now. */
  readonly holderAt: (node: string) => SimulatedHolder | undefined;
}

export type Placement = PlacedResults['placement'];

type PlacedTraining = SimulatedPlacedPhases | SimulatedPlacedSteps<WaitingRead>;

/** Rows of one chunk of a pull: small, so that a phase may end in the middle of one. */
const CHUNK_ROWS = 5;
const WAIT_MS = 2000;

export class SimulatedCoordinator {
  ended: { outcome: string; reason?: string } | undefined;
  readonly counts = {
    backups: 0,
    expiries: 0,
    lost: 0,
    duplicates: 0,
    stale: 0,
    refused: 0,
    held: 0,
    lives: 0,
    witnessed: 0,
    quarantined: 0,
    spoiled: 0,
    retreats: 0,
  };
  readonly #world: World;
  readonly #traits: CoordinatorTraits;
  #life: Life | undefined;
  #record: SimulatedRecord | undefined;
  #frozenUntilMs = 0;
  #frozenMs = 0;
  #isStopping = false;
  readonly #lies = new Set<string>();

  constructor(world: World, traits: CoordinatorTraits) {
    this.#world = world;
    this.#traits = traits;
    this.#boot();
  }

  /** For how long it has stood still so far, ms. */
  get frozenMs(): number {
    return this.#frozenMs - Math.max(0, this.#frozenUntilMs - this.#world.queue.nowMs);
  }

  /** A lease of the block that this session does not have. */
  leaseOfAnother(block: number, sessionId: string): number | undefined {
    const leases = this.#life?.schedule.run?.leases.ofBlock(block) ?? [];
    return leases.find((lease) => lease.sessionId !== sessionId)?.leaseId;
  }

  crash(downMs: number): void {
    const life = this.#life;
    if (life === undefined || this.ended !== undefined) return;
    this.#say('crashes');
    this.#life = undefined;
    this.#world.queue.after(downMs, () => this.#boot());
  }

  freeze(forMs: number): void {
    const { nowMs } = this.#world.queue;
    const untilMs = Math.max(this.#frozenUntilMs, nowMs + forMs);
    this.#frozenMs += untilMs - Math.max(this.#frozenUntilMs, nowMs);
    this.#frozenUntilMs = untilMs;
    this.#say('freezes for', Math.round(forMs));
  }

  /** Somebody stops the run; it is resumed a little later. */
  stop(): void {
    this.#serve((life) => {
      this.#isStopping = true;
      if (life.placing !== undefined) life.placing.isAsked = life.schedule.run !== undefined;
      this.#say('is told to stop');
      this.#receive(life, { type: 'stop' });
    });
  }

  pause(): void {
    this.#serve((life) => {
      this.#say('pauses');
      this.#receive(life, { type: 'pause' });
      this.#world.oracle.paused(life.schedule.run !== undefined);
    });
  }

  resume(): void {
    this.#serve((life) => {
      this.#say('goes on');
      this.#world.oracle.paused(false);
      this.#receive(life, { type: 'resume' });
    });
  }

  /** A worker confesses, to the simulation alone, that the result under a lease is a wrong one. */
  lied(sessionId: string, leaseId: number): void {
    this.#lies.add(`${sessionId} ${leaseId}`);
  }

  register(info: Omit<SessionInfo, 'sessionId'>, reply: (reply: Reply<string>) => void): void {
    this.#serve((life) => {
      const sessionId = `s${life.number}.${life.nextId++}`;
      this.#say('registers', info.name, 'as', sessionId);
      this.#receive(life, { type: 'workerJoined', session: { ...info, sessionId } });
      reply({ value: sessionId });
    });
  }

  heartbeat(sessionId: string, reply: (reply: Reply<null>) => void): void {
    this.#serve((life) => {
      if (!life.schedule.hasSession(sessionId)) return reply({ error: 'STOA_SESSION_OVER' });
      this.#receive(life, { type: 'heartbeat', sessionId });
      reply({ value: null });
    });
  }

  lease(
    sessionId: string,
    requestId: string,
    count: number,
    reply: (reply: Reply<readonly Lease[]>) => void,
  ): void {
    this.#serve((life) => {
      const key = `${sessionId} ${requestId}`;
      life.leaseReplies.set(key, [...(life.leaseReplies.get(key) ?? []), reply]);
      this.#receive(life, { type: 'leaseRequested', sessionId, requestId, count, waitMs: WAIT_MS });
    });
  }

  registerHolder(node: string, reply: (reply: Reply<{ id: string; term: number }>) => void): void {
    this.#serve((life) => life.fleet!.register(node, reply), reply);
  }

  heartbeatHolder(id: string, reply: (reply: Reply<null>) => void): void {
    this.#serve((life) => reply({ value: life.fleet!.heartbeat(id) }), reply);
  }

  endHolder(id: string, reply: (reply: Reply<null>) => void): void {
    this.#serve((life) => life.fleet!.leave(id, reply));
  }

  /** Where the rows of the run are; none: here. */
  spec(reply: (reply: Reply<Placement>) => void): void {
    this.#serve((life) => {
      const { tables } = life.fleet ?? {};
      if (tables === undefined) return reply({ error: 'STOA_USAGE' });
      reply({ value: tables.results.placement });
    });
  }

  hasSession(sessionId: string): boolean {
    return this.#life?.schedule.hasSession(sessionId) === true;
  }

  giveBack(sessionId: string, leaseIds: readonly number[]): void {
    this.#serve((life) => {
      if (!life.schedule.hasSession(sessionId)) return;
      this.#say(sessionId, 'gives back', leaseIds);
      this.#receive(life, { type: 'leasesReturned', sessionId, leaseIds });
    });
  }

  fail(sessionId: string, leaseIds: readonly number[], reason: string): void {
    this.#serve((life) => this.#fail(life, sessionId, leaseIds, reason));
  }

  leave(sessionId: string): void {
    this.#serve((life) => {
      this.#say(sessionId, 'leaves');
      this.#receive(life, { type: 'workerLeft', sessionId });
    });
  }

  /** Rows of a side at a clock, read chunk by chunk as they are sent, and its Gram where it is wanted. */
  pull(
    request: {
      side: Side;
      clock: number;
      ranges: readonly { rowStart: number; rowEnd: number }[];
      wantsGram: boolean;
    },
    reply: (reply: Reply<PulledRows>) => void,
  ): void {
    this.#serve((life) =>
      this.#answering(reply, () => {
        const { side, clock, ranges, wantsGram } = request;
        const { store } = requirePhases(life);
        const gram = wantsGram ? gramAt(store, side, clock).slice() : undefined;
        if (!(store instanceof ParameterStore)) return reply({ value: { chunks: [], gram } });
        const pieces: [number, number][] = [];
        for (const { rowStart, rowEnd } of rangesAsked(ranges, store.tables.rows(side))) {
          for (let row = rowStart; row < rowEnd; row += CHUNK_ROWS) {
            pieces.push([row, Math.min(rowEnd, row + CHUNK_ROWS)]);
          }
        }
        const chunks: { rowStart: number; rows: Float32Array }[] = [];
        const next = (n: number): void => {
          this.#answering(reply, () => {
            if (n === pieces.length) {
              reply({ value: { chunks, gram } });
              return;
            }
            const [row, end] = pieces[n]!;
            const table = tableAt(store.tables, side, clock);
            const rows = table.slice(row * FACTORS, end * FACTORS);
            this.#world.oracle.pulled(side, clock, row, rows);
            chunks.push({ rowStart: row, rows });
            this.#soon(life, () => next(n + 1));
          });
        };
        next(0);
      }),
    );
  }

  /**
   * @param parts     what follows the header; of a stream that broke off, undefined is the last.
   * @param isSending false once the sender is dead: parts that it has not sent will never come.
   */
  pushBlock(
    header: BlockHeader__Output,
    parts: readonly (PushBlockRequest__Output | undefined)[],
    isSending: () => boolean,
    reply: (reply: Reply<Disposition>) => void,
  ): void {
    this.#serve((life) => {
      requireParts(life, 'phases');
      this.#push(
        life,
        () => new BlockPush(parameterHostOf(life, this.#rim(life)), header),
        parts,
        isSending,
        reply,
      );
    }, reply);
  }

  pushStep(
    header: StepHeader__Output,
    parts: readonly (PushStepRequest__Output | undefined)[],
    isSending: () => boolean,
    reply: (reply: Reply<Disposition>) => void,
  ): void {
    this.#serve((life) => {
      requireParts(life, 'steps');
      this.#push(
        life,
        () => new StepPush(stepHostOf(life, this.#rim(life)), header),
        parts,
        isSending,
        reply,
      );
    }, reply);
  }

  /** @returns what the caller may do when it has gone. */
  pullStep(
    sessionId: string,
    request: { block: number; clock: number; items: Int32Array },
    reply: (reply: Reply<StepAnswer>) => void,
  ): void {
    this.#serve((life) => {
      const { steps } = life;
      const clocks = this.#clocksOf(life);
      if (!life.schedule.hasSession(sessionId)) return reply({ error: 'STOA_SESSION_OVER' });
      if (steps === undefined || clocks === undefined) return reply({ error: 'STOA_CLOCK_GONE' });
      const token = { ...request, reply };
      this.#answerReads(steps.exchange.ask(clocks, { ...request, token }));
      this.counts.held = Math.max(this.counts.held, steps.exchange.heldCount);
    });
  }

  #push<Part>(
    life: Life,
    begin: () => { outlook: Disposition; take(part: Part): void; end(): Disposition },
    parts: readonly (Part | undefined)[],
    isSending: () => boolean,
    reply: (reply: Reply<Disposition>) => void,
  ): void {
    this.#answering(reply, () => {
      const push = begin();
      if (push.outlook !== 'accepted') {
        this.#count(push.outlook);
        reply({ value: push.outlook });
        return;
      }
      const next = (n: number): void => {
        this.#answering(reply, () => {
          if (n === parts.length) {
            const value = push.end();
            this.#carryOut(life);
            return reply({ value });
          }
          const part = isSending() ? parts[n] : undefined;
          // The stream broke off: nobody is there to answer.
          if (part === undefined) return;
          push.take(part);
          const { random, isCalm } = this.#world;
          const isStalled = !isCalm() && random.next() < 0.02;
          this.#soon(life, () => next(n + 1), isStalled ? STALL_MS : 10);
        });
        this.#carryOut(life);
      };
      next(0);
    });
  }

  #rim(life: Life): Rim {
    return {
      plan: this.#world.plan,
      deliver: (delivery) => this.#deliver(life, delivery),
      refuse: (sessionId, leaseId, reason) => {
        this.counts.refused++;
        this.#fail(life, sessionId, [leaseId], reason);
      },
    };
  }

  #deliver(life: Life, delivery: Delivery | StepDelivery): Disposition {
    const deliveryId = life.nextId++;
    const entry: { delivery: Delivery | StepDelivery; disposition?: Disposition } = { delivery };
    life.deliveries.set(deliveryId, entry);
    const { sessionId, leaseId } = delivery;
    this.#receive(life, { type: 'blockDone', sessionId, leaseId, result: delivery, deliveryId });
    life.deliveries.delete(deliveryId);
    return entry.disposition!;
  }

  #fail(life: Life, sessionId: string, leaseIds: readonly number[], reason: string): void {
    if (!life.schedule.hasSession(sessionId)) return;
    this.#say(sessionId, 'fails', leaseIds, reason);
    const { run } = life.schedule;
    for (const leaseId of leaseIds) {
      if (run?.leases.get(leaseId)?.sessionId === sessionId) this.#world.oracle.failed(sessionId);
    }
    this.#receive(life, { type: 'blockFailed', sessionId, leaseIds, reason, isFatal: false });
  }

  #boot(): void {
    const { oracle, queue, random } = this.#world;
    const life: Life = {
      number: ++this.counts.lives,
      schedule: new Schedule(this.#traits.timing, this.#leaseIdStart),
      leaseReplies: new Map(),
      deliveries: new Map(),
      nextId: 1,
      isWriting: false,
    };
    this.#life = life;
    oracle.reborn();
    if (this.#world.plan.holders > 0) life.fleet = this.#fleetOf(life);
    this.#say('starts, life', life.number);
    this.#tick(life);
    queue.after(random.next() * 1000, () => this.#within(life, () => this.#begin(life)));
  }

  /** Starts the run, or goes on with it, from what is on disk. */
  #begin(life: Life): void {
    if (life.fleet !== undefined) {
      life.fleet.begin();
      return;
    }
    const { plan, oracle } = this.#world;
    const record = this.#record;
    life.phases = plan.sync === undefined ? new SimulatedPhases(plan, record) : undefined;
    life.steps = plan.sync === undefined ? undefined : new SimulatedSteps(plan, record);
    const phaseStart = record?.nextPhase ?? 0;
    this.#say('begins at phase', phaseStart);
    oracle.began(phaseStart);
    this.#receive(life, { type: 'runStarted', run: taskOf(plan, phaseStart) });
  }

  #tick(life: Life): void {
    this.#within(life, () => {
      const { oracle, queue } = this.#world;
      const { schedule } = life;
      schedule.tick(this.#nowMs());
      this.#carryOut(life);
      const { sessionTimeoutMs, tickMs } = schedule.timing;
      const sessionMs = 1.2 * (sessionTimeoutMs + tickMs) + STALL_MS;
      oracle.ticked(schedule, this.#latestMs, { sessionMs, frozenMs: this.frozenMs });
      if (life.fleet !== undefined) {
        life.fleet.tick(this.#readClock());
        const there = life.fleet.sessions.alive().map(({ id }) => id);
        oracle.tickedHolders(there, { sessionMs, frozenMs: this.frozenMs });
      }
      if (this.ended === undefined) queue.after(tickMs / this.#traits.skew.rate, () => this.#tick(life));
    });
  }

  #receive(life: Life, event: ScheduleEvent): void {
    life.schedule.receive(event, this.#nowMs());
    this.#carryOut(life);
  }

  #carryOut(life: Life): void {
    const { schedule, phases, steps } = life;
    for (const effect of schedule.drain()) {
      if (this.ended !== undefined) return;
      this.#perform(life, effect);
    }
    const training = phases ?? steps;
    if (training === undefined) return;
    this.#world.oracle.looked({
      waitingRequests: schedule.waitingCount,
      sessions: schedule.sessionCount,
      heldReads: steps?.exchange.heldCount ?? 0,
      clocksUnderWay: steps instanceof SimulatedSteps ? steps.store.items.clocksUnderWay : 0,
      clocks: training.clocks,
    });
  }

  #perform(life: Life, effect: ScheduleEffect): void {
    const { oracle } = this.#world;
    switch (effect.type) {
      case 'leasesGranted': {
        const { sessionId, requestId, leases } = effect;
        this.counts.backups += leases.filter((lease) => lease.isBackup).length;
        if (leases.length > 0) this.#say('lends', sessionId, leases.map(nameOf));
        oracle.leased(sessionId, requestId, leases, life.schedule);
        this.#replyLease(life, effect, { value: leases });
        return;
      }
      case 'requestRefused': {
        const isOver = effect.reason === 'session-over';
        this.#replyLease(life, effect, { error: isOver ? 'STOA_SESSION_OVER' : 'STOA_DEVICE' });
        return;
      }
      case 'blockSettled':
        this.#settled(life, effect);
        return;
      case 'leaseExpired':
        this.counts.expiries++;
        this.#say('ends late lease', nameOf(effect.lease), 'of', effect.lease.sessionId);
        return;
      case 'sessionEnded':
        this.counts.lost += effect.leases.length;
        this.#say('ends session', effect.session.sessionId);
        return;
      case 'workerQuarantined':
        this.counts.quarantined++;
        this.#say('gives no more to', effect.session.sessionId, effect.reason);
        return;
      case 'phaseOpened':
        this.#say('opens phase', effect.phase.index);
        oracle.phaseOpened(effect.phase);
        life.phases?.phaseOpened(effect.phase);
        life.steps?.phaseOpened();
        this.#releaseReads(life);
        return;
      case 'phaseCompleted': {
        const training = (life.phases ?? life.steps)!;
        if (isPlaced(training)) {
          this.#completePlaced(life, training, effect.phase);
          return;
        }
        training.completed(effect.phase);
        this.#say('completes phase', effect.phase.index);
        oracle.phaseCompleted(effect.phase, training.record());
        this.#persist(life, training.record());
        return;
      }
      case 'runEnded':
        this.#ended(life, effect);
        return;
    }
  }

  #settled(life: Life, effect: Extract<ScheduleEffect, { type: 'blockSettled' }>): void {
    const entry = life.deliveries.get(effect.deliveryId)!;
    entry.disposition = effect.disposition;
    this.#count(effect.disposition);
    if (effect.disposition !== 'accepted') return;
    const { delivery } = entry;
    const { oracle } = this.#world;
    const isAlone = life.schedule.run!.suitableCount < 2;
    if (isAlone && this.#lies.has(`${delivery.sessionId} ${delivery.leaseId}`)) {
      // Nobody was there to compare with: no machine can tell.
      this.counts.spoiled++;
      this.ended = { outcome: 'completed' };
      return;
    }
    this.#say('accepts', nameOf(effect.lease!), 'of', delivery.sessionId);
    this.#checkPlaces(life, delivery);
    oracle.accepted(effect.lease, delivery);
    if ('deltas' in delivery) {
      if (life.fleet === undefined) oracle.wrote(delivery);
      life.steps!.accepted(this.#clocksOf(life)!, delivery);
      this.#releaseReads(life);
    } else life.phases!.accepted(effect.lease!, delivery);
  }

  /** Writes the record of a phase; the next one opens when it is safe, or at once. */
  #persist(life: Life, record: SimulatedRecord): void {
    const { queue, random } = this.#world;
    const { isWriteThrough } = this.#traits;
    const writeMs = this.#writeMs();
    const commit = () => this.#within(life, () => this.#receive(life, { type: 'phaseCommitted' }));
    if (!isWriteThrough) queue.after(random.next() * 20, commit);
    if (!isWriteThrough && life.isWriting) return;
    life.isWriting = true;
    queue.after(writeMs, () =>
      this.#within(life, () => {
        life.isWriting = false;
        this.#keep(record);
        if (isWriteThrough) commit();
      }),
    );
  }

  #keep(record: SimulatedRecord): void {
    if (record.nextPhase < (this.#record?.nextPhase ?? 0)) return;
    this.#record = record;
    this.#world.oracle.persisted(record.nextPhase);
  }

  #ended(life: Life, effect: Extract<ScheduleEffect, { type: 'runEnded' }>): void {
    const { oracle, queue, random } = this.#world;
    this.#say('ends the run:', effect.outcome, effect.reason);
    for (const token of life.steps?.exchange.clear() ?? []) token.reply({ error: 'STOA_LEASE_GONE' });
    const training = (life.phases ?? life.steps)!;
    if (isPlaced(training)) {
      this.#endedPlaced(life, effect);
      return;
    }
    const record = training.record();
    this.#keep(record);
    oracle.ended(effect.outcome, record);
    if (effect.outcome !== 'stopped') {
      this.ended = effect;
      return;
    }
    oracle.expect(this.#isStopping, () => 'the run stopped by itself');
    queue.after(random.next() * 3000, () => this.#within(life, () => this.#begin(life)));
  }

  /** What a worker handed in in an earlier life must not pass for this one's. */
  get #leaseIdStart(): number {
    return this.#world.plan.holders > 0 ? leaseIdStart(this.counts.lives) : 1;
  }

  #fleetOf(life: Life): SimulatedFleet {
    const { queue, random, network, holderAt, plan, oracle } = this.#world;
    const within = (act: () => void) => this.#within(life, act);
    const isStepped = plan.sync !== undefined;
    life.placing = { isAsked: false };
    const phaseStart = () => this.#record?.nextPhase ?? 0;
    return new SimulatedFleet(
      { queue, random, network, holderAt, within },
      {
        term: life.number,
        expected: plan.holders,
        nowMs: () => this.#readClock(),
        say: (what, ...details) => this.#say(what, ...details),
        layout: () => ({
          runId: RUN_ID,
          factors: isStepped ? clocksOf(plan) : FACTORS,
          sides: sideLayout(
            plan.rows,
            (side) => this.#clockOf(side),
            (side) => plan.blocks[side].map(({ rowStart }) => rowStart),
          ),
          ...(isStepped ? { steps: stepLayoutOf(plan) } : {}),
        }),
        fill: (tables, then) => this.#fill(tables, then),
        start: (tables) => {
          const record = this.#record;
          life.placing!.isAsked = false;
          if (isStepped) life.steps = new SimulatedPlacedSteps(plan, record, tables);
          else life.phases = new SimulatedPlacedPhases(plan, record, tables);
          this.#say('begins at phase', phaseStart());
          oracle.began(phaseStart());
          this.#receive(life, { type: 'runStarted', run: taskOf(plan, phaseStart()) });
        },
        stop: () => {
          this.#receive(life, { type: 'stop' });
          // A phase whose rows are lost is never committed.
          if (life.fleet!.isLost) life.placing!.commit?.();
        },
        save: (tables, then) => this.#save(life, tables, then),
        goBack: (limit, then) => {
          const placing = life.placing!;
          this.counts.retreats++;
          this.#say('goes back to phase', phaseStart());
          if (!limit.allows(phaseStart())) {
            this.ended = { outcome: 'failed', reason: 'rows were lost too often' };
            return;
          }
          this.#endSessions(life);
          life.phases = undefined;
          life.steps = undefined;
          this.#abandonCapture(life);
          if (life.isWriting) placing.afterWrite = then;
          else then();
        },
      },
    );
  }

  /** Clock that a side is at on disk. */
  #clockOf(side: Side): number {
    const phaseStart = this.#record?.nextPhase ?? 0;
    const { sync } = this.#world.plan;
    return sync === undefined ? clocksBefore(phaseStart)[side] : phaseStart * sync.clocksPerPhase;
  }

  /** What workers keep, of where rows are and of phases that will be done again, is not true of the next tables. */
  #endSessions(life: Life): void {
    for (const { info } of [...life.schedule.sessions()]) {
      this.#receive(life, { type: 'workerLeft', sessionId: info.sessionId });
    }
  }

  /** Fills tables from what is on disk, or as they are at first. */
  #fill(tables: SimulatedTables, then: () => void): void {
    const { plan } = this.#world;
    const record = this.#record;
    const isStepped = plan.sync !== undefined;
    const keep = () =>
      isStepped ? keepSteps(tables, (record?.nextPhase ?? 0) * plan.sync!.clocksPerPhase, then) : then();
    if (record === undefined) {
      if (isStepped) keep();
      else tables.fill('items', 0, initialItems(plan), keep);
    } else {
      const clock = (side: Side) => this.#clockOf(side);
      tables.fill('users', clock('users'), record.users, () =>
        tables.fill('items', clock('items'), record.items, keep),
      );
    }
  }

  #completePlaced(life: Life, training: PlacedTraining, phase: Phase): void {
    const { oracle } = this.#world;
    const placing = life.placing!;
    const tables = life.fleet!.tables;
    const commit = () => {
      if (placing.commit !== commit) return;
      placing.commit = undefined;
      this.#receive(life, { type: 'phaseCommitted' });
    };
    placing.commit = commit;
    if (tables === undefined) {
      commit();
      return;
    }
    // The copy that is kept of the last epoch must not change while it is read.
    const next = training instanceof SimulatedPlacedSteps ? training.phasesDone + 2 : 0;
    this.#untilCaptured(life, next, () =>
      training.complete(phase, () => {
        this.#say('completes phase', phase.index);
        oracle.phaseCompleted(phase, this.#peek(training, tables));
        this.#persistPlaced(life, training, tables, commit);
      }),
    );
  }

  /** What the processes have of the last phase, for the oracle. */
  #peek(training: PlacedTraining, tables: SimulatedTables): SimulatedRecord | undefined {
    const users = tables.peek('users', training.clocks.users);
    const items = tables.peek('items', training.clocks.items);
    for (const rows of [users, items]) {
      this.#world.oracle.expect(
        rows !== 'not there',
        () => 'a phase has ended, and a process has not ended it',
      );
    }
    if (typeof users === 'string' || typeof items === 'string') return undefined;
    return { ...training.facts(), users, items };
  }

  /** As `#persist`, of rows that are read from parameter processes first. */
  #persistPlaced(life: Life, training: PlacedTraining, tables: SimulatedTables, commit: () => void): void {
    const { queue, random } = this.#world;
    const { isWriteThrough } = this.#traits;
    const next = training.phasesDone;
    if (!isWriteThrough && life.isWriting) {
      this.#soon(life, () => this.#untilCaptured(life, next, commit), 20);
      return;
    }
    life.isWriting = true;
    this.#capture(life, training, tables, (record) => {
      queue.after(this.#writeMs(), () =>
        this.#within(life, () => {
          life.isWriting = false;
          this.#keep(record);
          if (isWriteThrough) commit();
          const { afterWrite } = life.placing!;
          life.placing!.afterWrite = undefined;
          afterWrite?.();
        }),
      );
    });
    if (isWriteThrough) return;
    queue.after(random.next() * 20, () => this.#within(life, () => this.#untilCaptured(life, next, commit)));
  }

  /** Reads the rows of the last phase. */
  #capture(
    life: Life,
    training: PlacedTraining,
    tables: SimulatedTables,
    then: (record: SimulatedRecord) => void,
  ): void {
    const facts = training.facts();
    const { users: usersClock, items: itemsClock } = training.clocks;
    const capture = { nextPhase: facts.nextPhase, waiting: [] as (() => void)[] };
    life.placing!.capture = capture;
    tables.read('users', usersClock, (users) =>
      tables.read('items', itemsClock, (items) => {
        life.placing!.capture = undefined;
        then({ ...facts, users, items });
        for (const wake of capture.waiting) wake();
      }),
    );
  }

  /** Tables are double-buffered: only the third phase after a record writes over its rows. */
  #untilCaptured(life: Life, next: number, then: () => void): void {
    const { capture } = life.placing!;
    if (capture !== undefined && next >= capture.nextPhase + 2) capture.waiting.push(then);
    else then();
  }

  /** Rows that are being read will not come: their tables are closed. */
  #abandonCapture(life: Life): void {
    if (life.placing!.capture === undefined) return;
    life.placing!.capture = undefined;
    life.isWriting = false;
  }

  #save(life: Life, tables: SimulatedTables, then: () => void): void {
    const training = (life.phases ?? life.steps) as PlacedTraining;
    const facts = training.facts();
    const { clocks } = training;
    tables.read('users', clocks.users, (users) =>
      tables.read('items', clocks.items, (items) => {
        this.#keep({ ...facts, users, items });
        then();
      }),
    );
  }

  #endedPlaced(life: Life, effect: Extract<ScheduleEffect, { type: 'runEnded' }>): void {
    const { queue, random, oracle } = this.#world;
    const placing = life.placing!;
    placing.commit = undefined;
    if (effect.outcome === 'failed') {
      this.ended = effect;
      return;
    }
    const isCompleted = effect.outcome === 'completed';
    life.fleet!.ended(isCompleted || placing.isAsked, () => {
      if (isCompleted) {
        oracle.ended('completed', this.#record!);
        this.ended = effect;
        return;
      }
      this.#endSessions(life);
      life.phases = undefined;
      life.steps = undefined;
      const begin = () =>
        queue.after(random.next() * 3000, () => this.#within(life, () => this.#begin(life)));
      this.#abandonCapture(life);
      if (life.isWriting) placing.afterWrite = begin;
      else begin();
    });
  }

  /** Whoever is to have the rows of a result has them. */
  #checkPlaces(life: Life, delivery: Delivery | StepDelivery): void {
    const results = life.fleet?.tables?.results;
    if (results === undefined) return;
    const { oracle } = this.#world;
    const { sessionId, leaseId, block, clock } = delivery;
    const isStep = 'deltas' in delivery;
    const places = isStep ? (delivery.heldBy ?? []) : [results.homeOf(delivery.side, block)];
    oracle.countsAt(
      places.map((place) => results.placement[place]!.holder.id),
      delivery,
    );
    if (isStep) oracle.wroteElsewhere(sessionId, leaseId, block, clock - 1);
  }

  #writeMs(): number {
    const { random, isCalm } = this.#world;
    const { diskMs } = this.#traits;
    const isSlow = !isCalm() && random.next() < diskMs.slowShare;
    return random.next() * (isSlow ? diskMs.slow : diskMs.usual);
  }

  #releaseReads(life: Life): void {
    const clocks = this.#clocksOf(life);
    if (clocks !== undefined && life.steps !== undefined)
      this.#answerReads(life.steps.exchange.release(clocks));
  }

  #answerReads(replies: readonly StepReply<WaitingRead>[]): void {
    for (const { token, answer } of replies) {
      if (answer === undefined) token.reply({ error: 'STOA_LEASE_GONE' });
      else if (this.#life?.fleet !== undefined) {
        this.#life.fleet.tables?.whenSettled(() => token.reply({ value: answer }));
      } else {
        this.#world.oracle.answered(token.block, token.clock, answer);
        token.reply({ value: answer });
      }
    }
  }

  #clocksOf(life: Life): SyncClocks | undefined {
    return life.schedule.run?.progress.clocks;
  }

  #replyLease(
    life: Life,
    { sessionId, requestId }: { sessionId: string; requestId: string },
    answer: Reply<readonly Lease[]>,
  ): void {
    const key = `${sessionId} ${requestId}`;
    const replies = life.leaseReplies.get(key) ?? [];
    life.leaseReplies.delete(key);
    for (const reply of replies) reply(answer);
  }

  /** Answers a call with the code of what it throws; a bug of ours is no answer. */
  #answering<T>(reply: (reply: Reply<T>) => void, act: () => void): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof StoaError)) throw error;
      reply({ error: error.code });
    }
  }

  /** Handles a call: not when it is down, later when it is frozen. */
  #serve(handle: (life: Life) => void, reply?: (reply: Reply<never>) => void): void {
    const life = this.#life;
    if (life === undefined || this.ended !== undefined) return;
    this.#within(life, () => this.#answering(reply ?? (() => {}), () => handle(life)));
  }

  /** Goes on with something of a life, if it lasts, and when it is not frozen. */
  #within(life: Life, act: () => void): void {
    if (this.#life !== life) return;
    const { queue } = this.#world;
    if (queue.nowMs < this.#frozenUntilMs) queue.at(this.#frozenUntilMs, () => this.#within(life, act));
    else act();
  }

  #soon(life: Life, act: () => void, msMax = 10): void {
    const { queue, random } = this.#world;
    queue.after(random.next() * msMax, () => this.#within(life, act));
  }

  #latestMs = 0;

  /** What the schedule has heard of the time. */
  #nowMs(): number {
    const read = this.#readClock();
    this.#latestMs = Math.max(this.#latestMs, read);
    return Math.max(0, read);
  }

  /** By its own clock, which has another zero, runs a little fast or slow, and may be read as going back. */
  #readClock(): number {
    const { offsetMs, rate, backMs } = this.#traits.skew;
    const { queue, random } = this.#world;
    const nowMs = offsetMs + rate * queue.nowMs;
    return backMs > 0 && random.next() < 0.05 ? nowMs - random.next() * backMs : nowMs;
  }

  #count(disposition: Disposition): void {
    if (disposition === 'duplicate') this.counts.duplicates++;
    if (disposition === 'stale') this.counts.stale++;
    if (disposition === 'witnessed') this.counts.witnessed++;
  }

  #say(what: string, ...details: readonly unknown[]): void {
    this.#world.trace.add(this.#world.queue.nowMs, 'coordinator', what, ...details);
  }
}

function nameOf({ leaseId, phase, block }: Lease): string {
  return `#${leaseId} ${block.side}/${block.index}@${phase.priorClock}`;
}

function isPlaced(training: NonNullable<Life['phases'] | Life['steps']>): training is PlacedTraining {
  return training instanceof SimulatedPlacedPhases || training instanceof SimulatedPlacedSteps;
}

/** How updates enter the tables. */
function stepLayoutOf({ sync }: SimulatedPlan): { isImmediate: boolean; isAhead: boolean } {
  const { mode } = sync!;
  return { isImmediate: mode.kind === 'asp', isAhead: leadMax(mode) > 0 };
}
