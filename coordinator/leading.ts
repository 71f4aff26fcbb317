// What a coordinator is while it leads: schedule, runs, datasets and registry over its state folder, for one term.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { explainDisk } from '../common/atomic-files.js';
import type { Clock } from '../common/clock.js';
import { messageOf, type StoaError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import { services } from '../common/grpc-services.js';
import { HolderPool } from './holders/holder-pool.js';
import { HolderRoster } from './holders/holder-roster.js';
import { holderService } from './holders/holder-service.js';
import type { Fence } from './leader/fence.js';
import type { Handlers, LedService } from './leader/role-switch.js';
import { Exchanges } from './parameters/exchanges.js';
import { parametersService } from './parameters/parameters-service.js';
import { stepHandlers } from './parameters/step-service.js';
import { Registry } from './registry/registry.js';
import type { ScheduleTiming } from './schedule/timing.js';
import type { ServingHost } from './serving/serving-host.js';
import { openStateFolder, type StateFolder } from './state-folder.js';
import { DatasetStore } from './training/dataset-store.js';
import { parameterHost } from './training/parameter-host.js';
import { Runs } from './training/runs.js';
import { ScheduleHost } from './training/schedule-host.js';
import { stepHost } from './training/step-host.js';
import type { TrainingMetrics } from './training/training-metrics.js';
import { trainingService } from './training/training-service.js';
import { workerService } from './training/worker-service.js';

const TRAINING = 'stoa.training.v1.TrainingService';
const WORKERS = 'stoa.training.v1.WorkerService';
const PARAMETERS = 'stoa.parameters.v1.ParametersService';
const HOLDERS = 'stoa.parameters.v1.HolderService';

export const LED_SERVICES: readonly LedService[] = [
  { name: TRAINING, definition: services.training.v1.TrainingService.service },
  { name: WORKERS, definition: services.training.v1.WorkerService.service },
  { name: PARAMETERS, definition: services.parameters.v1.ParametersService.service },
  { name: HOLDERS, definition: services.parameters.v1.HolderService.service },
];

export interface LeadingOptions {
  stateDir: string;
  /** The state folder is thrown away afterwards: nothing of it is made durable. Runs have folders of their own. */
  isEphemeral: boolean;
  /** Of an elected leader; absent: there are no stand-ins. */
  fence?: Fence;
  diskReserveBytes: number;
  serving: ServingHost;
  metrics: TrainingMetrics;
  clock: Clock;
  log: Logger;
  timing?: Partial<ScheduleTiming>;
  onFatal: (error: StoaError) => void;
  /** For connections to parameter processes. */
  tls: TlsOptions;
  /** As `HolderPoolOptions.expected`. */
  parameters?: number;
  parametersWaitMs?: number;
}

export interface Leading {
  readonly host: ScheduleHost;
  readonly runs: Runs;
  readonly handlers: Handlers;
  /** Stops runs after a checkpoint. Resolves when they have ended, or after the time. */
  stop(withinMs: number): Promise<void>;
  /** Lets go of everything at once, without a word to the disk: another coordinator may lead already. */
  abandon(): Promise<void>;
  /** Frees what `stop` left. */
  close(): Promise<void>;
}

/** Takes up what earlier terms left; runs begin with `runs.start`. Errors are those of `openStateFolder`. */
export async function startLeading(options: LeadingOptions): Promise<Leading> {
  const { stateDir, serving, metrics, clock, log, timing, fence, diskReserveBytes, onFatal } = options;
  const runsDir = path.join(path.resolve(stateDir), 'runs');
  await mkdir(runsDir, { recursive: true }).catch((error: unknown) => {
    throw explainDisk(error, stateDir);
  });
  const state = options.isEphemeral ? undefined : await openState(options);
  const registry = state?.registry ?? (await Registry.open(stateDir));
  const term = state?.fence.term ?? 1;
  const exchanges = new Exchanges();
  const host = new ScheduleHost({
    clock,
    log,
    timing,
    observer: {
      leased: (leases) => metrics.leased(leases),
      settled: (disposition) => metrics.settled(disposition),
      expired: () => metrics.expired(),
      sessionEnded: (sessionId) => exchanges.close(sessionId),
    },
    term,
  });
  metrics.counts(() => host.schedule.sessionCount);
  const { heartbeatMs, sessionTimeoutMs } = host.timing;
  const roster = new HolderRoster({ clock, log, timing: { heartbeatMs, sessionTimeoutMs } });
  const { tls, parameters: expected, parametersWaitMs: waitMs } = options;
  const runs = new Runs({
    host,
    holders: new HolderPool({ roster, expected, tls, term, waitMs }),
    clock,
    log,
    runsDir,
    durability: {
      journal: state?.journal,
      fence: state?.fence,
      hasStandIns: fence !== undefined,
      diskReserveBytes,
      onFatal,
    },
    onPhase: (side, seconds) => metrics.phaseEnded(side, seconds),
    onRead: (staleness) => metrics.read(staleness),
    onModel: async ({ id, folder }) => {
      // A run that was cut off right after this is finished again when it is resumed.
      state?.fence.check();
      const isThere = (await registry.list()).some(({ version }) => version === id);
      if (!isThere) await registry.add(id, folder.modelDir);
    },
  });
  const datasets = new DatasetStore(path.join(stateDir, 'datasets'));
  await registry.openPromoted().then(
    (model) => model && serving.swap(model),
    (error: unknown) => log.error({ err: error }, `the promoted model is not served: ${messageOf(error)}`),
  );
  try {
    await runs.restore();
  } catch (error) {
    host.close();
    roster.close();
    await state?.close();
    throw error;
  }
  let isOpen = true;
  const closeState = async () => {
    if (isOpen) await state?.close();
    isOpen = false;
  };
  const moved = metrics.rowsMoved.bind(metrics);
  const models = { registry, serve: serving.swap.bind(serving) };
  const handlers: Handlers = {
    [TRAINING]: { ...trainingService({ runs, host, datasets, models, runsDir, log }) },
    [WORKERS]: { ...workerService(runs, host, exchanges, log) },
    [PARAMETERS]: {
      ...parametersService(parameterHost(runs, host, { exchanges, moved, fence: state?.fence }), log),
      ...stepHandlers(stepHost(runs, host, { moved, fence: state?.fence }), log),
    },
    [HOLDERS]: { ...holderService(roster, term, log) },
  };
  return {
    host,
    runs,
    handlers,
    stop: async (withinMs) => {
      host.drain();
      await within(runs.close(), withinMs);
      roster.drain();
    },
    abandon: async () => {
      host.close();
      roster.close();
      await runs.abandon();
      exchanges.closeAll();
      await closeState();
    },
    close: async () => {
      host.close();
      roster.close();
      exchanges.closeAll();
      await closeState();
    },
  };
}

function openState(options: LeadingOptions): Promise<StateFolder> {
  const { stateDir: dir, fence, diskReserveBytes, clock, log, onFatal } = options;
  return openStateFolder({ dir, fence, diskReserveBytes, clock, log, onFatal });
}

/** Waits for a promise, but not longer. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, patience]);
  clearTimeout(timer);
}
