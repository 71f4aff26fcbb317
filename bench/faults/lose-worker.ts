// Kills one of three workers for good while they train, and compares with a training that nobody disturbed.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrainingClient } from '../../client/index.js';
import { itemsHash, patiently } from './kill-coordinator.js';
import { freePort, ProcessCluster } from './process-cluster.js';

const WORKERS = 3;

export interface LostWorkerRun {
  /** From the first complete epoch to the end, seconds. */
  seconds: number;
  /** Of `seconds`, when the worker was killed; absent: none was. */
  killedAt?: number;
  /** SHA-256 of the item factors. */
  model: string;
}

/**
 * @param options.killAfter seconds after the first epoch at which a worker is killed; absent: none is.
 * @throws an Error: the run failed, or ended before the kill.
 */
export async function loseWorker(options: {
  /** An empty folder to work in. */
  folder: string;
  dataset: string;
  settings: Record<string, unknown>;
  killAfter?: number;
}): Promise<LostWorkerRun> {
  const { folder, dataset, settings, killAfter } = options;
  const cluster = new ProcessCluster(folder);
  const port = await freePort();
  const client = new TrainingClient({ address: { host: '127.0.0.1', port }, deadlineMs: 30_000 });
  const run: LostWorkerRun = { seconds: 0, model: '' };
  try {
    cluster.coordinator(port);
    const workers = Array.from({ length: WORKERS }, (_, n) => cluster.worker(`w${n + 1}`, [port]));
    const datasetFingerprint = await patiently(() => client.uploadDataset(dataset));
    await untilAllJoined(workers.map(({ said }) => said));
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    let startMs: number | undefined;
    let state = '';
    for await (const status of client.watchRun(runId)) {
      state = status.state;
      if (state === 'RUN_STATE_FAILED') throw new Error(status.error);
      if (status.epochsDone < 1 || startMs !== undefined) continue;
      startMs = performance.now();
      if (killAfter !== undefined) {
        sleep(1000 * killAfter).then(async () => {
          if (state !== 'RUN_STATE_RUNNING') return;
          run.killedAt = (performance.now() - startMs!) / 1000;
          await workers[0]!.kill();
        });
      }
    }
    run.seconds = (performance.now() - startMs!) / 1000;
    if (killAfter !== undefined && run.killedAt === undefined)
      throw new Error('the run had ended before its worker was killed');
    run.model = await itemsHash(path.join(cluster.stateDir, 'runs', runId));
    return run;
  } finally {
    client.close();
    await cluster.close();
  }
}

async function untilAllJoined(said: readonly (() => string)[]): Promise<void> {
  for (const endMs = performance.now() + 60_000; performance.now() < endMs; await sleep(50))
    if (said.every((text) => text().includes('"msg":"joined"'))) return;
  throw new Error('the workers never joined');
}
