import type { Clock } from '../../common/clock.js';
import { StateError, type StoaError } from '../../common/errors.js';
import { phasesPerEpoch, type RunConfig } from '../plan/run-config.js';
import type { RunFolder, RunRecord } from './run-folder.js';
import type { TrainResult } from './train-result.js';
import type { Training } from './training.js';

export type RunState = RunRecord['state'];

/** A run of this coordinator: where it stands, who waits for it. */
export class Run {
  readonly folder: RunFolder;
  readonly config: RunConfig;
  /** Workers to wait for, a little, before the first phase. */
  readonly expectedWorkers: number;
  /** Goes on from a checkpoint, where there is one. */
  readonly isResumed: boolean;
  readonly #persist: (record: RunRecord) => Promise<void>;
  /** Aborts when somebody wants the run stopped. */
  readonly stopping = new AbortController();
  /** What happens now, for people: "planning", "evaluating", …; empty while phases go on and after the end. */
  stage = '';
  /** Present while phases go on and after them. */
  training: Training | undefined;
  /** Present once it has succeeded. */
  finalResult: TrainResult | undefined;
  readonly #clock: Clock;
  #record: RunRecord;
  #startedMs: number | undefined;
  /** Settles when the changes so far are kept. */
  #updates: Promise<void> = Promise.resolve();
  #wakeWatchers: () => void = () => {};
  #change = new Promise<void>(() => {});
  #settle: { resolve(result: TrainResult): void; reject(error: StoaError): void } | undefined;
  readonly #outcome: Promise<TrainResult>;

  constructor(options: {
    folder: RunFolder;
    config: RunConfig;
    record: RunRecord;
    clock: Clock;
    expectedWorkers?: number;
    isResumed?: boolean;
    /** Makes a change of the record last before anybody is told of it. @default in the run's folder */
    persist?: (record: RunRecord) => Promise<void>;
  }) {
    this.folder = options.folder;
    this.config = options.config;
    this.expectedWorkers = options.expectedWorkers ?? 1;
    this.isResumed = options.isResumed ?? false;
    this.#persist = options.persist ?? ((record) => options.folder.writeRecord(record));
    this.#record = options.record;
    this.#clock = options.clock;
    this.#outcome = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    // Nobody may be waiting when it fails.
    this.#outcome.catch(() => {});
    this.#renewChange();
  }

  get id(): string {
    return this.#record.run_id;
  }

  get record(): RunRecord {
    return this.#record;
  }

  get state(): RunState {
    return this.#record.state;
  }

  get hasEnded(): boolean {
    return this.state !== 'queued' && this.state !== 'running';
  }

  /** Time that the run has been at work, without pauses. */
  get activeMs(): number {
    const now = this.#startedMs === undefined ? 0 : this.#clock.nowMs() - this.#startedMs;
    return this.#record.active_ms + now;
  }

  /** Complete phases. */
  get phasesDone(): number {
    return this.training?.phasesDone ?? this.#record.phases_done;
  }

  /** Complete epochs. */
  get epochsDone(): number {
    return Math.floor(this.phasesDone / phasesPerEpoch(this.config));
  }

  /** Keeps that nothing of the run is lent, or that something is again: also for the next life of the coordinator. */
  async keepPaused(isPaused: boolean): Promise<void> {
    if ((this.#record.is_paused ?? false) !== isPaused)
      await this.#update({ is_paused: isPaused || undefined });
  }

  /** Resolves with the result; rejects with why there is none. */
  get outcome(): Promise<TrainResult> {
    return this.#outcome;
  }

  /** Resolves at the next change. */
  get change(): Promise<void> {
    return this.#change;
  }

  /** Takes over the time that phases on disk say the run has taken: more than the record knows after a crash. */
  catchUp(activeMs: number): void {
    if (activeMs <= this.activeMs) return;
    this.#record = { ...this.#record, active_ms: activeMs };
    if (this.#startedMs !== undefined) this.#startedMs = this.#clock.nowMs();
  }

  notify(): void {
    this.#wakeWatchers();
    this.#renewChange();
  }

  enterStage(stage: string): void {
    this.stage = stage;
    this.notify();
  }

  /** Takes up a run that ended in an earlier life of the coordinator. */
  remember(result: TrainResult | undefined): void {
    this.finalResult = result;
    if (result !== undefined) this.#settle?.resolve(result);
    else this.#settle?.reject(new StateError('STOA_RUN_STATE', `run ${this.id} ended without a model`));
  }

  async begin(): Promise<void> {
    this.#startedMs = this.#clock.nowMs();
    await this.#update({ state: 'running', error: undefined });
  }

  async succeed(result: TrainResult): Promise<void> {
    this.finalResult = result;
    await this.#end({ state: 'succeeded' });
    this.#settle?.resolve(result);
  }

  /** Ends without a model. A queued run stays in line when the coordinator leaves (`isPaused`). */
  async endEarly(error: StoaError, isPaused = false): Promise<void> {
    const isStopped = error.code === 'STOA_INTERRUPTED';
    const state = isStopped ? (isPaused ? 'queued' : 'stopped') : 'failed';
    try {
      await this.#end({ state, error: isStopped ? undefined : error.message });
    } finally {
      this.#settle?.reject(error);
    }
  }

  /** The error of a run that somebody stopped. */
  stopped(): StateError {
    const done = this.epochsDone;
    return new StateError(
      'STOA_INTERRUPTED',
      `run ${this.id} was stopped after ${done} of ${this.config['train.epochs']} epochs; go on with: stoa resume ${this.folder.dir}`,
      { fields: { run: this.id } },
    );
  }

  async #end(change: Partial<RunRecord>): Promise<void> {
    const activeMs = this.activeMs;
    this.#startedMs = undefined;
    this.stage = '';
    await this.#update({ ...change, active_ms: activeMs, phases_done: this.phasesDone });
  }

  /** One change after the other: each begins with what the one before made. */
  #update(change: Partial<RunRecord>): Promise<void> {
    const updated = this.#updates.then(() => this.#keep(change));
    this.#updates = updated.catch(() => {});
    return updated;
  }

  /** Watchers hear of a change when it is durable; of one that cannot be kept they hear too, it has happened. */
  async #keep(change: Partial<RunRecord>): Promise<void> {
    const record = { ...this.#record, ...change };
    try {
      await this.#persist(record);
    } finally {
      this.#record = record;
      this.notify();
    }
  }

  #renewChange(): void {
    this.#change = new Promise((resolve) => {
      this.#wakeWatchers = resolve;
    });
  }
}
