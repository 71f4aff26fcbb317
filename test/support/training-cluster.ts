// A coordinator and workers in this process, over real sockets.

import path from 'node:path';
import { type Logger, pino } from 'pino';
import {
  type Coordinator,
  type CoordinatorOptions,
  startCoordinator,
} from '../../coordinator/coordinator.js';
import { runParameterProcess } from '../../coordinator/holder/parameter-process.js';
import { memoryStorage } from '../../coordinator/holder/row-storage.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import type { TrainResult } from '../../coordinator/training/train-result.js';
import type { RunStatus__Output } from '../../proto/generated/stoa/training/v1/RunStatus.js';
import { runWorker, type WorkerOptions } from '../../worker/worker.js';

export const quietLog: Logger = pino({ level: process.env['STOA_TEST_LOG'] ?? 'silent' });

export interface ClusterWorkerOptions
  extends Partial<Pick<WorkerOptions, 'device' | 'openDevice' | 'log' | 'transfer'>> {
  threads?: number;
  name?: string;
}

export interface ClusterWorker {
  /** Resolves when the worker has left. */
  done: Promise<void>;
  leave(): Promise<void>;
}

export interface Fleet {
  workers: number;
  threads?: number;
  /** How rows travel; `mixed`: every other worker's over gRPC. @default `auto` */
  transfer?: 'auto' | 'grpc' | 'mixed';
}

export class TrainingCluster {
  readonly coordinator: Coordinator;
  readonly #folder: string;
  readonly #workers = new Set<ClusterWorker>();
  readonly #holders = new Set<ClusterWorker>();
  #count = 0;

  private constructor(coordinator: Coordinator, folder: string) {
    this.coordinator = coordinator;
    this.#folder = folder;
  }

  static async start(folder: string, options: Partial<CoordinatorOptions> = {}): Promise<TrainingCluster> {
    const coordinator = await startCoordinator({
      listen: { host: '127.0.0.1', port: 0 },
      stateDir: path.join(folder, 'state'),
      tls: {},
      log: quietLog,
      ...options,
    });
    return new TrainingCluster(coordinator, folder);
  }

  addWorker({ threads = 1, name, transfer, ...more }: ClusterWorkerOptions = {}): ClusterWorker {
    const stop = new AbortController();
    this.#count++;
    const done = runWorker({
      coordinators: [this.coordinator.address],
      name: name ?? `worker-${this.#count}`,
      threads,
      device: more.device ?? 'portable',
      openDevice: more.openDevice,
      tls: {},
      cacheDir: path.join(this.#folder, 'cache'),
      log: more.log ?? quietLog,
      signal: stop.signal,
      transfer,
      reconnectForMs: 5000,
    });
    done.catch(() => {});
    const worker: ClusterWorker = {
      done,
      leave: async () => {
        stop.abort();
        this.#workers.delete(worker);
        await done;
      },
    };
    this.#workers.add(worker);
    return worker;
  }

  /** A parameter process, in this one. */
  addParameters(name: string): ClusterWorker {
    const stop = new AbortController();
    const done = runParameterProcess({
      coordinators: [this.coordinator.address],
      listen: { host: '127.0.0.1', port: 0 },
      name,
      tls: {},
      storage: memoryStorage,
      log: quietLog,
      signal: stop.signal,
      reconnectForMs: 5000,
    });
    done.catch(() => {});
    const holder: ClusterWorker = {
      done,
      leave: async () => {
        stop.abort();
        this.#holders.delete(holder);
        await done;
      },
    };
    this.#holders.add(holder);
    return holder;
  }

  submit(run: {
    foldIn?: string;
    dataset: string;
    runDir: string;
    settings?: Record<string, unknown>;
    test?: string;
    resume?: boolean;
    expectedWorkers?: number;
  }): Promise<string> {
    const { settings = {}, ...rest } = run;
    return this.coordinator.submitLocal({ ...rest, config: parseRunConfig(settings) });
  }

  /** Trains to the end on so many workers, which leave afterwards. */
  async train(
    run: { dataset: string; runDir: string; settings?: Record<string, unknown>; test?: string },
    fleet: Fleet,
  ): Promise<{ result: TrainResult; model: LoadedModel }> {
    const runId = await this.submit({ ...run, expectedWorkers: fleet.workers });
    const workers = Array.from({ length: fleet.workers }, (_, n) => {
      const transfer = fleet.transfer === 'mixed' ? (n % 2 === 0 ? 'auto' : 'grpc') : fleet.transfer;
      return this.addWorker({ threads: fleet.threads, transfer });
    });
    const result = await this.coordinator.result(runId);
    await Promise.all(workers.map((worker) => worker.leave()));
    return { result, model: await openModel(run.runDir) };
  }

  /** Waits until a run has so many complete phases. */
  async untilPhases(runId: string, phases: number): Promise<void> {
    for await (const status of this.coordinator.watch(runId)) if (phasesOf(status) >= phases) return;
  }

  /** Waits until what a run does besides its phases reads like this. */
  async untilStage(runId: string, pattern: RegExp): Promise<void> {
    for await (const { phase } of this.coordinator.watch(runId)) if (pattern.test(phase)) return;
    throw new Error(`the run never said ${pattern}`);
  }

  /** Waits until a run has so many complete epochs. */
  async untilEpochs(runId: string, epochs: number): Promise<void> {
    for await (const { epochsDone } of this.coordinator.watch(runId)) if (epochsDone >= epochs) return;
  }

  async phasesDone(runId: string): Promise<number> {
    for await (const status of this.coordinator.watch(runId)) return phasesOf(status);
    throw new Error('a run has a status');
  }

  /** Waits until a worker has delivered so many blocks of one phase. */
  async untilBlocks(runId: string, name: string, blocks: number): Promise<void> {
    for await (const { workers, state, error } of this.coordinator.watch(runId)) {
      if (workers.some((worker) => worker.name === name && worker.blocksDone >= blocks)) return;
      if (state !== 'RUN_STATE_RUNNING' && state !== 'RUN_STATE_QUEUED')
        throw new Error(`too late: ${state} ${error}`);
    }
  }

  /** Waits until the coordinator has given a worker up. */
  async untilGone(runId: string, name: string): Promise<void> {
    for await (const { workers, state } of this.coordinator.watch(runId)) {
      if (state !== 'RUN_STATE_RUNNING') break;
      if (!workers.some((worker) => worker.name === name && worker.isAlive)) return;
    }
    throw new Error(`the run ended before ${name} was given up`);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers].map((worker) => worker.leave().catch(() => {})));
    await this.coordinator.shutdown();
    await Promise.all([...this.#holders].map((holder) => holder.leave().catch(() => {})));
  }
}

/** A phase whose blocks are all in is complete, and counted among the epochs. */
function phasesOf({ epochsDone, phase, blocksDone, blocksTotal }: RunStatus__Output): number {
  return 2 * epochsDone + (phase === 'items' && blocksDone < blocksTotal ? 1 : 0);
}
