import type { RunStatus__Output } from '../../proto/generated/stoa/training/v1/RunStatus.js';
import type { WorkerStatus__Output } from '../../proto/generated/stoa/training/v1/WorkerStatus.js';
import type { RunProgress } from '../schedule/run-progress.js';
import type { Run, RunState } from './run.js';
import type { ScheduleHost } from './schedule-host.js';

const STATES = {
  queued: 'RUN_STATE_QUEUED',
  running: 'RUN_STATE_RUNNING',
  succeeded: 'RUN_STATE_SUCCEEDED',
  failed: 'RUN_STATE_FAILED',
  stopped: 'RUN_STATE_STOPPED',
} as const satisfies Record<RunState, string>;

/** Least time between two statuses of one watcher. */
const WATCH_INTERVAL_MS = 200;

/** A run as it stands. */
export function runStatus(run: Run, host: ScheduleHost): RunStatus__Output {
  const { record, config, training, finalResult } = run;
  const current = host.schedule.run?.task.runId === run.id ? host.schedule.run : undefined;
  const progress = current?.progress;
  const elapsedSeconds = progress === undefined ? 0 : (host.nowMs() - progress.openedMs) / 1000;
  const createMs = Date.parse(record.create_time);
  return {
    runId: run.id,
    state: STATES[run.state],
    epochs: config['train.epochs'],
    epochsDone: run.epochsDone,
    phase: phaseText(run, current),
    blocksTotal: progress?.taskCount ?? 0,
    blocksDone: progress?.doneCount ?? 0,
    rowsPerSecond: progress === undefined || elapsedSeconds <= 0 ? 0 : progress.rowsDone / elapsedSeconds,
    secondsLeft: current === undefined ? 0 : secondsLeft(run, current),
    workers: workerStatuses(run, current, host),
    loss: training?.metrics.losses() ?? finalResult?.loss ?? [],
    error: record.error ?? '',
    createTime: { seconds: Math.floor(createMs / 1000), nanos: (createMs % 1000) * 1e6 },
    resultJson: finalResult === undefined ? '' : JSON.stringify(finalResult),
    leasesLate: current === undefined ? 0 : host.traffic.leasesLate,
    leasesRepeated: current === undefined ? 0 : host.traffic.leasesRepeated,
    rowBytes: current === undefined ? 0 : host.traffic.rowBytes,
    epochSeconds: training?.metrics.epochSeconds() ?? finalResult?.epoch_seconds ?? [],
  };
}

/** Statuses of a run, whenever it changes but not too often, the last one when it has ended. */
export async function* watchRun(
  run: Run,
  host: ScheduleHost,
  signal?: AbortSignal,
): AsyncGenerator<RunStatus__Output, void, undefined> {
  const aborted = new Promise<void>((resolve) => {
    signal?.addEventListener('abort', () => resolve(), { once: true });
  });
  while (signal?.aborted !== true) {
    const { change } = run;
    const status = runStatus(run, host);
    yield status;
    if (run.hasEnded) return;
    await Promise.race([change, aborted, ...(status.phase === '' ? [] : [sleep(5 * WATCH_INTERVAL_MS)])]);
    if (!run.hasEnded) await Promise.race([sleep(WATCH_INTERVAL_MS), aborted]);
  }
}

function phaseText(run: Run, current: RunProgress | undefined): string {
  if (run.stage !== '' || run.hasEnded) return run.stage;
  if (current === undefined) return '';
  if (current.isPaused) return 'paused';
  return current.suitableCount === 0 ? 'waiting for workers' : current.progress.phase.side;
}

/** By the work done so far in all phases of this life of the run. */
function secondsLeft(run: Run, current: RunProgress): number {
  const { training } = run;
  if (training === undefined) return 0;
  const { progress } = current;
  const workOf = { users: 0, items: 0 };
  const times = progress.taskCount / progress.blocks.length;
  for (const side of ['users', 'items'] as const) {
    for (const block of training.plan.blocks[side]) workOf[side] += times * block.work;
  }
  const records = training.metrics.records;
  const work = records.reduce((sum, { side }) => sum + workOf[side], 0) + progress.workDone;
  const ms = records.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0) + training.phaseMs;
  if (work <= 0 || ms <= 0) return 0;
  const total = run.config['train.epochs'] * (workOf.users + workOf.items);
  return ((total - work) / work) * (ms / 1000);
}

function workerStatuses(
  run: Run,
  current: RunProgress | undefined,
  host: ScheduleHost,
): WorkerStatus__Output[] {
  if (current === undefined && run.state !== 'running') return [];
  const done = current?.progress.doneBySession ?? new Map<string, number>();
  const sessions = new Set([...host.roster.alive().map(([id]) => id), ...done.keys()]);
  return [...sessions].flatMap((sessionId) => {
    const entry = host.roster.get(sessionId);
    if (entry === undefined) return [];
    return {
      name: entry.name,
      blocksDone: done.get(sessionId) ?? 0,
      blocksLeased: current?.leases.countOfSession(sessionId) ?? 0,
      isAlive: entry.isAlive,
      peakRssBytes: entry.peakRssBytes,
      threads: entry.threads,
      device: entry.device,
      deviceDetail: entry.facts.name,
      flopsPerSecond: current?.flopsPerSecond(sessionId) ?? 0,
    };
  });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
