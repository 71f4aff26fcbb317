// The runs of a coordinator: one trains at a time, others wait in line.

import { randomBytes } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '../../common/clock.js';
import { FencedError, messageOf, NotFoundError, StateError, StoaError } from '../../common/errors.js';
import { openDataset } from '../../datasets/dataset.js';
import type { HolderPool } from '../holders/holder-pool.js';
import { DiskGuard } from '../journal/disk-guard.js';
import type { Durability } from '../journal/durability.js';
import type { JournaledRun } from '../journal/entries.js';
import { type FolderLock, lockFolder } from '../journal/folder-lock.js';
import type { RunConfig } from '../plan/run-config.js';
import { checkpointSettings } from './checkpoint-folder.js';
import { Preparation } from './preparation.js';
import { reconcileRun } from './reconcile-run.js';
import { Run } from './run.js';
import { openRunData, type RunData } from './run-data.js';
import { RunFolder, type RunRecord } from './run-folder.js';
import { requireSameSettings } from './same-settings.js';
import type { ScheduleHost } from './schedule-host.js';
import type { TrainResult } from './train-result.js';
import { type ActiveTraining, trainRun } from './train-run.js';

/** The record of a run in its folder and in the journal, generously. */
const RECORD_BYTES = 2 << 20;

export interface RunRequest {
  /** Folders of the data. */
  dataset: string;
  test?: string;
  foldIn?: string;
  config: RunConfig;
  runDir: string;
  expectedWorkers?: number;
  requestId?: string;
}

export interface ActiveRun {
  run: Run;
  data: RunData;
  training: ActiveTraining;
}

export interface RunsOptions {
  host: ScheduleHost;
  clock: Clock;
  log: Logger;
  durability: Durability;
  holders: HolderPool;
  /** Runs of clients live here, each in a folder of its id. */
  runsDir: string;
  /** Told of every phase that has ended. */
  onPhase: (side: string, seconds: number) => void;
  /** Told how many clocks behind each read was. */
  onRead: (staleness: number) => void;
  /** Called with a run of `runsDir` that has made a model, before it is said to have succeeded. */
  onModel: (run: Run) => Promise<void>;
}

export class Runs {
  /** Of the run that trains next. */
  readonly preparation = new Preparation();
  readonly #o: RunsOptions;
  readonly #runs = new Map<string, Run>();
  readonly #line: Run[] = [];
  readonly #locks = new Map<string, FolderLock>();
  #active: ActiveRun | undefined;
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #isStarted = false;
  #isClosing = false;

  constructor(options: RunsOptions) {
    this.#o = options;
  }

  /** The run whose blocks can be asked for. */
  get active(): ActiveRun | undefined {
    return this.#active;
  }

  get newest(): Run[] {
    return [...this.#runs.values()].sort((a, b) => (a.record.create_time < b.record.create_time ? 1 : -1));
  }

  /** @throws {NotFoundError} `STOA_NOT_FOUND_RUN`. */
  get(runId: string): Run {
    const run = this.#runs.get(runId);
    if (run !== undefined) return run;
    throw new NotFoundError(
      'STOA_NOT_FOUND_RUN',
      `there is no run "${runId}"; "stoa runs ls" lists those there are`,
      {
        fields: { field: 'run_id' },
      },
    );
  }

  byRequest(requestId: string): Run | undefined {
    return [...this.#runs.values()].find((run) => run.record.request_id === requestId);
  }

  newId(): string {
    const stamp = this.#o.clock.date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
    return `${stamp}-${randomBytes(3).toString('hex')}`;
  }

  /** Checks the data, makes the run's folder and puts the run in line. Errors of `openRunData` and `RunFolder.create`. */
  async submit(request: RunRequest, runId = this.newId()): Promise<Run> {
    const { config, test, foldIn, requestId } = request;
    const data = await openRunData(request, config);
    const record: RunRecord = {
      format: 'stoa-run',
      version: 1,
      run_id: runId,
      state: 'queued',
      create_time: this.#o.clock.date().toISOString(),
      dataset: path.resolve(data.train.dir),
      dataset_fingerprint: data.train.fingerprint,
      test: test && path.resolve(test),
      fold_in: foldIn && path.resolve(foldIn),
      request_id: requestId,
      active_ms: 0,
      phases_done: 0,
    };
    const folder = new RunFolder(request.runDir);
    await folder.create(record, config);
    try {
      if (this.#isOurs(folder)) await this.#journal?.append({ kind: 'submitted', record, config });
      else await this.#lock(folder, runId);
    } catch (error) {
      await rm(folder.dir, { recursive: true, force: true });
      throw error;
    }
    return this.#enqueue(folder, record, config, request.expectedWorkers, false);
  }

  /**
   * Puts a run that was stopped, or cut off, in line again, with its own configuration. Test data are those it had
   * unless others are given.
   *
   * @throws {StateError} `STOA_RUN_STATE`: it has ended with a model, or trains now; the data are not those it began
   *   with. `STOA_LOCKED`: another process trains it, which is named.
   */
  async resume(request: Omit<RunRequest, 'config'>): Promise<Run> {
    const { runDir, dataset, test, foldIn, expectedWorkers } = request;
    const folder = new RunFolder(runDir);
    const { record, config } = await folder.read();
    if (record.state === 'succeeded') {
      throw new StateError(
        'STOA_RUN_STATE',
        `run ${record.run_id} in ${runDir} has ended with a model; there is nothing to resume`,
        {
          fields: { run: record.run_id },
        },
      );
    }
    if (this.#runs.get(record.run_id)?.hasEnded === false) {
      throw new StateError(
        'STOA_RUN_STATE',
        `run ${record.run_id} is in line or training already; wait for it`,
        {
          fields: { run: record.run_id },
        },
      );
    }
    const { fingerprint } = await openDataset(dataset);
    if (fingerprint !== record.dataset_fingerprint) {
      throw new StateError(
        'STOA_RUN_STATE',
        `run ${record.run_id} was started on other data than ${dataset}; give the dataset it was started on`,
        { fields: { run: record.run_id, file: dataset } },
      );
    }
    const before = await checkpointSettings(folder.checkpointsDir);
    if (before !== undefined) requireSameSettings(before, config, folder);
    const again = {
      ...record,
      dataset: path.resolve(dataset),
      ...(test !== undefined && { test: path.resolve(test) }),
      ...(foldIn !== undefined && { fold_in: path.resolve(foldIn) }),
    };
    await this.#lock(folder, record.run_id);
    return this.#enqueue(folder, again, config, expectedWorkers, true);
  }

  /** Takes up the runs that an earlier life of the coordinator left: those that had not ended go in line again. */
  async restore(): Promise<void> {
    const journaled = this.#journal?.state.runs;
    const names = new Set(await readdir(this.#o.runsDir).catch(() => []));
    for (const id of journaled?.keys() ?? []) names.add(id);
    for (const name of [...names].sort()) {
      const run = await this.#restoreOne(name, journaled?.get(name));
      if (run !== undefined && !run.hasEnded) this.#line.push(run);
    }
  }

  /** Begins with the runs in line. */
  start(): void {
    this.#isStarted = true;
    this.#work();
  }

  /** Resolves when the run has ended; a run that has ended stays as it is. */
  async stop(run: Run): Promise<void> {
    const at = this.#line.indexOf(run);
    if (at >= 0) {
      this.#line.splice(at, 1);
      await run.endEarly(run.stopped()).finally(() => this.#unlock(run));
      return;
    }
    run.stopping.abort();
    await run.outcome.catch(() => {});
  }

  /** Stops the run in progress after a checkpoint; runs of clients go on when the coordinator starts again. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const run of this.#line.splice(0)) {
      await run.endEarly(run.stopped(), this.#isOurs(run.folder)).catch(() => undefined);
      await this.#unlock(run);
    }
    for (const run of this.#runs.values()) if (!run.hasEnded) run.stopping.abort();
    await this.#working;
  }

  /** Lets go of all runs without a word to the disk: another coordinator has them now. Resolves when nothing works. */
  async abandon(): Promise<void> {
    this.#isClosing = true;
    this.#line.length = 0;
    for (const run of this.#runs.values()) if (!run.hasEnded) run.stopping.abort();
    await this.#working;
  }

  #enqueue(
    folder: RunFolder,
    record: RunRecord,
    config: RunConfig,
    expectedWorkers: number | undefined,
    isResumed: boolean,
  ): Run {
    const run = this.#newRun({ folder, config, record, expectedWorkers, isResumed });
    this.#runs.set(run.id, run);
    this.#line.push(run);
    this.#work();
    return run;
  }

  #newRun(options: Omit<ConstructorParameters<typeof Run>[0], 'clock' | 'persist'>): Run {
    const { folder } = options;
    const persist = async (record: RunRecord) => {
      // First where it counts; what stands in the folder is for people, and for whoever has no journal.
      if (this.#isOurs(folder)) await this.#journal?.append({ kind: 'run', record });
      await folder.writeRecord(record);
    };
    return new Run({ ...options, clock: this.#o.clock, persist });
  }

  get #journal() {
    return this.#o.durability.journal;
  }

  #work(): void {
    if (this.#isWorking || this.#isClosing || !this.#isStarted) return;
    this.#isWorking = true;
    this.#working = this.#workLine().finally(() => {
      this.#isWorking = false;
    });
  }

  async #workLine(): Promise<void> {
    for (let run = this.#line.shift(); run !== undefined; run = this.#line.shift()) await this.#train(run);
  }

  async #train(run: Run): Promise<void> {
    const { host, clock, log, onPhase, onRead, durability, holders } = this.#o;
    const runLog = log.child({ run: run.id });
    const onReady = (active: ActiveRun) => {
      this.#active = active;
    };
    try {
      if (!this.#locks.has(run.id)) await this.#lock(run.folder, run.id);
      await this.#untilRoom(run, runLog);
      await run.begin();
      runLog.info(run.isResumed ? 'resumed' : 'started');
      const result = await trainRun(run, {
        host,
        clock,
        log: runLog,
        holders,
        durability: this.#isOurs(run.folder) ? durability : withoutJournal(durability),
        preparation: this.preparation,
        onReady,
        onPhase,
        onRead,
      });
      if (this.#isOurs(run.folder)) await this.#o.onModel(run);
      await this.#untilRoom(run, runLog);
      await run.succeed(result);
      runLog.info({ seconds: result.seconds_total }, 'succeeded');
    } catch (error) {
      const reason = run.stopping.signal.aborted ? run.stopped() : asStoaError(error, run);
      if (reason.code === 'STOA_INTERRUPTED') runLog.info('stopped');
      else runLog.error({ err: error }, reason.message);
      if (reason.code === 'STOA_DISK_FAILED') durability.onFatal(reason);
      await run.endEarly(reason, this.#isClosing && this.#isOurs(run.folder)).catch((failure: unknown) => {
        const isFenced = failure instanceof FencedError;
        if (!isFenced) runLog.error({ err: failure }, 'the end of the run could not be written down');
      });
    } finally {
      this.preparation.clear();
      this.#active = undefined;
      run.training = undefined;
      await this.#unlock(run);
    }
  }

  /** What a run's beginning and end write is little, but it must not meet a full disk. */
  async #untilRoom(run: Run, log: Logger): Promise<void> {
    const guard = new DiskGuard(run.folder.dir, this.#o.durability.diskReserveBytes);
    await guard.untilRoom(RECORD_BYTES, run.stopping.signal, (sentence) => {
      log.warn(sentence);
      run.enterStage('waiting for room on the disk');
    });
  }

  async #lock(folder: RunFolder, runId: string): Promise<void> {
    const force = this.#o.durability.hasStandIns;
    this.#locks.set(runId, await lockFolder(folder.dir, `run ${runId}`, { force }));
  }

  async #unlock(run: Run): Promise<void> {
    const lock = this.#locks.get(run.id);
    this.#locks.delete(run.id);
    await lock?.release();
  }

  async #restoreOne(name: string, journaled: JournaledRun | undefined): Promise<Run | undefined> {
    const folder = new RunFolder(path.join(this.#o.runsDir, name));
    try {
      const { record, config } = await reconcileRun(folder, journaled, this.#o);
      const run = this.#newRun({ folder, config, record, isResumed: true });
      if (run.hasEnded) run.remember(await readResult(folder));
      this.#runs.set(run.id, run);
      return run;
    } catch (error) {
      this.#o.log.warn({ run: name }, messageOf(error));
      return undefined;
    }
  }

  #isOurs(folder: RunFolder): boolean {
    return path.dirname(folder.dir) === path.resolve(this.#o.runsDir);
  }
}

/** A run in a folder of its own may go on with others who do not know this journal. */
function withoutJournal(durability: Durability): Durability {
  return { ...durability, journal: undefined, fence: undefined };
}

async function readResult(folder: RunFolder): Promise<TrainResult | undefined> {
  const text = await readFile(path.join(folder.dir, 'result.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as TrainResult);
}

/** What is not a StoaError is a bug; the log has all of it. */
function asStoaError(error: unknown, run: Run): StoaError {
  if (error instanceof StoaError) return error;
  return new StoaError('STOA_RUN_FAILED', `run ${run.id} failed by an internal error: ${messageOf(error)}`, {
    cause: error,
  });
}
