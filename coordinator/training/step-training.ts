// The epochs of a run that pushes and pulls: keeps the tables, answers reads, and the record of each epoch while the
// schedule hands out its blocks.

import type { Clock } from '../../common/clock.js';
import { assert, type FencedError, SystemError } from '../../common/errors.js';
import type { Dataset } from '../../datasets/dataset.js';
import type { Side } from '../../models/csr.js';
import { type DeviceFacts, distinctDevices } from '../../models/device-facts.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import type { SgdSettings } from '../../models/sgd/sgd-settings.js';
import { bestEpoch, shouldStop } from '../../models/sgd/validation.js';
import { HolderLost } from '../holders/holder-lost.js';
import type { Delivery } from '../parameters/delivery.js';
import type { RowSource } from '../parameters/row-source.js';
import type { StepDelivery } from '../parameters/step-delivery.js';
import { StepExchange, type StepReply } from '../parameters/step-exchange.js';
import type { StepAnswer } from '../parameters/step-service.js';
import type { StepTables } from '../parameters/step-tables.js';
import type { RunPlan } from '../plan/plan-run.js';
import type { RunConfig } from '../plan/run-config.js';
import type { PhaseRecord } from '../report/phase-record.js';
import type { Lease, Phase } from '../schedule/events.js';
import { clocksPerEpoch } from '../schedule/sync/clock-steps.js';
import type { SyncClocks } from '../schedule/sync/sync-clocks.js';
import { parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';
import type { Snapshot } from './checkpoint.js';
import type { Checkpoints } from './checkpoints.js';
import type { MetricsLog } from './metrics-log.js';
import type { RunListener, ScheduleHost } from './schedule-host.js';
import { gone, stepTask } from './step-task.js';
import type { Training } from './training.js';
import { validateTables } from './validate-tables.js';
import { withMean } from './with-mean.js';

export interface StepTrainingOptions {
  runId: string;
  config: RunConfig;
  settings: SgdSettings;
  /** Users of each item. */
  itemCounts: Int32Array;
  data: Dataset;
  plan: RunPlan;
  planFingerprint: string;
  store: StepTables;
  checkpoints: Checkpoints;
  metrics: MetricsLog;
  host: ScheduleHost;
  clock: Clock;
  /** First epoch to do. */
  phaseStart: number;
  activeMs: () => number;
  /** The run was paused in an earlier life of the coordinator, and has not been let go on. */
  isPaused: boolean;
  onPhase: (side: string, seconds: number) => void;
  onRead: (staleness: number) => void;
  notify: () => void;
}

interface WaitingRead {
  resolve(answer: StepAnswer): void;
  reject(error: FencedError): void;
  readonly block: number;
  readonly clock: number;
}

export class StepTraining implements Training, RunListener {
  readonly #o: StepTrainingOptions;
  readonly #exchange: StepExchange<WaitingRead>;
  readonly #sessions = new Set<string>();
  readonly #sampler: NegativeSampler;
  #phasesDone: number;
  #workersMost = 0;
  #record: PhaseRecord | undefined;
  /** Losses of the epoch's deliveries by clock and block: they are summed in that order, not of arrival. */
  #losses: { at: number; loss: number; samples: number }[] = [];
  #hasStoppedEarly = false;
  #scoringUsers: Float32Array | undefined;
  #scoringItems: Float32Array | undefined;
  #failure: unknown;
  #finish: ((outcome: 'completed' | 'stopped') => void) | undefined;
  #fail: ((error: unknown) => void) | undefined;
  #end: () => void = () => {};
  /** Resolves when nothing is needed of the tables any more. */
  readonly #over = new Promise<void>((resolve) => {
    this.#end = resolve;
  });

  constructor(options: StepTrainingOptions) {
    this.#o = options;
    this.#phasesDone = options.phaseStart;
    this.#exchange = new StepExchange(options.store, options.plan.blocks.users);
    this.#sampler = new NegativeSampler(options.itemCounts, options.settings);
    this.#hasStoppedEarly = this.#isEnough();
  }

  get plan(): RunPlan {
    return this.#o.plan;
  }

  get store(): StepTables {
    return this.#o.store;
  }

  get metrics(): MetricsLog {
    return this.#o.metrics;
  }

  /** What workers are told of the run. */
  get spec(): { settings: SgdSettings; itemCounts: Int32Array; validationShare: number } {
    const { settings, itemCounts } = this.#o;
    return { settings, itemCounts, validationShare: this.#validationShare };
  }

  get phasesDone(): number {
    return this.#phasesDone;
  }

  get phaseCount(): number {
    return this.#o.config['train.epochs'];
  }

  get phaseMs(): number {
    const isOpen = this.#record !== undefined && this.#o.metrics.records.at(-1) !== this.#record;
    return isOpen ? this.#o.activeMs() - this.#record!.startMs : 0;
  }

  get sessions(): ReadonlySet<string> {
    return this.#sessions;
  }

  get devices(): DeviceFacts[] {
    return distinctDevices(this.metrics.records.flatMap(({ devices = [] }) => devices));
  }

  get workersMost(): number {
    return this.#workersMost;
  }

  /** The epoch whose tables the model has, from 1: the best one where losses are validated, else the last one. */
  get epochKept(): number {
    const losses = this.#validations();
    return losses.length > 0 ? 1 + bestEpoch(losses) : this.#phasesDone;
  }

  /** Of the model of a run that has ended, for scoring: the product of two rows of `mf` is the rating with its mean. */
  async table(side: Side): Promise<Float32Array> {
    const { store, settings } = this.#o;
    if (side === 'items') {
      this.#scoringItems ??= await (store.bestRows('items') ?? store.kept('items'));
      return this.#scoringItems;
    }
    if (this.#scoringUsers === undefined) {
      const users = await (store.bestRows('users') ?? store.kept('users'));
      this.#scoringUsers = settings.model === 'bpr' ? users : withMean(users, store.columns, settings.mean);
    }
    return this.#scoringUsers;
  }

  async retreat(loss: HolderLost): Promise<void> {
    this.#failure ??= loss;
    this.#o.host.stop();
    await this.#over;
  }

  /** @throws {SystemError} `STOA_RUN_FAILED`; errors of the checkpoints and of the validation. */
  async run(): Promise<'completed' | 'stopped'> {
    if (this.#hasStoppedEarly) return 'completed';
    try {
      if (this.#failure !== undefined) throw this.#failure;
      const ended = new Promise<'completed' | 'stopped'>((resolve, reject) => {
        this.#finish = resolve;
        this.#fail = reject;
        this.#o.host.start(stepTask(this.#o, this.phaseCount), this);
      });
      return await this.#untilKept(ended);
    } finally {
      this.#end();
    }
  }

  /** The outcome of the epochs, when what is complete is durable. */
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
    return this.#hasStoppedEarly ? 'completed' : outcome;
  }

  phaseOpened(phase: Phase): void {
    const startMs = this.#now();
    const rows = this.#o.plan.users;
    this.#record = { epoch: phase.epoch + 1, side: phase.side, startMs, endMs: startMs, rows, blocks: [] };
    this.#exchange.beginEpoch();
    this.#losses = [];
    this.#record.reads = [];
    this.#countWorkers();
    this.#answerHeld();
    this.#o.notify();
  }

  /** Answers a read when the sync mode allows it: at once, or after another block's push. */
  read(
    request: { block: number; clock: number; items: Int32Array },
    signal: AbortSignal,
  ): Promise<StepAnswer> {
    return new Promise((resolve, reject) => {
      const { block, clock } = request;
      const clocks = this.#clocks;
      if (clocks === undefined || this.#record === undefined) return reject(gone(block, clock));
      const token: WaitingRead = { ...request, resolve, reject };
      signal.addEventListener(
        'abort',
        () => {
          this.#exchange.drop(token);
          reject(signal.reason as FencedError);
        },
        { once: true },
      );
      this.#answer(this.#exchange.ask(clocks, { ...request, token }));
    });
  }

  blockAccepted(lease: Lease, delivery: Delivery | StepDelivery): void {
    assert('deltas' in delivery, 'blocks of this run deliver deltas');
    const { host } = this.#o;
    const record = this.#record!;
    const { index } = lease.block;
    const clock = delivery.clock - 1;
    const clocks = this.#clocks!;
    this.#exchange.apply(clocks, delivery);
    const { loss, sampleCount: samples } = delivery;
    this.#losses.push({ at: clock * clocks.blocks + index, loss, samples });
    record.reads!.push([index, clock, -1]);
    this.#sessions.add(lease.sessionId);
    const worker = host.roster.get(lease.sessionId);
    const facts = worker?.stepFacts ?? worker?.facts;
    if (facts !== undefined) record.devices = distinctDevices([...(record.devices ?? []), facts]);
    this.#countWorkers();
    const endMs = this.#now();
    const startMs = Math.min(endMs, Math.max(record.startMs, endMs - Math.max(0, delivery.solveMs)));
    record.blocks.push({ worker: host.roster.nameOf(lease.sessionId), block: index, startMs, endMs });
    this.#answerHeld();
    this.#o.notify();
  }

  async phaseCompleted(phase: Phase): Promise<void> {
    const { store, checkpoints, metrics, onPhase } = this.#o;
    const record = this.#record!;
    try {
      // The copy that a checkpoint is being written from must not change under it.
      await checkpoints.untilCaptured(this.#phasesDone + 2);
      await store.keep();
      record.endMs = this.#now();
      record.staleness = this.#exchange.staleness;
      if (this.#o.config['train.loss']) record.loss = this.#meanLoss();
      if (this.#validationShare > 0) record.validation = await this.#validate();
      metrics.append(phase.index, record);
      this.#phasesDone = phase.index + 1;
      if (record.validation !== undefined && this.epochKept === this.#phasesDone) await store.keepBest();
      onPhase(phase.side, (record.endMs - record.startMs) / 1000);
      this.#hasStoppedEarly = this.#isEnough();
      if (this.#hasStoppedEarly) this.#o.host.stop();
      else await this.#beginCheckpointIfDue(phase);
    } catch (error) {
      this.#failure ??= error;
      this.#o.host.stop();
    }
    this.#o.notify();
  }

  ended(outcome: 'completed' | 'stopped' | 'failed', reason = ''): void {
    this.#o.notify();
    for (const token of this.#exchange.clear()) token.reject(gone(token.block, token.clock));
    if (outcome === 'failed') {
      this.#fail?.(new SystemError('STOA_RUN_FAILED', `run ${this.#o.runId} failed: ${reason}`));
    } else {
      this.#finish?.(outcome);
    }
  }

  get #clocks(): SyncClocks | undefined {
    const { run } = this.#o.host.schedule;
    return run?.task.runId === this.#o.runId ? run.progress.clocks : undefined;
  }

  get #validationShare(): number {
    const { config } = this.#o;
    return config['train.early_stopping'] > 0 ? config['train.validation_share'] : 0;
  }

  #answerHeld(): void {
    const clocks = this.#clocks;
    if (clocks !== undefined) this.#answer(this.#exchange.release(clocks));
  }

  #answer(replies: readonly StepReply<WaitingRead>[]): void {
    for (const { token, answer } of replies) {
      if (answer === undefined) {
        token.reject(gone(token.block, token.clock));
        continue;
      }
      this.#o.onRead(answer.staleness);
      this.#record!.reads!.push([token.block, token.clock, answer.clock]);
      const settled = this.#o.store.settled?.();
      if (settled === undefined) token.resolve(answer);
      else
        settled.then(
          () => token.resolve(answer),
          () => token.reject(gone(token.block, token.clock)),
        );
    }
  }

  #countWorkers(): void {
    this.#workersMost = Math.max(this.#workersMost, this.#o.host.schedule.sessionCount);
  }

  #meanLoss(): number {
    let loss = 0;
    let samples = 0;
    for (const part of this.#losses.sort((a, b) => a.at - b.at)) {
      loss += part.loss;
      samples += part.samples;
    }
    return samples === 0 ? 0 : loss / samples;
  }

  #validate(): Promise<number> {
    const { data, store, settings } = this.#o;
    const split = { seed: settings.seed, share: this.#validationShare };
    return validateTables({ data, store, settings, split, sampler: this.#sampler });
  }

  #isEnough(): boolean {
    return shouldStop(this.#validations(), this.#o.config['train.early_stopping']);
  }

  /** After each epoch. */
  #validations(): number[] {
    return this.#o.metrics.records.map(({ validation }) => validation).filter((loss) => loss !== undefined);
  }

  async #beginCheckpointIfDue(phase: Phase): Promise<void> {
    const { config, checkpoints, metrics } = this.#o;
    const epochs = config['train.checkpoint_epochs'];
    if (epochs === 0 || (phase.epoch + 1) % epochs !== 0) return;
    // A checkpoint must not be ahead of the epochs' records.
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

  #snapshot(): Snapshot<RowSource> {
    const { store, runId, planFingerprint, config } = this.#o;
    const mode = parseSyncMode(config['train.sync']);
    const clocksAfter = (epochs: number) => {
      const clock = epochs * clocksPerEpoch(config['train.steps'], stepsPerClock(mode));
      return { users: clock, items: clock };
    };
    const { epochKept } = this;
    const [users, items] = [store.bestSource('users'), store.bestSource('items')];
    const isApart = users !== undefined && items !== undefined && epochKept !== this.#phasesDone;
    return {
      runId,
      plan: planFingerprint,
      config,
      nextPhase: this.#phasesDone,
      factors: store.columns,
      clocks: clocksAfter(this.#phasesDone),
      tables: { users: store.source('users'), items: store.source('items') },
      sums: {},
      best: isApart
        ? { nextPhase: epochKept, clocks: clocksAfter(epochKept), tables: { users, items } }
        : undefined,
    };
  }

  #now(): number {
    return Math.round(this.#o.activeMs() * 1000) / 1000;
  }
}
