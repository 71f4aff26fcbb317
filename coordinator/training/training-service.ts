// Handlers of stoa.training.v1.TrainingService.

import path from 'node:path';
import { StateError, UsageError } from '../../common/errors.js';
import { Slots } from '../../common/slots.js';
import type { FetchRunFilesRequest__Output } from '../../proto/generated/stoa/training/v1/FetchRunFilesRequest.js';
import type { FetchRunFilesResponse } from '../../proto/generated/stoa/training/v1/FetchRunFilesResponse.js';
import type { SubmitRunRequest__Output } from '../../proto/generated/stoa/training/v1/SubmitRunRequest.js';
import type { TrainingServiceHandlers } from '../../proto/generated/stoa/training/v1/TrainingService.js';
import type { UploadDatasetRequest__Output } from '../../proto/generated/stoa/training/v1/UploadDatasetRequest.js';
import type { UploadDatasetResponse } from '../../proto/generated/stoa/training/v1/UploadDatasetResponse.js';
import type { WatchRunRequest__Output } from '../../proto/generated/stoa/training/v1/WatchRunRequest.js';
import type { WatchRunResponse } from '../../proto/generated/stoa/training/v1/WatchRunResponse.js';
import { type ErrorLog, unary } from '../grpc-errors.js';
import { clientStream, type StreamWriter, serverStream } from '../grpc-streams.js';
import { parseRunConfig, type RunConfig } from '../plan/run-config.js';
import type { DatasetStore } from './dataset-store.js';
import { type ModelShelf, modelHandlers } from './model-handlers.js';
import { pageOf } from './page.js';
import { pauseRun } from './pause-run.js';
import { runFiles } from './run-files.js';
import { runStatus, watchRun } from './run-status.js';
import type { Runs } from './runs.js';
import type { ScheduleHost } from './schedule-host.js';
import { sendFile } from './send-file.js';

/** Uploads read at once; others wait. */
const UPLOADS_MAX = 4;

export interface TrainingServiceOptions {
  runs: Runs;
  host: ScheduleHost;
  datasets: DatasetStore;
  models: ModelShelf;
  /** Runs get a folder here. */
  runsDir: string;
  log: ErrorLog;
}

export function trainingService(options: TrainingServiceOptions): TrainingServiceHandlers {
  const { runs, host, datasets, log } = options;
  const uploads = new Slots(UPLOADS_MAX);
  const submissions = new Map<string, Promise<string>>();
  return {
    UploadDataset: clientStream<UploadDatasetRequest__Output, UploadDatasetResponse>(
      (parts) => uploads.hold(async () => ({ fingerprint: await datasets.receive(parts) })),
      log,
    ),
    HasDataset: unary(async ({ fingerprint }) => ({ isPresent: await datasets.has(fingerprint) }), log),
    SubmitRun: unary(async (request) => ({ runId: await submitOnce(options, submissions, request) }), log),
    GetRun: unary(({ runId }) => ({ run: runStatus(runs.get(runId), host) }), log),
    ListRuns: unary((request) => {
      const { page, nextPageToken } = pageOf(runs.newest, (run) => run.id, request);
      return { runs: page.map((run) => runStatus(run, host)), nextPageToken };
    }, log),
    WatchRun: serverStream<WatchRunRequest__Output, WatchRunResponse>(async ({ runId }, writer, call) => {
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort());
      for await (const run of watchRun(runs.get(runId), host, gone.signal)) await writer.write({ run });
    }, log),
    StopRun: unary(async ({ runId }) => {
      const run = runs.get(runId);
      await runs.stop(run);
      return { run: runStatus(run, host) };
    }, log),
    PauseRun: unary(async ({ runId }) => ({ run: await statusAfterPause(options, runId, true) }), log),
    ResumeRun: unary(async ({ runId }) => ({ run: await statusAfterPause(options, runId, false) }), log),
    FetchRunFiles: serverStream<FetchRunFilesRequest__Output, FetchRunFilesResponse>(
      ({ runId }, writer) => fetchRunFiles(runs, runId, writer),
      log,
    ),
    ...modelHandlers(options.models, log),
  };
}

async function statusAfterPause({ runs, host }: TrainingServiceOptions, runId: string, isPaused: boolean) {
  const run = runs.get(runId);
  await pauseRun(run, host, isPaused);
  return runStatus(run, host);
}

/** One request id makes one run, also when it is repeated while the first is being checked. */
async function submitOnce(
  options: TrainingServiceOptions,
  submissions: Map<string, Promise<string>>,
  request: SubmitRunRequest__Output,
): Promise<string> {
  const { requestId } = request;
  const bytes = Buffer.byteLength(requestId);
  if (bytes < 1 || bytes > 64) {
    throw new UsageError('STOA_USAGE', `request_id must have 1 to 64 bytes, it has ${bytes}`, {
      fields: { field: 'request_id' },
    });
  }
  const before = options.runs.byRequest(requestId);
  if (before !== undefined) return before.id;
  let submission = submissions.get(requestId);
  if (submission === undefined) {
    submission = submit(options, request).finally(() => submissions.delete(requestId));
    submissions.set(requestId, submission);
  }
  return submission;
}

async function submit(options: TrainingServiceOptions, request: SubmitRunRequest__Output): Promise<string> {
  const { runs, datasets } = options;
  const { datasetFingerprint, testFingerprint, foldInFingerprint, requestId } = request;
  const config = parseConfigJson(request.configJson);
  const optional = (fingerprint: string, field: string) =>
    fingerprint === '' ? undefined : datasets.folderOf(fingerprint, field);
  const runId = runs.newId();
  const run = await runs.submit(
    {
      dataset: await datasets.folderOf(datasetFingerprint, 'dataset_fingerprint'),
      test: await optional(testFingerprint, 'test_fingerprint'),
      foldIn: await optional(foldInFingerprint, 'fold_in_fingerprint'),
      config,
      requestId,
      runDir: path.join(options.runsDir, runId),
    },
    runId,
  );
  return run.id;
}

function parseConfigJson(text: string): RunConfig {
  try {
    return parseRunConfig(text === '' ? {} : JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UsageError('STOA_USAGE', `config_json is not JSON: ${error.message}`, {
      fields: { field: 'config_json' },
    });
  }
}

async function fetchRunFiles(
  runs: Runs,
  runId: string,
  writer: StreamWriter<FetchRunFilesResponse>,
): Promise<void> {
  const run = runs.get(runId);
  if (!run.hasEnded) {
    throw new StateError('STOA_RUN_STATE', `run ${runId} has not ended; watch it, and fetch it then`, {
      fields: { run: runId },
    });
  }
  for (const file of await runFiles(run.folder.dir)) {
    await writer.write({ file });
    await sendFile(path.join(run.folder.dir, file), (chunk) => writer.write({ chunk }));
  }
  await writer.flush();
}
