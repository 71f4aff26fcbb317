// A coordinator: training and its parameters, the registry of models, and serving, behind one gRPC server.

import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { HostPort } from '../common/addresses.js';
import { explainDisk } from '../common/atomic-files.js';
import { type Clock, systemClock } from '../common/clock.js';
import { messageOf } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import { services } from '../common/grpc-services.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import { type GrpcServer, type GrpcServiceEntry, startGrpcServer } from './grpc-server.js';
import type { MetricsServer } from './metrics-server.js';
import { Exchanges } from './parameters/exchanges.js';
import { parametersService } from './parameters/parameters-service.js';
import { stepHandlers } from './parameters/step-service.js';
import type { RunConfig } from './plan/run-config.js';
import { Registry } from './registry/registry.js';
import type { ScheduleTiming } from './schedule/timing.js';
import { RECOMMEND_SERVICE, recommendService } from './serving/recommend-service.js';
import type { RestServer } from './serving/rest-server.js';
import { ServingHost } from './serving/serving-host.js';
import { DatasetStore } from './training/dataset-store.js';
import { parameterHost } from './training/parameter-host.js';
import { watchRun } from './training/run-status.js';
import { Runs } from './training/runs.js';
import { ScheduleHost } from './training/schedule-host.js';
import { stepHost } from './training/step-host.js';
import type { TrainResult } from './training/train-result.js';
import { TrainingMetrics } from './training/training-metrics.js';
import { trainingService } from './training/training-service.js';
import { workerService } from './training/worker-service.js';

/** The Gram of 1024 factors, 4.2 MB, travels in one message. */
const MESSAGE_BYTES_MAX = 8 << 20;
/** `shutdown` is over after this long. */
const SHUTDOWN_MS = 10_000;
/** Of it, how long calls in progress may take once runs have stopped. */
const CALLS_MS = 2000;

export interface CoordinatorOptions {
  /** gRPC address; port 0 lets the system choose. */
  listen: HostPort;
  /** REST address of serving; absent: none. */
  http?: HostPort;
  /** Address of Prometheus metrics; absent: none. */
  metrics?: HostPort;
  /** Datasets, runs and models; made when it is not there. */
  stateDir: string;
  tls: TlsOptions;
  log: Logger;
  /** @default the system's */
  clock?: Clock;
  timing?: Partial<ScheduleTiming>;
}

export interface LocalRun {
  /** Folder of the dataset to train on. */
  dataset: string;
  /** Held-out interactions to evaluate on; absent: no evaluation. */
  test?: string;
  /** Histories of the test users where they were not trained (strong generalisation). */
  foldIn?: string;
  /** Ignored by a run that is resumed: it has its own. */
  config: RunConfig;
  /** Folder of the run: not there yet, or the run to resume. */
  runDir: string;
  resume?: boolean;
  /** Workers to wait a little for before the first phase. @default 1 */
  expectedWorkers?: number;
}

export interface Coordinator {
  /** The address that was bound. */
  readonly address: HostPort;
  /**
   * Puts a run in line whose data and folder are on this machine. Resolves to its id.
   *
   * @throws {StateError} `STOA_EXISTS`; `STOA_RUN_STATE`: the run to resume has ended. Errors of the data.
   */
  submitLocal(run: LocalRun): Promise<string>;
  /** States of a run, the last one when it has ended. @throws {NotFoundError} */
  watch(runId: string): AsyncIterable<RunStatus__Output>;
  /** Resolves when the run has a model; rejects with why it has none, `STOA_INTERRUPTED` when it was stopped. */
  result(runId: string): Promise<TrainResult>;
  /** Stops a run after a checkpoint of its last complete phase. Resolves when it has ended. */
  stopRun(runId: string): Promise<void>;
  /** Stops runs after a checkpoint, ends calls, frees everything; takes at most 10 s. */
  shutdown(): Promise<void>;
}

/**
 * @throws errors of `startGrpcServer`, `startRestServer` and `startMetricsServer`, `STOA_DISK_FULL`, `STOA_ACCESS`;
 *   nothing is left running.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const parts = await composeParts(options);
  try {
    await startServers(parts, options);
    await parts.runs.restore();
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
  const { runs, host } = parts;
  return {
    address: parts.grpc!.address,
    submitLocal: async ({ resume, ...request }) => {
      const run = resume
        ? await runs.resume(request.runDir, request.dataset, request.expectedWorkers)
        : await runs.submit(request);
      return run.id;
    },
    watch: (runId) => watchRun(runs.get(runId), host),
    result: async (runId) => runs.get(runId).outcome,
    stopRun: async (runId) => runs.stop(runs.get(runId)),
    shutdown: () => closeParts(parts),
  };
}

interface Parts {
  host: ScheduleHost;
  exchanges: Exchanges;
  observer: TrainingMetrics;
  runs: Runs;
  runsDir: string;
  datasets: DatasetStore;
  registry: Registry;
  serving: ServingHost;
  grpc?: GrpcServer;
  rest?: RestServer;
  metrics?: MetricsServer;
}

async function composeParts({
  stateDir,
  clock = systemClock,
  log,
  timing,
}: CoordinatorOptions): Promise<Parts> {
  const runsDir = path.join(path.resolve(stateDir), 'runs');
  await mkdir(runsDir, { recursive: true }).catch((error: unknown) => {
    throw explainDisk(error, stateDir);
  });
  const registry = await Registry.open(stateDir);
  const serving = new ServingHost();
  const observer = new TrainingMetrics(serving.metrics.registry, () => host.schedule.sessionCount);
  const exchanges = new Exchanges();
  const host = new ScheduleHost({
    clock,
    log,
    timing,
    observer: {
      leased: (leases) => observer.leased(leases),
      settled: (disposition) => observer.settled(disposition),
      expired: () => observer.expired(),
      sessionEnded: (sessionId) => exchanges.close(sessionId),
    },
  });
  const runs = new Runs({
    host,
    clock,
    log,
    runsDir,
    onPhase: (side, seconds) => observer.phaseEnded(side, seconds),
    onRead: (staleness) => observer.read(staleness),
    onModel: async ({ id, folder }) => {
      // A run that was cut off right after this is finished again when it is resumed.
      const isThere = (await registry.list()).some(({ version }) => version === id);
      if (!isThere) await registry.add(id, folder.modelDir);
    },
  });
  const datasets = new DatasetStore(path.join(stateDir, 'datasets'));
  await registry.openPromoted().then(
    (model) => model && serving.swap(model),
    (error: unknown) => log.error({ err: error }, `the promoted model is not served: ${messageOf(error)}`),
  );
  return { host, exchanges, observer, runs, runsDir, datasets, registry, serving };
}

async function startServers(
  parts: Parts,
  { listen, http, metrics, tls, log }: CoordinatorOptions,
): Promise<void> {
  const { serving } = parts;
  const entries = [...trainingEntries(parts, log), recommendService(serving, log)];
  parts.grpc = await startGrpcServer({ listen, tls, services: entries, maxMessageBytes: MESSAGE_BYTES_MAX });
  if (http !== undefined) {
    // Fastify and its page take 100 ms to load; who does not ask for REST does not wait for them.
    const { startRestServer } = await import('./serving/rest-server.js');
    parts.rest = await startRestServer({ host: serving, listen: http, tls, log });
  }
  if (metrics !== undefined) {
    const { startMetricsServer } = await import('./metrics-server.js');
    parts.metrics = await startMetricsServer(metrics, serving.metrics.registry, tls);
  }
  for (const { name } of entries) if (name !== RECOMMEND_SERVICE) parts.grpc.setServing(name, true);
  parts.grpc.setServing('', true);
  serving.onModel(() => parts.grpc?.setServing(RECOMMEND_SERVICE, true));
}

function trainingEntries(parts: Parts, log: Logger): GrpcServiceEntry[] {
  const { runs, host, exchanges, observer, datasets, registry, serving, runsDir } = parts;
  const moved = observer.rowsMoved.bind(observer);
  const models = { registry, serve: serving.swap.bind(serving) };
  return [
    {
      name: 'stoa.training.v1.TrainingService',
      definition: services.training.v1.TrainingService.service,
      implementation: { ...trainingService({ runs, host, datasets, models, runsDir, log }) },
    },
    {
      name: 'stoa.training.v1.WorkerService',
      definition: services.training.v1.WorkerService.service,
      implementation: { ...workerService(runs, host, exchanges, log) },
    },
    {
      name: 'stoa.parameters.v1.ParametersService',
      definition: services.parameters.v1.ParametersService.service,
      implementation: {
        ...parametersService(parameterHost(runs, host, { exchanges, moved }), log),
        ...stepHandlers(stepHost(runs, host, moved), log),
      },
    },
  ];
}

async function closeParts(parts: Parts): Promise<void> {
  parts.host.drain();
  await within(parts.runs.close(), SHUTDOWN_MS - CALLS_MS - 1000);
  parts.host.close();
  await Promise.all([parts.grpc?.close(CALLS_MS), parts.rest?.close(CALLS_MS), parts.metrics?.close()]);
  parts.exchanges.closeAll();
  await parts.serving.close();
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
