// A coordinator: training and its parameters, the registry of models, and serving, behind one gRPC server.

import type { Logger } from 'pino';
import { formatAddress, type HostPort } from '../common/addresses.js';
import { type Clock, systemClock } from '../common/clock.js';
import { messageOf, StateError, type StoaError } from '../common/errors.js';
import type { TlsOptions } from '../common/grpc-security.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import { type GrpcServer, startGrpcServer } from './grpc-server.js';
import { DISK_RESERVE_BYTES } from './journal/disk-guard.js';
import { listTerms } from './journal/read-terms.js';
import { Election } from './leader/election.js';
import { EtcdGateway } from './leader/etcd-gateway.js';
import type { LeaderTerm } from './leader/leader-term.js';
import { RoleSwitch } from './leader/role-switch.js';
import { LED_SERVICES, type Leading, startLeading } from './leading.js';
import type { MetricsServer } from './metrics-server.js';
import type { RunConfig } from './plan/run-config.js';
import type { ScheduleTiming } from './schedule/timing.js';
import { RECOMMEND_SERVICE, recommendService } from './serving/recommend-service.js';
import type { RestServer } from './serving/rest-server.js';
import { ServingHost } from './serving/serving-host.js';
import { journalDirOf } from './state-folder.js';
import { watchRun } from './training/run-status.js';
import type { TrainResult } from './training/train-result.js';
import { TrainingMetrics } from './training/training-metrics.js';

/** The Gram of 1024 factors, 4.2 MB, travels in one message. */
const MESSAGE_BYTES_MAX = 8 << 20;
/** `shutdown` is over after this long. */
const SHUTDOWN_MS = 10_000;
/** Of it, how long calls in progress may take once runs have stopped. */
const CALLS_MS = 2000;
/** Of it, how long runs may take to stop. */
const STOP_MS = SHUTDOWN_MS - CALLS_MS - 1000;

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
  /** Stands by for other coordinators, and they for it, over one state folder. Absent: this one leads at once. */
  standIns?: StandIns;
  /**
   * The state folder is thrown away afterwards, and nothing of it is made durable: for a run that has a folder of its
   * own. @default false
   */
  isEphemeral?: boolean;
  /**
   * Parameter processes that runs keep their rows in: they wait for so many. 0: rows stay here, whoever joins.
   * @default those that are there when a run begins; where none are, rows stay here
   */
  parameters?: number;
  /** How long runs wait for them. @default a minute, ten once one was lost */
  parametersWaitMs?: number;
  /** Bytes that are kept free on the disk: writes are refused, and runs wait, before it is full. @default 64 MiB */
  diskReserveBytes?: number;
  /**
   * Called when the disk did not confirm a write: the process must end, since nothing it says could be kept.
   * @default nothing: the run fails
   */
  onFatal?: (error: StoaError) => void;
}

export interface StandIns {
  /** "http://HOST:PORT[,…]": members of the etcd that elects the leader. */
  etcd: string;
  /** Name of the cluster: its coordinators share an etcd, this name and a state folder. */
  cluster: string;
  /** Where workers and clients find this coordinator. @default the address it listens on */
  advertise?: HostPort;
  /** A leader that etcd does not hear of for so long has lost its place. */
  ttlSeconds: number;
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
 * @throws {UsageError} an address of etcd that is none; errors of `startGrpcServer`, `startRestServer`,
 *   `startMetricsServer` and `openStateFolder`; nothing is left running.
 */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  const { standIns } = options;
  const etcd = standIns && new EtcdGateway(standIns.etcd);
  const parts = composeParts(options);
  try {
    await startServers(parts, options);
    if (etcd === undefined) await lead(parts, options);
    else parts.standing = standBy(parts, options, { ...standIns!, etcd });
  } catch (error) {
    await closeParts(parts);
    throw error;
  }
  const leading = (): Leading => {
    if (parts.leading !== undefined) return parts.leading;
    throw new StateError('STOA_DRAINING', 'this coordinator does not lead at the moment');
  };
  return {
    address: parts.grpc!.address,
    submitLocal: async ({ resume, ...request }) => {
      const { runs } = leading();
      const run = resume ? await runs.resume(request) : await runs.submit(request);
      return run.id;
    },
    watch: (runId) => watchRun(leading().runs.get(runId), leading().host),
    result: async (runId) => leading().runs.get(runId).outcome,
    stopRun: async (runId) => leading().runs.stop(leading().runs.get(runId)),
    shutdown: () => closeParts(parts),
  };
}

/** What lasts as long as the process, and what it leads. */
interface Parts {
  role: RoleSwitch;
  serving: ServingHost;
  metrics: TrainingMetrics;
  leading?: Leading;
  /** Settles when this coordinator stands for election no more. */
  standing?: Promise<void>;
  readonly closing: AbortController;
  grpc?: GrpcServer;
  rest?: RestServer;
  metricsServer?: MetricsServer;
}

function composeParts({ log }: CoordinatorOptions): Parts {
  const serving = new ServingHost();
  const metrics = new TrainingMetrics(serving.metrics.registry);
  return { role: new RoleSwitch(log), serving, metrics, closing: new AbortController() };
}

async function startServers(
  parts: Parts,
  { listen, http, metrics, tls, log }: CoordinatorOptions,
): Promise<void> {
  const { serving, role } = parts;
  const entries = [...role.entries(LED_SERVICES), recommendService(serving, log)];
  parts.grpc = await startGrpcServer({ listen, tls, services: entries, maxMessageBytes: MESSAGE_BYTES_MAX });
  if (http !== undefined) {
    // Fastify and its page take 100 ms to load; who does not ask for REST does not wait for them.
    const { startRestServer } = await import('./serving/rest-server.js');
    parts.rest = await startRestServer({ host: serving, listen: http, tls, log });
  }
  if (metrics !== undefined) {
    const { startMetricsServer } = await import('./metrics-server.js');
    parts.metricsServer = await startMetricsServer(metrics, serving.metrics.registry, tls);
  }
  serving.onModel(() => parts.grpc?.setServing(RECOMMEND_SERVICE, true));
}

/** Leads whenever it is elected, and follows otherwise, until the coordinator closes. */
async function standBy(
  parts: Parts,
  options: CoordinatorOptions,
  standIns: Omit<StandIns, 'etcd'> & { etcd: EtcdGateway },
): Promise<void> {
  const { log } = options;
  const { signal } = parts.closing;
  const { cluster, ttlSeconds } = standIns;
  const address = formatAddress(standIns.advertise ?? parts.grpc!.address);
  const election = new Election({ etcd: standIns.etcd, cluster, address, ttlSeconds, log });
  const termsBegun = async () => (await listTerms(journalDirOf(options.stateDir))).at(-1) ?? 0;
  const onLeader = (leader: string) => {
    log.info(leader === '' ? 'no coordinator leads' : `${leader} leads, standing by`);
    parts.role.follow(leader);
  };
  while (!signal.aborted) {
    const term = await election.campaign(termsBegun, onLeader, signal).catch(() => undefined);
    if (term === undefined) return;
    log.info({ term: term.term }, 'elected');
    try {
      await lead(parts, options, term);
      log.info({ term: term.term }, 'leading');
      const reason = await Promise.race([term.lost, aborted(signal)]);
      if (signal.aborted) {
        // Its runs stop after a checkpoint before anybody else may have them.
        await parts.leading?.stop(STOP_MS);
        await parts.leading?.close();
      } else log.warn({ term: term.term }, `leading no more: ${reason}`);
    } catch (error) {
      log.error({ err: error }, `cannot lead: ${messageOf(error)}`);
    }
    await stepDown(parts);
    await term.resign();
  }
}

async function stepDown(parts: Parts): Promise<void> {
  const { leading } = parts;
  parts.role.follow('');
  for (const name of ['', ...LED_SERVICES.map((service) => service.name)])
    parts.grpc!.setServing(name, false);
  parts.leading = undefined;
  await leading?.abandon();
}

function aborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('this coordinator is shutting down'), { once: true });
  });
}

/** Takes up the state folder, and answers calls from then on. @param term of an elected leader. */
async function lead(parts: Parts, options: CoordinatorOptions, term?: LeaderTerm): Promise<void> {
  const { serving, metrics, role, grpc } = parts;
  const {
    stateDir,
    isEphemeral = false,
    diskReserveBytes = DISK_RESERVE_BYTES,
    clock = systemClock,
  } = options;
  const { log, timing, onFatal = () => {}, tls, parameters, parametersWaitMs } = options;
  const places = { tls, parameters, parametersWaitMs };
  const shared = { stateDir, isEphemeral, diskReserveBytes, clock, log, timing, onFatal, ...places };
  const leading = await startLeading({ ...shared, serving, metrics, fence: term });
  parts.leading = leading;
  role.lead(leading.handlers, term);
  for (const { name } of LED_SERVICES) grpc!.setServing(name, true);
  grpc!.setServing('', true);
  leading.runs.start();
}

async function closeParts(parts: Parts): Promise<void> {
  parts.closing.abort();
  if (parts.standing === undefined) await parts.leading?.stop(STOP_MS);
  else await parts.standing;
  await Promise.all([parts.grpc?.close(CALLS_MS), parts.rest?.close(CALLS_MS), parts.metricsServer?.close()]);
  await parts.leading?.close();
  await parts.serving.close();
}
