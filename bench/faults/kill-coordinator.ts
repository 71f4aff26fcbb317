// Kills a coordinator with SIGKILL at random instants, again and again, while workers train for it, and looks each time
// at what the next one makes of what it finds.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect as connectTo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrainingClient } from '../../client/index.js';
import { createRandom } from '../../common/random.js';
import { applyEntry, emptyState, type JournalState } from '../../coordinator/journal/journal-state.js';
import { listTerms, readTerm } from '../../coordinator/journal/read-terms.js';
import { parseRunConfig, phasesPerEpoch } from '../../coordinator/plan/run-config.js';
import { readSafetensors } from '../../coordinator/registry/safetensors.js';
import { freePort, ProcessCluster } from './process-cluster.js';

export interface KillOptions {
  /** An empty folder to work in. */
  folder: string;
  /** Dataset folder. */
  dataset: string;
  /** Of every run: all must end with the same bytes. */
  settings: Record<string, unknown>;
  kills: number;
  seed: number;
  /** Longest life of a coordinator, from its start, milliseconds. */
  lifeMsMax: number;
  onKill?: (n: number, lifeMs: number) => void;
}

export interface KillReport {
  kills: number;
  /** Runs that were submitted and acknowledged, all of which ended with a model. */
  runs: number;
  /** SHA-256 of the item factors that they ended with: one, if all is well. */
  models: string[];
  /** Phases that the journal had when a coordinator was killed, over all kills. */
  phases: number;
  /** Kills in the middle of a write: there was a record, a checkpoint or a temporary file that was not finished. */
  unfinished: number;
  /** From the start of the process to its first answer, milliseconds. */
  answeredMs: number[];
  /** From the start of the process to the first block that a worker delivered to it, milliseconds. */
  goingOnMs: number[];
}

/** One coordinator in so many is killed before it has answered anybody. */
const EARLY_EACH = 4;
/** More than it takes on a machine that others use too. */
const GOING_ON_MS_MAX = 60_000;

/** @throws an Error that says which acknowledged thing was lost. */
export async function killCoordinator(options: KillOptions): Promise<KillReport> {
  const { folder, kills, seed, lifeMsMax, onKill } = options;
  const random = createRandom(seed, 1);
  const cluster = new ProcessCluster(folder);
  const port = await freePort();
  const connect = () => new TrainingClient({ address: { host: '127.0.0.1', port }, deadlineMs: 30_000 });
  let client = connect();
  const counts = { kills, runs: 0, phases: 0, unfinished: 0 };
  const report: KillReport = { ...counts, models: [], answeredMs: [], goingOnMs: [] };
  const acknowledged: string[] = [];
  try {
    let coordinator = cluster.coordinator(port);
    for (const name of ['w1', 'w2']) cluster.worker(name, [port]);
    const fingerprint = await patiently(() => client.uploadDataset(options.dataset));
    const submit = async () => {
      const settings = { isPatient: true, deadlineMs: 20_000 };
      acknowledged.push(
        await client.submitRun({ datasetFingerprint: fingerprint, config: options.settings }, settings),
      );
    };
    await submit();
    let lifeMs = random.next() * lifeMsMax;
    for (let n = 1; n <= kills; n++) {
      await sleep(lifeMs);
      await coordinator.kill();
      onKill?.(n, lifeMs);
      const before = await journalOf(cluster.stateDir, report);
      for (const id of acknowledged)
        if (!before.runs.has(id)) throw new Error(`run ${id} is not in the journal`);
      const startMs = performance.now();
      coordinator = cluster.coordinator(port);
      if (n % EARLY_EACH === 0) {
        // The next one is killed while it takes up what it finds.
        lifeMs = random.next() * (report.answeredMs.at(-1) ?? lifeMsMax);
        continue;
      }
      lifeMs = random.next() * lifeMsMax;
      // One that has just found nobody waits before it tries again: what is measured is the coordinator.
      client.close();
      await untilListening(port);
      client = connect();
      await client.getRun(acknowledged[0]!, { isPatient: true, deadlineMs: 20_000 });
      report.answeredMs.push(Math.round(performance.now() - startMs));
      await compare(client, before);
      // There is always something to be disturbed at.
      const unfinished = await unfinishedRun(client);
      if (unfinished === undefined) await submit();
      else if (await isGoingOn(client, unfinished))
        report.goingOnMs.push(Math.round(performance.now() - startMs));
    }
    await client.getRun(acknowledged[0]!, { isPatient: true, deadlineMs: 20_000 });
    for (const id of acknowledged) report.models.push(await modelOf(client, cluster.stateDir, id));
    report.models = [...new Set(report.models)];
    report.runs = acknowledged.length;
    return report;
  } finally {
    client.close();
    await cluster.close();
  }
}

/** The bytes that the same run ends with when nobody disturbs it. */
export async function undisturbed(
  options: Pick<KillOptions, 'folder' | 'dataset' | 'settings'>,
): Promise<string> {
  const cluster = new ProcessCluster(options.folder);
  const port = await freePort();
  const client = new TrainingClient({ address: { host: '127.0.0.1', port } });
  try {
    cluster.coordinator(port);
    cluster.worker('w1', [port]);
    const datasetFingerprint = await patiently(() => client.uploadDataset(options.dataset));
    const id = await client.submitRun({ datasetFingerprint, config: options.settings });
    return await modelOf(client, cluster.stateDir, id);
  } finally {
    client.close();
    await cluster.close();
  }
}

/** Resolves when workers have delivered to the coordinator that answers; false when the run has ended before that was seen. */
export async function isGoingOn(client: TrainingClient, runId: string): Promise<boolean> {
  let epochsFirst: number | undefined;
  for (const endMs = performance.now() + GOING_ON_MS_MAX; performance.now() < endMs; await sleep(20)) {
    const { state, phase, blocksDone, epochsDone } = await client.getRun(runId);
    if (state === 'RUN_STATE_SUCCEEDED') return false;
    if (phase !== 'users' && phase !== 'items') continue;
    epochsFirst ??= epochsDone;
    if (blocksDone > 0 || epochsDone > epochsFirst) return true;
  }
  throw new Error(`run ${runId} did not go on within ${GOING_ON_MS_MAX / 1000} s`);
}

/** What the killed coordinator had acknowledged at most; its journal must be whole. */
async function journalOf(stateDir: string, report: KillReport): Promise<JournalState> {
  const journalDir = path.join(stateDir, 'journal');
  const state = emptyState();
  for (const term of (await listTerms(journalDir)).reverse()) {
    const { entries, damage } = await readTerm(journalDir, term);
    if (damage !== undefined) {
      // Only a term that was cut off before its first record was complete may be unreadable.
      if (entries.length > 0) throw new Error(`the journal is damaged after a kill: ${damage}`);
      report.unfinished++;
      continue;
    }
    for (const entry of entries) applyEntry(state, entry);
    report.phases += entries.filter(({ kind }) => kind === 'phase').length;
    return state;
  }
  return state;
}

/** A coordinator that was started again knows at least what the journal says. */
async function compare(client: TrainingClient, before: JournalState): Promise<void> {
  const runs = new Map((await client.listRuns()).map((run) => [run.runId, run]));
  for (const [id, { record, phases, config }] of before.runs) {
    const run = runs.get(id);
    if (run === undefined) throw new Error(`run ${id} is gone`);
    const hadEnded = record.state === 'succeeded';
    if (hadEnded && run.state !== 'RUN_STATE_SUCCEEDED')
      throw new Error(`run ${id} had succeeded: ${run.state}`);
    if (run.state === 'RUN_STATE_FAILED') throw new Error(`run ${id} failed: ${run.error}`);
    const epochs = Math.floor((phases.at(-1)?.next_phase ?? 0) / phasesPerEpoch(parseRunConfig(config)));
    // A run that is being taken up shows its epochs once its tables are read.
    if (run.phase !== '' && run.phase !== 'planning' && run.epochsDone < epochs) {
      throw new Error(`run ${id} had ${epochs} epochs on disk, and has ${run.epochsDone}`);
    }
  }
}

/** The run that is taken up first. */
async function unfinishedRun(client: TrainingClient): Promise<string | undefined> {
  const runs = await client.listRuns();
  return runs.find(({ state }) => state === 'RUN_STATE_QUEUED' || state === 'RUN_STATE_RUNNING')?.runId;
}

async function modelOf(client: TrainingClient, stateDir: string, runId: string): Promise<string> {
  for await (const { state, error } of client.watchRun(runId)) {
    if (state === 'RUN_STATE_FAILED') throw new Error(`run ${runId} failed: ${error}`);
  }
  return itemsHash(path.join(stateDir, 'runs', runId));
}

/** SHA-256 of the item factors of a run. */
export async function itemsHash(runDir: string): Promise<string> {
  const file = path.join(runDir, 'model', 'factors.safetensors');
  await readFile(path.join(runDir, 'result.json'));
  const { data } = (await readSafetensors(file)).get('item_factors')!;
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

async function untilListening(port: number): Promise<void> {
  for (const endMs = performance.now() + GOING_ON_MS_MAX; performance.now() < endMs; await sleep(20)) {
    const socket = connectTo(port, '127.0.0.1');
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
  }
  throw new Error(`nobody listens on port ${port}`);
}

/** Tries again until a process that was just started answers. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await sleep(100);
    }
  }
}
