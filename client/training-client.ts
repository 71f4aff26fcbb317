// Starts, watches and fetches training runs of a coordinator.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SystemError } from '../common/errors.js';
import { services } from '../common/grpc-services.js';
import type { ModelStatus__Output } from '../proto/generated/stoa/training/v1/ModelStatus.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import type { TrainingServiceClient } from '../proto/generated/stoa/training/v1/TrainingService.js';
import {
  backoffMs,
  type CallSettings,
  type ClientOptions,
  connect,
  isUnavailable,
  UnaryCaller,
} from './channel.js';
import { type Connections, isNotLeader } from './connections.js';
import { readStream } from './read-stream.js';
import { type ReceivedFile, receiveFiles } from './receive-files.js';
import { readDatasetFolder, sendDataset } from './upload-dataset.js';

const METHODS = services.training.v1.TrainingService.service;

/** How long `watchRun` tries to find a coordinator again that went away: a restart takes seconds. */
const RECONNECT_MS = 60_000;
/** Silence after which another coordinator is asked, where there are several. */
const SILENT_MS = 3000;
/** Entries asked for at once. */
const PAGE_SIZE = 1000;

export interface SubmitOptions {
  datasetFingerprint: string;
  /** Absent: no evaluation. */
  testFingerprint?: string;
  /** Flat or nested, with the keys of the command line; absent keys have their defaults. */
  config: Record<string, unknown>;
  /** 1 to 64 bytes; the same id makes the same run. @default a random one */
  requestId?: string;
}

/** Errors of all methods are StoaErrors. Reads are tried again while the coordinator is away, within the deadline. */
export class TrainingClient {
  readonly #connections: Connections<TrainingServiceClient>;
  readonly #caller: UnaryCaller;

  /** Connects at the first call. @throws {UsageError} the address is not loopback and there is no TLS. */
  constructor(options: ClientOptions) {
    this.#connections = connect(services.training.v1.TrainingService, options);
    this.#caller = new UnaryCaller(this.#connections, options);
  }

  /**
   * Makes sure that the coordinator holds a dataset folder, and sends it when it does not.
   *
   * @returns the fingerprint to submit runs with.
   * @throws {NotFoundError} `STOA_NOT_FOUND_DATASET`; {CorruptError} a file is not what its manifest says.
   */
  async uploadDataset(
    dir: string,
    onProgress?: (sentBytes: number, totalBytes: number) => void,
  ): Promise<string> {
    const folder = await readDatasetFolder(dir);
    const { isPresent } = await this.#caller.idempotent(METHODS.HasDataset, {
      fingerprint: folder.fingerprint,
    });
    if (isPresent) return folder.fingerprint;
    const { client, address } = this.#connections;
    return sendDataset(client, folder, address, onProgress);
  }

  /** Puts a run in line. Safe to repeat with the same request id. @returns the run's id. */
  async submitRun(options: SubmitOptions, settings?: CallSettings): Promise<string> {
    const request = {
      requestId: options.requestId ?? randomUUID(),
      datasetFingerprint: options.datasetFingerprint,
      testFingerprint: options.testFingerprint ?? '',
      configJson: JSON.stringify(options.config),
    };
    const { runId } = await this.#caller.idempotent(METHODS.SubmitRun, request, settings);
    return runId;
  }

  /** @throws {NotFoundError} `STOA_NOT_FOUND_RUN`. */
  async getRun(runId: string, settings?: CallSettings): Promise<RunStatus__Output> {
    const { run } = await this.#caller.idempotent(METHODS.GetRun, { runId }, settings);
    return run!;
  }

  /** All runs, newest first. */
  listRuns(settings?: CallSettings): Promise<RunStatus__Output[]> {
    return allPages(async (pageToken) => {
      const page = await this.#caller.idempotent(
        METHODS.ListRuns,
        { pageSize: PAGE_SIZE, pageToken },
        settings,
      );
      return [page.runs, page.nextPageToken];
    });
  }

  /**
   * The states of a run, the last one when it has ended. Finds a coordinator again that went away for up to a minute;
   * then, or when `signal` aborts, the iteration fails.
   */
  async *watchRun(
    runId: string,
    { signal, reconnectMs = RECONNECT_MS }: { signal?: AbortSignal; reconnectMs?: number } = {},
  ): AsyncGenerator<RunStatus__Output, void, undefined> {
    let lastHeard = Date.now();
    for (let attempt = 1; ; attempt++) {
      try {
        for await (const run of this.#watchOnce(runId, signal)) {
          lastHeard = Date.now();
          attempt = 1;
          yield run;
        }
        return;
      } catch (error) {
        const mayPass = isUnavailable(error) || isNotLeader(error);
        if (!mayPass || Date.now() - lastHeard > reconnectMs || signal?.aborted) throw error;
        this.#connections.moveOn(error);
        await sleep(backoffMs(attempt, this.#connections.hasOthers), undefined, { signal }).catch(
          () => undefined,
        );
      }
    }
  }

  /** Stops a run after a checkpoint. Safe to repeat. */
  async stopRun(runId: string, settings?: CallSettings): Promise<RunStatus__Output> {
    const { run } = await this.#caller.idempotent(METHODS.StopRun, { runId }, settings);
    return run!;
  }

  /**
   * Pauses a run: nothing is lent until `resumeRun`. Safe to repeat.
   *
   * @throws {StateError} `STOA_RUN_STATE`: it does not train now.
   */
  async pauseRun(runId: string, settings?: CallSettings): Promise<RunStatus__Output> {
    const { run } = await this.#caller.idempotent(METHODS.PauseRun, { runId }, settings);
    return run!;
  }

  /** Lets a paused run go on. Errors as `pauseRun`. */
  async resumeRun(runId: string, settings?: CallSettings): Promise<RunStatus__Output> {
    const { run } = await this.#caller.idempotent(METHODS.ResumeRun, { runId }, settings);
    return run!;
  }

  /**
   * Writes the files of a run that has ended into a new folder, whole or not at all. Begins again where a coordinator
   * goes away meanwhile and comes back within a minute.
   *
   * @throws {StateError} `STOA_RUN_STATE`: it has not ended; `STOA_EXISTS`: the folder is not empty.
   * @throws {CorruptError} a chunk arrived damaged, or a name leads out of the folder.
   */
  async fetchRunFiles(runId: string, outDir: string): Promise<ReceivedFile[]> {
    const endMs = Date.now() + RECONNECT_MS;
    for (let attempt = 1; ; attempt++) {
      const { client, address } = this.#connections;
      try {
        return await receiveFiles(readStream(client.FetchRunFiles({ runId }), address), outDir);
      } catch (error) {
        if ((!isUnavailable(error) && !isNotLeader(error)) || Date.now() > endMs) throw error;
        this.#connections.moveOn(error);
        await sleep(backoffMs(attempt));
      }
    }
  }

  /** All models of the registry, newest first. */
  listModels(settings?: CallSettings): Promise<ModelStatus__Output[]> {
    return allPages(async (pageToken) => {
      const page = await this.#caller.idempotent(
        METHODS.ListModels,
        { pageSize: PAGE_SIZE, pageToken },
        settings,
      );
      return [page.models, page.nextPageToken];
    });
  }

  /** Makes a model the one that is served. Safe to repeat. @throws {NotFoundError} `STOA_NOT_FOUND_MODEL`. */
  async promote(version: string, settings?: CallSettings): Promise<ModelStatus__Output> {
    const { model } = await this.#caller.idempotent(METHODS.PromoteModel, { version }, settings);
    return model!;
  }

  /** Serves the model before the present one. Not repeated by itself: each call goes one further back. */
  async rollback(settings?: CallSettings): Promise<ModelStatus__Output> {
    const { model } = await this.#caller.once(METHODS.RollbackModel, {}, settings);
    return model!;
  }

  /** Closes the connection; calls in progress fail. */
  close(): void {
    this.#connections.close();
  }

  async *#watchOnce(runId: string, signal?: AbortSignal): AsyncGenerator<RunStatus__Output> {
    const { client, address } = this.#connections;
    const call = client.WatchRun({ runId });
    const cancel = () => call.cancel();
    // A coordinator that is frozen says nothing and closes nothing. One that works says something every second.
    let isSilent = false;
    const timer = setInterval(() => {
      isSilent = this.#connections.hasOthers;
      if (isSilent) call.cancel();
    }, SILENT_MS);
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    try {
      for await (const { run } of readStream(call, address)) {
        timer.refresh();
        if (run !== null) yield run;
      }
    } catch (error) {
      if (!isSilent) throw error;
      throw new SystemError('STOA_UNREACHABLE', `${address} said nothing for ${SILENT_MS / 1000} s`);
    } finally {
      clearInterval(timer);
      signal?.removeEventListener('abort', cancel);
    }
  }
}

async function allPages<T>(fetch: (pageToken: string) => Promise<[T[], string]>): Promise<T[]> {
  const all: T[] = [];
  let token = '';
  do {
    const [entries, next] = await fetch(token);
    all.push(...entries);
    token = next;
  } while (token !== '');
  return all;
}
