// Kills the leader of two coordinators over a real etcd, again and again, while a worker trains for them.

import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrainingClient } from '../../client/index.js';
import { startEtcd } from './etcd-process.js';
import { isGoingOn, itemsHash, patiently } from './kill-coordinator.js';
import { freePort, ProcessCluster, type StoaChild } from './process-cluster.js';

const LEADER_MS_MAX = 30_000;

export interface LeaderKillReport {
  kills: number;
  /** From the death of a leader to the first answer of the next one, milliseconds. */
  answeredMs: number[];
  /** From the death of a leader to the first block that the worker delivered to the next one, milliseconds. */
  goingOnMs: number[];
  /** SHA-256 of the item factors that the run ended with. */
  model: string;
}

/**
 * @param options.etcd the program.
 * @throws an Error: the run had ended before the last kill, or failed.
 */
export async function killLeaders(options: {
  /** An empty folder to work in. */
  folder: string;
  etcd: string;
  dataset: string;
  settings: Record<string, unknown>;
  kills: number;
}): Promise<LeaderKillReport> {
  const { folder, kills, dataset, settings } = options;
  const etcd = await startEtcd(options.etcd, path.join(folder, 'etcd'));
  const cluster = new ProcessCluster(folder);
  const ports = [await freePort(), await freePort()];
  const coordinators = ports.map((port) => cluster.coordinator(port, '--etcd', etcd.url));
  const address = ports.map((port) => `127.0.0.1:${port}`).join(',');
  const client = new TrainingClient({ address, deadlineMs: 30_000 });
  const report: LeaderKillReport = { kills, answeredMs: [], goingOnMs: [], model: '' };
  try {
    cluster.worker('w1', ports);
    const datasetFingerprint = await patiently(() => client.uploadDataset(dataset));
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    for (let n = 0; n < kills; n++) {
      await isGoingOn(client, runId);
      const at = await leaderOf(coordinators);
      await coordinators[at]!.kill();
      const startMs = performance.now();
      await client.getRun(runId, { isPatient: true });
      report.answeredMs.push(performance.now() - startMs);
      if (!(await isGoingOn(client, runId)))
        throw new Error('the run had ended before all leaders were killed');
      report.goingOnMs.push(performance.now() - startMs);
      coordinators[at] = cluster.coordinator(ports[at]!, '--etcd', etcd.url);
      await saying(coordinators[at]!, /standing by/);
    }
    for await (const { state, error } of client.watchRun(runId))
      if (state === 'RUN_STATE_FAILED') throw new Error(error);
    report.model = await itemsHash(path.join(cluster.stateDir, 'runs', runId));
    return report;
  } finally {
    client.close();
    await cluster.close();
    await etcd.kill();
  }
}

/** The one that said last that it leads. */
async function leaderOf(coordinators: readonly StoaChild[]): Promise<number> {
  for (const endMs = performance.now() + LEADER_MS_MAX; performance.now() < endMs; await sleep(50)) {
    const leading = coordinators.flatMap(({ said }, at) => {
      const role = said().match(/"msg":"(?:leading|[^"]*(?:leading no more|standing by))/g);
      return role?.at(-1) === '"msg":"leading' ? [at] : [];
    });
    if (leading.length === 1) return leading[0]!;
  }
  throw new Error('no coordinator leads');
}

async function saying({ said }: StoaChild, pattern: RegExp): Promise<void> {
  for (const endMs = performance.now() + LEADER_MS_MAX; performance.now() < endMs; await sleep(50))
    if (pattern.test(said())) return;
  throw new Error(`a coordinator never said ${pattern}`);
}
