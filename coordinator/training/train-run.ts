// One run from its data to its result: plan, tables, phases, finish.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { sha256 } from '../../common/checksums.js';
import type { Clock } from '../../common/clock.js';
import { messageOf, StateError, StoaError } from '../../common/errors.js';
import { DiskGuard } from '../journal/disk-guard.js';
import type { Durability } from '../journal/durability.js';
import { type Fence, soleFence } from '../leader/fence.js';
import { ParameterStore } from '../parameters/parameter-store.js';
import { planRun, type RunPlan } from '../plan/plan-run.js';
import { phasesPerEpoch } from '../plan/run-config.js';
import { restoreStore, type Snapshot } from './checkpoint.js';
import { Checkpoints, nextCheckpointTerm } from './checkpoints.js';
import { initializeItems } from './initial-factors.js';
import { MetricsLog } from './metrics-log.js';
import { openStepTraining } from './open-step-training.js';
import { PhaseTraining } from './phase-training.js';
import type { Run } from './run.js';
import { openRunData, type RunData } from './run-data.js';
import { requireSameSettings } from './same-settings.js';
import type { ScheduleHost } from './schedule-host.js';
import type { StepTraining } from './step-training.js';
import type { TrainResult } from './train-result.js';
import type { Training } from './training.js';

/** Workers of one machine start together; those that are not there by then join later. */
const WORKERS_WAIT_MS = 5000;
/** Between two tries on a disk that has too little room. */
const DISK_RETRY_MS = 500;
const WAITING_FOR_DISK = 'waiting for room on the disk';

/** By what its blocks deliver. */
export type ActiveTraining = PhaseTraining | StepTraining;

export interface TrainingContext {
  host: ScheduleHost;
  clock: Clock;
  log: Logger;
  durability: Durability;
  onPhase: (side: string, seconds: number) => void;
  /** Told how many clocks behind each read of a run that pushes and pulls was. */
  onRead: (staleness: number) => void;
  /** Told when blocks of the run can be asked for, before the first phase opens. */
  onReady: (ready: { run: Run; data: RunData; training: ActiveTraining }) => void;
}

/** @throws {StateError} `STOA_INTERRUPTED`: it was stopped, a checkpoint is kept; and all that can go wrong. */
export async function trainRun(run: Run, context: TrainingContext): Promise<TrainResult> {
  const { host, clock, durability } = context;
  run.enterStage('planning');
  const { dataset, test, fold_in: foldIn } = run.record;
  const data = await openRunData({ dataset, test, foldIn }, run.config);
  const rowCounts = {
    users: await data.train.rowCounts('users'),
    items: await data.train.rowCounts('items'),
  };
  const plan = planFor(run, data, rowCounts, host);
  const planFingerprint = fingerprintOf(plan, data);
  await run.folder.writeText('plan.json', renderPlan(plan));

  const checkpoints = await checkpointsOf(run, context);
  const acknowledged = durability.journal?.state.runs.get(run.id)?.phases;
  const snapshot = run.isResumed ? await checkpoints.latest(acknowledged) : undefined;
  if (snapshot !== undefined) requireGoesOn(snapshot, run, planFingerprint);
  const phaseStart = snapshot?.nextPhase ?? 0;
  const metrics = await MetricsLog.open(run.folder.metricsFile, phaseStart, phasesPerEpoch(run.config));
  run.catchUp(metrics.records.at(-1)?.endMs ?? 0);
  const options = {
    runId: run.id,
    config: run.config,
    plan,
    planFingerprint,
    checkpoints,
    metrics,
    host,
    clock,
    phaseStart,
    activeMs: () => run.activeMs,
    isPaused: run.record.is_paused ?? false,
    notify: () => run.notify(),
    onPhase: context.onPhase,
    onRead: context.onRead,
  };
  const training: ActiveTraining =
    run.config.model === 'ials'
      ? new PhaseTraining({ ...options, store: await fillStore(run, plan, rowCounts, snapshot) })
      : await openStepTraining({ ...options, rowCounts, snapshot, data: data.train });
  run.training = training;
  context.onReady({ run, data, training });
  await doPhases(run, training, host);
  const finish = async () => {
    durability.fence?.check();
    // Evaluation and reports are not loaded by a coordinator that starts again: a run waits for that.
    const { finishRun } = await import('./finish-run.js');
    return finishRun({ run, data, training, rowCounts, roster: host.roster, clock });
  };
  return whenThereIsRoom(run, context, 4 * plan.factors * (plan.users + plan.items), finish);
}

async function checkpointsOf(run: Run, { clock, log, durability }: TrainingContext): Promise<Checkpoints> {
  const { journal, diskReserveBytes, onFatal } = durability;
  const dir = run.folder.checkpointsDir;
  return new Checkpoints({
    dir,
    keep: run.config['train.checkpoint_keep'],
    fence: await fenceOf(durability, dir),
    guard: new DiskGuard(run.folder.dir, diskReserveBytes),
    signal: run.stopping.signal,
    clock,
    log,
    acknowledge: async (end) => journal?.append({ kind: 'phase', run_id: run.id, end }),
    onWaiting: (isWaiting) => run.enterStage(isWaiting ? WAITING_FOR_DISK : ''),
    onFatal,
  });
}

/** Checkpoints that were copied here may have been written under later terms than the coordinator's. */
async function fenceOf({ fence }: Durability, dir: string): Promise<Fence> {
  const next = await nextCheckpointTerm(dir);
  if (fence === undefined) return soleFence(next);
  return next > fence.term + 1 ? { term: next, check: () => fence.check() } : fence;
}

/** Does what is safe to repeat, again and again until the disk has room for it or the run is stopped. */
async function whenThereIsRoom<T>(
  run: Run,
  { log, durability }: TrainingContext,
  bytes: number,
  work: () => Promise<T>,
): Promise<T> {
  const guard = new DiskGuard(run.folder.dir, durability.diskReserveBytes);
  const { signal } = run.stopping;
  const wait = (sentence: string) => {
    log.warn(sentence);
    run.enterStage(WAITING_FOR_DISK);
  };
  for (;;) {
    await guard.untilRoom(bytes, signal, wait);
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoaError) || error.code !== 'STOA_DISK_FULL') throw error;
      wait(messageOf(error));
      await sleep(DISK_RETRY_MS, undefined, { signal });
    }
  }
}

async function doPhases(run: Run, training: Training, host: ScheduleHost): Promise<void> {
  const { signal } = run.stopping;
  if (training.phasesDone < training.phaseCount) {
    run.enterStage('waiting for workers');
    await host.untilWorkers(run.expectedWorkers, WORKERS_WAIT_MS, signal);
  }
  if (signal.aborted) throw run.stopped();
  run.enterStage('');
  const stop = () => host.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const outcome = await training.run();
    if (outcome === 'stopped') throw run.stopped();
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function planFor(
  run: Run,
  data: RunData,
  rowCounts: { users: Int32Array; items: Int32Array },
  host: ScheduleHost,
): RunPlan {
  const { manifest } = data.train;
  const threads = host.roster.alive().map(([, worker]) => worker.threads);
  return planRun({
    counts: manifest,
    rowCounts,
    shards: manifest.shards,
    config: run.config,
    workers: Math.max(1, run.expectedWorkers, threads.length),
    threads: Math.max(1, ...threads),
  });
}

async function fillStore(
  run: Run,
  plan: RunPlan,
  rowCounts: { users: Int32Array; items: Int32Array },
  snapshot: Snapshot | undefined,
): Promise<ParameterStore> {
  const store = new ParameterStore({ users: plan.users, items: plan.items, factors: plan.factors });
  if (snapshot === undefined) {
    await initializeItems(store, plan.blocks.items, rowCounts, run.config);
    return store;
  }
  restoreStore(store, snapshot);
  return store;
}

/** @throws {UsageError} a setting was changed; {StateError} `STOA_VERSION`: other data, or blocks cut elsewhere. */
function requireGoesOn(snapshot: Snapshot, run: Run, planFingerprint: string): void {
  const { dir } = run.folder;
  requireSameSettings(snapshot.config, run.config, run.folder);
  if (snapshot.plan === planFingerprint) return;
  throw new StateError(
    'STOA_VERSION',
    `the checkpoints of ${path.basename(dir)} belong to other data or to another version of Stoa; resume it with those it was started with, or train again`,
    { fields: { file: dir } },
  );
}

/** What the bits of a checkpoint depend on besides the configuration: the data, and where blocks begin. */
function fingerprintOf(plan: RunPlan, data: RunData): string {
  const bounds = (side: 'users' | 'items') => plan.blocks[side].map(({ rowStart }) => rowStart);
  return sha256(JSON.stringify([plan.version, data.train.fingerprint, bounds('users'), bounds('items')]));
}

/** One block a line: a plan has thousands. */
function renderPlan({ blocks, ...plan }: RunPlan): string {
  const lines = (side: 'users' | 'items') =>
    blocks[side].map((block) => `    ${JSON.stringify(block)}`).join(',\n');
  const head = JSON.stringify(plan, null, 2).slice(0, -2);
  return `${head},\n  "blocks": {\n  "users": [\n${lines('users')}\n  ],\n  "items": [\n${lines('items')}\n  ]\n  }\n}\n`;
}
