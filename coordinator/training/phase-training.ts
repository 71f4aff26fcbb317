// The phases of one run: keeps the tables and the record of each phase while the schedule hands out its blocks.

import type { Clock } from '../../common/clock.js';
import { assert, SystemError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import { type DeviceFacts, distinctDevices } from '../../models/device-facts.js';
import { totalLoss } from '../../models/ials/loss.js';
import { HolderLost } from '../holders/holder-lost.js';
import type { Delivery } from '../parameters/delivery.js';
import type { PhaseTables } from '../parameters/phase-tables.js';
import type { StepDelivery } from '../parameters/step-delivery.js';
import type { RunPlan } from '../plan/plan-run.js';
import { objectiveOf, type RunConfig } from '../plan/run-config.js';
import type { PhaseRecord } from '../report/phase-record.js';
import type { Lease, Phase, RunTask } from '../schedule/events.js';
import { snapshotOf } from './checkpoint.js';
import type { Checkpoints } from './checkpoints.js';
import type { MetricsLog } from './metrics-log.js';
import type { RunListener, ScheduleHost } from './schedule-host.js';
import type { Training } from './training.js';

export interface PhaseTrainingOptions {
  runId: string;
  config: RunConfig;
  plan: RunPlan;
  /** Identity of the plan, for checkpoints. */
  planFingerprint: string;
  store: PhaseTables;
  checkpoints: Checkpoints;
  metrics: MetricsLog;
  host: ScheduleHost;
  clock: Clock;
  /** First phase to do. */
  phaseStart: number;
  /** Milliseconds since the run's start, without pauses. */
  activeMs: () => number;
  onPhase: (side: string, seconds: number) => void;
  /** Called at every change worth showing. */
  notify: () => void;
}

export class PhaseTraining implements Training, RunListener {
  readonly #o: PhaseTrainingOptions;
  #phasesDone: number;
  #record: PhaseRecord | undefined;
  /** Sessions that delivered, and the most that were there at once. */
  readonly #sessions = new Set<string>();
  #workersMost = 0;
  #failure: unknown;
  #finish: ((outcome: 'completed' | 'stopped') => void) | undefined;
  #fail: ((error: unknown) => void) | undefined;
  #end: () => void = () => {};
  /** Resolves when nothing is needed of the tables any more. */
  readonly #over = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(options: PhaseTrainingOptions) {
    this.#o = options;
    this.#phasesDone = options.phaseStart;
  }

  /** Complete phases, those of earlier lives of the run included. */
  get phasesDone(): number {
    return this.#phasesDone;
  }

  get phaseCount(): number {
    return 2 * this.#o.config['train.epochs'];
  }

  get plan(): RunPlan {
    return this.#o.plan;
  }

  get store(): PhaseTables {
    return this.#o.store;
  }

  get metrics(): MetricsLog {
    return this.#o.metrics;
  }

  /** Milliseconds that the phase in progress has taken so far. */
  get phaseMs(): number {
    const isOpen = this.#record !== undefined && this.#o.metrics.records.at(-1) !== this.#record;
    return isOpen ? this.#o.activeMs() - this.#record!.startMs : 0;
  }

  /** Sessions that delivered blocks. */
  get sessions(): ReadonlySet<string> {
    return this.#sessions;
  }

  /** Each different device that computed, in earlier lives of the run too. */
  get devices(): DeviceFacts[] {
    return distinctDevices(this.#o.metrics.records.flatMap(({ devices = [] }) => devices));
  }

  get workersMost(): number {
    return this.#workersMost;
  }

  /**
   * Does the phases. Resolves when all are complete or the run was stopped, with a checkpoint of the last one on disk.
   *
   * @throws {SystemError} `STOA_RUN_FAILED`: a block cannot be solved; errors of the checkpoints.
   */
  async run(): Promise<'completed' | 'stopped'> {
    const { runId, config, plan, host, phaseStart } = this.#o;
    const task: RunTask = {
      runId,
      solver: config['ials.solver'],
      gather: config['ials.gather'],
      isDeterministic: config['train.deterministic'],
      auditShare: config['train.audit_share'],
      factors: plan.factors,
      blocks: plan.blocks,
      phaseStart,
      phaseEnd: this.phaseCount,
    };
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const ended = new Promise<'completed' | 'stopped'>((resolve, reject) => {
        this.#finish = resolve;
        this.#fail = reject;
        host.start(task, this);
      });
      return await this.#untilKept(ended);
    } finally {
      this.#end();
    }
  }

  /** The outcome of the phases, when what is complete is durable. */
  async #untilKept(ended: Promise<'completed' | 'stopped'>): Promise<'completed' | 'stopped'> {
    const outcome = await ended.catch(async (error: unknown) => {
      // What is complete is kept; why the run failed is what is told, not that a checkpoint failed too.
      await this.#checkpointNow().catch(() => {});
      throw error;
    });
    const failure = this.#failure;
    // Who leaves in good order stays for this.
    if (failure instanceof HolderLost && failure.isLeaving) await this.#checkpointNow();
    if (failure !== undefined) throw failure;
    await this.#checkpointNow();
    return outcome;
  }

  phaseOpened(phase: Phase): void {
    const { store, plan, host } = this.#o;
    store.beginPhase(phase.side, plan.blocks[phase.side].length);
    const startMs = this.#now();
    const rows = store.rows(phase.side);
    this.#record = { epoch: phase.epoch + 1, side: phase.side, startMs, endMs: startMs, rows, blocks: [] };
    this.#workersMost = Math.max(this.#workersMost, host.schedule.sessionCount);
    this.#o.notify();
  }

  table(side: Side): Promise<Float32Array> {
    return this.#o.store.whole(side);
  }

  async retreat(loss: HolderLost): Promise<void> {
    this.#failure ??= loss;
    this.#o.host.stop();
    await this.#over;
  }

  blockAccepted(lease: Lease, delivery: Delivery | StepDelivery): void {
    assert('gram' in delivery, 'blocks of this run deliver rows with their Gram');
    const { store, host } = this.#o;
    const record = this.#record!;
    store.apply(lease.block.index, delivery, lease.leaseId);
    this.#sessions.add(lease.sessionId);
    const facts = host.roster.get(lease.sessionId)?.facts;
    if (facts !== undefined) record.devices = distinctDevices([...(record.devices ?? []), facts]);
    this.#workersMost = Math.max(this.#workersMost, host.schedule.sessionCount);
    const endMs = this.#now();
    record.blocks.push({
      worker: host.roster.nameOf(lease.sessionId),
      block: lease.block.index,
      // A worker's own duration is trusted only within the phase.
      startMs: Math.min(endMs, Math.max(record.startMs, endMs - Math.max(0, delivery.solveMs))),
      endMs,
    });
    this.#o.notify();
  }

  async phaseCompleted(phase: Phase): Promise<void> {
    const { store, checkpoints, metrics } = this.#o;
    const record = this.#record!;
    try {
      const observed = (await store.commitPhase())?.observed;
      record.endMs = this.#now();
      if (this.#o.config['train.loss']) record.loss = this.#lossAfter(observed);
      metrics.append(phase.index, record);
      this.#o.onPhase(phase.side, (record.endMs - record.startMs) / 1000);
      this.#phasesDone = phase.index + 1;
      if (this.#isCheckpointDue(phase)) await this.#beginCheckpoint();
      await checkpoints.untilCaptured(phase.index + 1);
    } catch (error) {
      this.#failure ??= error;
      this.#o.host.stop();
    }
    this.#o.notify();
  }

  ended(outcome: 'completed' | 'stopped' | 'failed', reason = ''): void {
    this.#o.notify();
    if (outcome === 'failed') {
      this.#fail?.(new SystemError('STOA_RUN_FAILED', `run ${this.#o.runId} failed: ${reason}`));
    } else {
      this.#finish?.(outcome);
    }
  }

  #lossAfter(observed: number | undefined): number | undefined {
    const { store, config, plan } = this.#o;
    const users = store.sums('users');
    const items = store.sums('items');
    if (observed === undefined || users.penalty === undefined || items.penalty === undefined)
      return undefined;
    return totalLoss({
      objective: objectiveOf(config),
      observed,
      penaltyUsers: users.penalty,
      penaltyItems: items.penalty,
      gramUsers: users.gram,
      gramItems: items.gram,
      factors: plan.factors,
    });
  }

  #isCheckpointDue(phase: Phase): boolean {
    const epochs = this.#o.config['train.checkpoint_epochs'];
    return epochs > 0 && (phase.epoch + 1) % epochs === 0;
  }

  async #beginCheckpoint(): Promise<void> {
    const { checkpoints, metrics } = this.#o;
    // A checkpoint must not be ahead of the phases' records.
    await checkpoints.beginIfDue(
      () => this.#snapshot(),
      () => metrics.flush(),
    );
  }

  #checkpointNow(): Promise<void> {
    const { checkpoints, metrics } = this.#o;
    return checkpoints.reach(
      this.#phasesDone,
      () => this.#snapshot(),
      () => metrics.flush(),
    );
  }

  #snapshot() {
    const { store, runId, planFingerprint, config } = this.#o;
    return snapshotOf(store, { runId, plan: planFingerprint, config }, this.#phasesDone);
  }

  #now(): number {
    return Math.round(this.#o.activeMs() * 1000) / 1000;
  }
}
