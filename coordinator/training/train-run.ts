// One run from its data to its result: plan, tables, phases, finish.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { sha256 } from '../../common/checksums.js';
import type { Clock } from '../../common/clock.js';
import { messageOf, StateError, StoaError, SystemError } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import { HolderLost } from '../holders/holder-lost.js';
import type { HolderPool } from '../holders/holder-pool.js';
import type { Holder } from '../holders/holder-sessions.js';
import { LOSSES_MAX, LossLimit } from '../holders/loss-limit.js';
import { DiskGuard } from '../journal/disk-guard.js';
import type { Durability } from '../journal/durability.js';
import type { PhaseEnd } from '../journal/entries.js';
import { type Fence, soleFence } from '../leader/fence.js';
import { planRun, type RunPlan } from '../plan/plan-run.js';
import { phasesPerEpoch } from '../plan/run-config.js';
import { announceRun } from './announce-run.js';
import type { Snapshot, SnapshotFacts } from './checkpoint.js';
import { nextCheckpointTerm } from './checkpoint-folder.js';
import { Checkpoints } from './checkpoints.js';
import { MetricsLog } from './metrics-log.js';
import { openPlacedStore, openStore } from './open-phase-tables.js';
import { clockOfEpoch, openPlacedStepTraining, openStepTraining, stepLayout } from './open-step-training.js';
import { PhaseTraining } from './phase-training.js';
import type { Preparation } from './preparation.js';
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
  holders: HolderPool;
  onPhase: (side: string, seconds: number) => void;
  /** Told how many clocks behind each read of a run that pushes and pulls was. */
  onRead: (staleness: number) => void;
  /** Of the run, until its first blocks are lent. */
  preparation: Preparation;
  /** Told when blocks of the run can be asked for, before the first phase opens. */
  onReady: (ready: { run: Run; data: RunData; training: ActiveTraining }) => void;
}

/** What a run is, whatever happens to its tables. */
interface Prepared {
  data: RunData;
  rowCounts: { users: Int32Array; items: Int32Array };
  plan: RunPlan;
  planFingerprint: string;
}

/**
 * Trains to the end. When parameter processes with rows of the run are lost, it goes back to its last checkpoint, waits
 * for others, and on.
 *
 * @throws {StateError} `STOA_INTERRUPTED`: it was stopped, a checkpoint is kept; `STOA_NO_PARAMETERS`; and all that can
 *   go wrong.
 */
export async function trainRun(run: Run, context: TrainingContext): Promise<TrainResult> {
  const prepared = await prepare(run, context);
  const limit = new LossLimit();
  let isAgain = false;
  for (;;) {
    try {
      return await trainOn(run, prepared, context, isAgain);
    } catch (error) {
      if (!(error instanceof HolderLost) || run.stopping.signal.aborted) throw error;
      isAgain = true;
      if (!limit.allows(run.phasesDone)) throw givenUp(run, error);
      context.log.warn(`${error.message}; going back to the last checkpoint`);
    }
  }
}

async function prepare(run: Run, context: TrainingContext): Promise<Prepared> {
  run.enterStage('planning');
  const { dataset, test, fold_in: foldIn } = run.record;
  const data = await openRunData({ dataset, test, foldIn }, run.config);
  announceRun(run, data, { ...context, workersWaitMs: WORKERS_WAIT_MS });
  const rowCounts = {
    users: await data.train.rowCounts('users'),
    items: await data.train.rowCounts('items'),
  };
  const plan = planFor(run, data, rowCounts, context.host);
  await run.folder.writeText('plan.json', renderPlan(plan));
  return { data, rowCounts, plan, planFingerprint: fingerprintOf(plan, data) };
}

/** From the last checkpoint to the end, or to the loss of rows. @throws {HolderLost} rows of the run are gone. */
async function trainOn(
  run: Run,
  prepared: Prepared,
  context: TrainingContext,
  isAgain: boolean,
): Promise<TrainResult> {
  const { holders, log } = context;
  const { signal } = run.stopping;
  const checkpoints = await checkpointsOf(run, context);
  const chosen = await holders.gather(isAgain, signal, (sentence) => {
    log.info(sentence);
    run.enterStage(sentence);
  });
  if (signal.aborted) throw run.stopped();
  const goesOn = run.isResumed || isAgain;
  const scene = { run, prepared, context, checkpoints, goesOn };
  try {
    return chosen.length === 0 ? await trainHere(scene) : await trainPlaced(scene, chosen);
  } finally {
    // What is being written must not meet what comes after it.
    await checkpoints.settle().catch(() => {});
    await run.training?.metrics.flush().catch(() => {});
  }
}

interface Scene {
  run: Run;
  prepared: Prepared;
  context: TrainingContext;
  checkpoints: Checkpoints;
  /** From the last checkpoint, where there is one. */
  goesOn: boolean;
}

async function trainHere(scene: Scene): Promise<TrainResult> {
  const { run, prepared } = scene;
  const snapshot = await lastOf(scene, (known) => scene.checkpoints.latest(known));
  const options = await optionsOf(scene, snapshot);
  if (run.config.model !== 'ials') {
    return trainToEnd(scene, await openStepTraining({ ...options, ...stepsOf(prepared) }, snapshot));
  }
  const store = await openStore({ ...prepared, config: run.config }, snapshot);
  return trainToEnd(scene, new PhaseTraining({ ...options, store }));
}

function stepsOf({ data, rowCounts }: Prepared) {
  return { data: data.train, rowCounts };
}

/** With the rows in parameter processes. */
async function trainPlaced(scene: Scene, chosen: Holder[]): Promise<TrainResult> {
  const { run, prepared, context } = scene;
  const { plan } = prepared;
  const { roster } = context.holders;
  const snapshot = await lastOf(scene, (known) => scene.checkpoints.find(known));
  run.enterStage('placing rows');
  const isStepped = run.config.model !== 'ials';
  const clocks = isStepped
    ? clocksAt(clockOfEpoch(run.config, snapshot?.nextPhase ?? 0))
    : (snapshot?.clocks ?? clocksAt(0));
  const sideOf = (side: Side) => ({
    rows: plan[side],
    clock: clocks[side],
    blockStarts: plan.blocks[side].map(({ rowStart }) => rowStart),
  });
  let training: ActiveTraining | undefined;
  let lost: HolderLost | undefined;
  const retreat = async (loss: HolderLost) => {
    lost ??= loss;
    await training?.retreat(loss);
  };
  const placed = await context.holders.open({
    runId: run.id,
    factors: plan.factors,
    sides: { users: sideOf('users'), items: sideOf('items') },
    ...(isStepped ? { steps: stepLayout(run.config) } : {}),
    holders: chosen,
    onLost: retreat,
  });
  roster.listen(async (holder, loss) => {
    if (!placed.results.has(holder)) return;
    if (loss.isLeaving) await retreat(loss);
    else placed.lose(loss);
  });
  try {
    const gone = chosen.find((holder) => !roster.isAlive(holder));
    if (gone !== undefined) throw new HolderLost(`parameter process ${gone.name} is gone`);
    const options = await optionsOf(scene, snapshot);
    if (isStepped) {
      training = await openPlacedStepTraining({ ...options, ...stepsOf(prepared) }, placed, snapshot);
    } else {
      const store = await openPlacedStore({ ...prepared, config: run.config }, placed, snapshot);
      training = new PhaseTraining({ ...options, store });
    }
    if (lost !== undefined) throw lost;
    return await trainToEnd(scene, training);
  } catch (error) {
    // What workers keep, of where rows are and of phases that will be done again, is not true of the next tables.
    context.host.endSessions();
    throw error;
  } finally {
    roster.listen(undefined);
    await scene.checkpoints.settle().catch(() => {});
    await placed.close();
  }
}

function clocksAt(clock: number): Record<Side, number> {
  return { users: clock, items: clock };
}

/** The checkpoint that a run goes on from. @throws as `requireGoesOn`. */
async function lastOf<Rows>(
  { run, prepared, context, goesOn }: Scene,
  find: (acknowledged: readonly PhaseEnd[] | undefined) => Promise<Snapshot<Rows> | undefined>,
): Promise<Snapshot<Rows> | undefined> {
  const acknowledged = context.durability.journal?.state.runs.get(run.id)?.phases;
  const snapshot = goesOn ? await find(acknowledged) : undefined;
  if (snapshot !== undefined) requireGoesOn(snapshot, run, prepared.planFingerprint);
  return snapshot;
}

async function optionsOf(
  { run, prepared, context, checkpoints }: Scene,
  snapshot: Pick<SnapshotFacts, 'nextPhase'> | undefined,
) {
  const { host, clock, onPhase, onRead } = context;
  const phaseStart = snapshot?.nextPhase ?? 0;
  const metrics = await MetricsLog.open(run.folder.metricsFile, phaseStart, phasesPerEpoch(run.config));
  run.catchUp(metrics.records.at(-1)?.endMs ?? 0);
  return {
    runId: run.id,
    config: run.config,
    plan: prepared.plan,
    planFingerprint: prepared.planFingerprint,
    checkpoints,
    metrics,
    host,
    clock,
    phaseStart,
    activeMs: () => run.activeMs,
    isPaused: run.record.is_paused ?? false,
    notify: () => run.notify(),
    onPhase,
    onRead,
  };
}

async function trainToEnd({ run, prepared, context }: Scene, training: ActiveTraining): Promise<TrainResult> {
  const { host, clock, durability, holders } = context;
  const { data, rowCounts, plan } = prepared;
  run.training = training;
  context.onReady({ run, data, training });
  await doPhases(run, training, context);
  const finish = async () => {
    durability.fence?.check();
    const peaks = holders.roster.peaks();
    // Evaluation and reports are not loaded by a coordinator that starts again: a run waits for that.
    const { finishRun } = await import('./finish-run.js');
    return finishRun({ run, data, training, rowCounts, roster: host.roster, peaks, clock });
  };
  return whenThereIsRoom(run, context, 4 * plan.factors * (plan.users + plan.items), finish);
}

function givenUp(run: Run, loss: HolderLost): SystemError {
  return new SystemError(
    'STOA_RUN_FAILED',
    `run ${run.id} lost parameter processes ${LOSSES_MAX + 1} times without a phase between; the last time: ${loss.message}`,
    { cause: loss },
  );
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

async function doPhases(run: Run, training: Training, { host, preparation }: TrainingContext): Promise<void> {
  const { signal } = run.stopping;
  if (training.phasesDone < training.phaseCount) {
    run.enterStage('waiting for workers');
    await host.untilWorkers(run.expectedWorkers, WORKERS_WAIT_MS, signal);
  }
  preparation.clear();
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

/** @throws {UsageError} a setting was changed; {StateError} `STOA_VERSION`: other data, or blocks cut elsewhere. */
function requireGoesOn(snapshot: SnapshotFacts, run: Run, planFingerprint: string): void {
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
