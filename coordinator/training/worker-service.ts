// Handlers of stoa.training.v1.WorkerService.

import path from 'node:path';
import { formatAddress } from '../../common/addresses.js';
import { FencedError, NotFoundError, StateError, UsageError } from '../../common/errors.js';
import { encodeGram } from '../../common/row-chunks.js';
import { sideName } from '../../common/sides.js';
import { STOA_VERSION } from '../../common/version.js';
import { otherSide, type Side } from '../../models/csr.js';
import { type DeviceFacts, factsOf } from '../../models/device-facts.js';
import type { BlockLease } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import type { FetchDatasetFileRequest__Output } from '../../proto/generated/stoa/training/v1/FetchDatasetFileRequest.js';
import type { FetchDatasetFileResponse } from '../../proto/generated/stoa/training/v1/FetchDatasetFileResponse.js';
import type { FixedGram, FixedGram__Output } from '../../proto/generated/stoa/training/v1/FixedGram.js';
import type { GetRunSpecResponse } from '../../proto/generated/stoa/training/v1/GetRunSpecResponse.js';
import type { LeaseBlocksRequest__Output } from '../../proto/generated/stoa/training/v1/LeaseBlocksRequest.js';
import type { LeaseBlocksResponse } from '../../proto/generated/stoa/training/v1/LeaseBlocksResponse.js';
import type { PrepareRun } from '../../proto/generated/stoa/training/v1/PrepareRun.js';
import type { RegisterWorkerRequest__Output } from '../../proto/generated/stoa/training/v1/RegisterWorkerRequest.js';
import type { RegisterWorkerResponse } from '../../proto/generated/stoa/training/v1/RegisterWorkerResponse.js';
import type { RowHolder } from '../../proto/generated/stoa/training/v1/RowHolder.js';
import type { StepDevice__Output } from '../../proto/generated/stoa/training/v1/StepDevice.js';
import type { StepSpec } from '../../proto/generated/stoa/training/v1/StepSpec.js';
import type { WorkerServiceHandlers } from '../../proto/generated/stoa/training/v1/WorkerService.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { serverStream } from '../grpc-streams.js';
import { PlacedStepStore } from '../holders/placed-step-store.js';
import { PlacedStore } from '../holders/placed-store.js';
import type { Exchanges } from '../parameters/exchanges.js';
import { gramAt } from '../parameters/table-reads.js';
import { columnsOf, objectiveOf, solverOf } from '../plan/run-config.js';
import type { Lease } from '../schedule/events.js';
import { stepsOfClock } from '../schedule/sync/clock-steps.js';
import { parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';
import { requireFileName } from './dataset-store.js';
import { activeRun } from './parameter-host.js';
import { PhaseTraining } from './phase-training.js';
import type { UpcomingRun } from './preparation.js';
import type { Runs } from './runs.js';
import type { ScheduleHost } from './schedule-host.js';
import { sendFile } from './send-file.js';
import { StepTraining } from './step-training.js';
import type { ActiveTraining } from './train-run.js';

const THREADS_MAX = 1024;
const COUNT_MAX = 1024;
/** K of the largest Gram that comes with leases: 66 KB. */
const GRAM_FACTORS_MAX = 128;

export function workerService(
  runs: Runs,
  host: ScheduleHost,
  exchanges: Exchanges,
  log: ErrorLog,
): WorkerServiceHandlers {
  return {
    RegisterWorker: unary((request) => register(host, exchanges, request), log),
    Heartbeat: unary(({ sessionId, peakRssBytes }) => {
      host.heartbeat(sessionId, peakRssBytes);
      return { isDraining: host.isDraining };
    }, log),
    LeaseBlocks: unary((request) => lease(runs, host, request), log),
    ReturnLeases: unary(({ sessionId, leaseIds, reason, errorCode }) => {
      if (errorCode === '') host.giveBack(sessionId, leaseIds);
      else host.fail(sessionId, leaseIds, reason, errorCode.startsWith('STOA_NUMERIC_'));
      return {};
    }, log),
    EndSession: unary(({ sessionId }) => {
      host.endSession(sessionId);
      return {};
    }, log),
    GetRunSpec: unary(({ runId }) => runSpec(runs, runId), log),
    FetchDatasetFile: serverStream<FetchDatasetFileRequest__Output, FetchDatasetFileResponse>(
      async ({ runId, file }, writer) => {
        await sendFile(datasetFile(runs, runId, file), (chunk) => writer.write(chunk));
        await writer.flush();
      },
      log,
    ),
  };
}

function register(
  host: ScheduleHost,
  exchanges: Exchanges,
  request: RegisterWorkerRequest__Output,
): RegisterWorkerResponse {
  const { name, threads, solvers, gathers, factorsMax, version } = request;
  const { reproducibilityKey, gflops, stepDevice } = request;
  if (host.isDraining) {
    throw new StateError(
      'STOA_DRAINING',
      'this coordinator is shutting down; register with another, or later',
    );
  }
  requireRange('name', Buffer.byteLength(name), 1, 128, 'bytes');
  requireRange('threads', threads, 1, THREADS_MAX);
  requireRange('solvers', solvers.length, 1, 16, 'entries');
  requireRange('gathers', gathers.length, 0, 16, 'entries');
  if (!(gflops >= 0 && Number.isFinite(gflops))) {
    throw new UsageError('STOA_USAGE', `gflops must be 0 or more, it is ${gflops}`, {
      fields: { field: 'gflops' },
    });
  }
  if (majorOf(version) !== majorOf(STOA_VERSION)) {
    throw new StateError(
      'STOA_VERSION',
      `worker ${name} has version ${version}, this coordinator has ${STOA_VERSION}; run the same major version on both`,
    );
  }
  const facts = checkedFacts(request, threads);
  const stepFacts = stepDevice === null ? undefined : checkedFacts(stepDevice, threads);
  const stepKey = stepDevice?.reproducibilityKey;
  const told = { name, threads, solvers, gathers, factorsMax, reproducibilityKey, stepKey, gflops };
  const sessionId = host.register({ ...told, facts, stepFacts });
  return {
    sessionId,
    term: host.term,
    heartbeatInterval: toDuration(host.timing.heartbeatMs),
    sessionTimeout: toDuration(host.timing.sessionTimeoutMs),
    usesExchange: exchanges.open(sessionId, request.exchange),
  };
}

/** What a worker says of a device, within bounds. */
function checkedFacts(
  { device, deviceDetail, deviceFacts, reproducibilityKey }: StepDevice__Output,
  threads: number,
): DeviceFacts {
  requireRange('device', Buffer.byteLength(device), 1, 64, 'bytes');
  requireRange('device_detail', Buffer.byteLength(deviceDetail), 0, 1024, 'bytes');
  requireRange('device_facts', Object.keys(deviceFacts).length, 0, 32, 'entries');
  for (const [key, value] of Object.entries(deviceFacts)) {
    const longest = Math.max(Buffer.byteLength(key), Buffer.byteLength(value));
    requireRange('device_facts', longest, 0, 512, 'bytes each');
  }
  requireRange('reproducibility_key', Buffer.byteLength(reproducibilityKey), 0, 2048, 'bytes');
  const name = deviceDetail === '' ? device : deviceDetail;
  return factsOf({ device, name, software: deviceFacts['software'] === 'true', threads, facts: deviceFacts });
}

async function lease(
  runs: Runs,
  host: ScheduleHost,
  request: LeaseBlocksRequest__Output,
): Promise<LeaseBlocksResponse> {
  const { sessionId, requestId, count, waitDuration, prepared, knownGram } = request;
  requireRange('request_id', Buffer.byteLength(requestId), 1, 64, 'bytes');
  requireRange('count', count, 1, COUNT_MAX);
  const waitMs = waitDuration === null ? 0 : Number(waitDuration.seconds) * 1000 + waitDuration.nanos / 1e6;
  const lent = host.lease(sessionId, requestId, count, Math.max(0, waitMs));
  const answer = prepared === null ? await lent : await runs.preparation.orUpcoming(lent, prepared.runId);
  if ('run' in answer) {
    // The same request is asked again; that it is refused until then is told to that call.
    lent.catch(() => {});
    return { leases: [], prepare: prepareMessage(answer, sessionId) };
  }
  return {
    leases: answer.map((one) => toMessage(one, host.nowMs(), stepsOf(runs))),
    fixedGram: fixedGramOf(runs, answer[0], knownGram),
  };
}

/** The Gram that a lease's block reads; null where there is none, the worker knows it, or it is too large to come along. */
function fixedGramOf(
  runs: Runs,
  lease: Lease | undefined,
  known: FixedGram__Output | null,
): FixedGram | null {
  const active = runs.active;
  if (lease === undefined || active?.run.id !== lease.runId) return null;
  const { training } = active;
  const isSmall = training.plan.factors <= GRAM_FACTORS_MAX;
  if (!(training instanceof PhaseTraining) || !isSmall) return null;
  const { side: solved, fixedClock: clock } = lease.phase;
  const side = otherSide(solved);
  const isKnown = known?.runId === lease.runId && known.side === sideName(side) && known.clock === clock;
  if (isKnown) return null;
  try {
    return {
      runId: lease.runId,
      side: sideName(side),
      clock,
      gram: encodeGram(gramAt(training.store, side, clock)),
    };
  } catch (error) {
    // The phase has ended meanwhile, and the lease with it.
    if (error instanceof FencedError) return null;
    throw error;
  }
}

function prepareMessage({ run, homes }: UpcomingRun, sessionId: string): PrepareRun {
  const shardsAt = (side: Side) =>
    [...homes[side].keys()].filter((shard) => homes[side][shard] === sessionId);
  return { runId: run.id, userShards: shardsAt('users'), itemShards: shardsAt('items') };
}

function toMessage(
  { leaseId, runId, phase, block, deadlineMs }: Lease,
  nowMs: number,
  sync: ReturnType<typeof stepsOf>,
): BlockLease {
  return {
    leaseId,
    runId,
    side: sideName(phase.side),
    block: block.index,
    shard: block.shard,
    rowStart: block.rowStart,
    rowEnd: block.rowEnd,
    fixedClock: phase.fixedClock,
    priorClock: phase.priorClock,
    leaseDuration: toDuration(Math.max(0, deadlineMs - nowMs)),
    ...(sync === undefined ? {} : stepsOfClock(phase.priorClock, sync)),
  };
}

/** How the clocks of the run in progress are cut into steps; undefined where it has none. */
function stepsOf(runs: Runs): { stepsPerEpoch: number; stepsPerClock: number } | undefined {
  const config = runs.active?.run.config;
  if (config === undefined || config.model === 'ials') return undefined;
  return {
    stepsPerEpoch: config['train.steps'],
    stepsPerClock: stepsPerClock(parseSyncMode(config['train.sync'])),
  };
}

function runSpec(runs: Runs, runId: string): GetRunSpecResponse {
  const { run, data } = runOf(runs, runId);
  const training = runs.active?.training;
  const { train } = data;
  return {
    runId,
    ...(training instanceof StepTraining ? { steps: stepSpec(training) } : {}),
    holders: holdersOf(training),
    objective: objectiveOf(run.config),
    solver: solverOf(run.config),
    factors: columnsOf(run.config),
    rowsEncoding: run.config['train.wire'] === 'bf16' ? 'ROWS_ENCODING_BF16' : 'ROWS_ENCODING_F32',
    wantsLoss: run.config['train.loss'],
    users: train.manifest.users,
    items: train.manifest.items,
    datasetPath: train.dir,
    datasetFingerprint: train.fingerprint,
    manifest: Buffer.from(train.manifestBytes),
  };
}

/** The run in progress, or the one that is about to begin. Errors of `activeRun`. */
function runOf(runs: Runs, runId: string): Pick<UpcomingRun, 'run' | 'data'> {
  const { upcoming } = runs.preparation;
  return upcoming?.run.id === runId ? upcoming : activeRun(runs, runId);
}

/** Where the rows are; nobody: with this coordinator. */
function holdersOf(training: ActiveTraining | undefined): RowHolder[] {
  const store = training?.store;
  if (!(store instanceof PlacedStore || store instanceof PlacedStepStore)) return [];
  return store.placed.results.placement.map(({ holder, users, items }) => ({
    address: formatAddress(holder.address),
    users,
    items,
  }));
}

function stepSpec({ spec }: StepTraining): StepSpec {
  const { settings, itemCounts, validationShare } = spec;
  const counts = Buffer.from(itemCounts.buffer as ArrayBuffer, itemCounts.byteOffset, itemCounts.byteLength);
  return { ...settings, itemCounts: counts, validationShare };
}

/** The path of a file that the manifest names. @throws {NotFoundError} `STOA_NOT_FOUND_FILE`. */
function datasetFile(runs: Runs, runId: string, file: string): string {
  const { train } = runOf(runs, runId).data;
  if (Object.hasOwn(train.manifest.files, file)) {
    requireFileName(file);
    return path.join(train.dir, file);
  }
  throw new NotFoundError('STOA_NOT_FOUND_FILE', 'the manifest of the dataset names no such file', {
    fields: { field: 'file' },
  });
}

function requireRange(field: string, value: number, min: number, max: number, unit = ''): void {
  if (value >= min && value <= max) return;
  const what = unit === '' ? `${min} to ${max}` : `${min} to ${max} ${unit}`;
  throw new UsageError('STOA_USAGE', `${field} must have ${what}, it has ${value}`, { fields: { field } });
}

function majorOf(version: string): string {
  return version.split('.')[0]!;
}

function toDuration(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor((ms % 1000) * 1e6) };
}
