// A coordinator and a worker in this process, to train on.

import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pino } from 'pino';
import { startCoordinator } from '../../coordinator/coordinator.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import type { TrainResult } from '../../coordinator/training/train-result.js';
import type { IalsSettings } from './course-sets.js';

export interface LocalCluster {
  /** Trains to the end; evaluates where there is a test set. */
  train(run: TrainRequest): Promise<TrainResult>;
  close(): Promise<void>;
}

export interface TrainRequest {
  dataset: string;
  test?: string;
  settings: IalsSettings;
}

/** @param folder an existing folder for state, runs and cached shards. */
export async function startLocalCluster(folder: string): Promise<LocalCluster> {
  const { runWorker } = await import('../../worker/worker.js');
  const log = pino({ level: 'fatal' });
  const tls = {};
  const coordinator = await startCoordinator({
    listen: { host: '127.0.0.1', port: 0 },
    stateDir: path.join(folder, 'state'),
    tls,
    log,
  });
  const leaving = new AbortController();
  const cacheDir = path.join(folder, 'cache');
  await mkdir(cacheDir, { recursive: true });
  const worker = runWorker({
    coordinators: [coordinator.address],
    name: 'local',
    threads: os.availableParallelism(),
    device: 'auto',
    tls,
    cacheDir,
    log,
    signal: leaving.signal,
  });
  let runs = 0;
  return {
    async train({ dataset, test, settings }) {
      const runDir = path.join(folder, `run-${++runs}`);
      const config = parseRunConfig({
        'ials.factors': settings.factors,
        'ials.alpha0': settings.alpha0,
        'ials.regularization': settings.regularization,
        'train.epochs': settings.epochs,
        'train.wire': settings.wire,
        'train.checkpoint_epochs': 0,
      });
      const runId = await coordinator.submitLocal({ dataset, test, config, runDir });
      return coordinator.result(runId);
    },
    async close() {
      leaving.abort();
      await worker;
      await coordinator.shutdown();
    },
  };
}
