// A federated run on this machine: the coordinator inside this process, each institution a process beside it with a
// dataset, an identity and a folder of its own.

import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { writeFileAtomic } from '../common/atomic-files.js';
import { StateError } from '../common/errors.js';
import { evaluate, metricsJson } from '../coordinator/evaluation/evaluate.js';
import type { FederationOutcome } from '../coordinator/federation/federation-outcome.js';
import { planOfConfig } from '../coordinator/federation/plan-of-config.js';
import { requireEnough } from '../coordinator/federation/require-enough.js';
import { type Federation, startFederation } from '../coordinator/federation/start-federation.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import { openModel, writeModel } from '../coordinator/registry/model-folder.js';
import { RunFolder, type RunRecord } from '../coordinator/training/run-folder.js';
import type { TrainResult } from '../coordinator/training/train-result.js';
import { type Dataset, openDataset } from '../datasets/dataset.js';
import { partitionDataset, rowsOf } from '../datasets/partition/partition-dataset.js';
import type { DeviceFacts } from '../models/device-facts.js';
import { createIdentity } from '../worker/participant/identity.js';
import { alignInteractions } from './align-interactions.js';
import { deviceArguments } from './device-flags.js';
import { interruptible } from './interrupts.js';
import { type LiveDisplay, openDisplay } from './live-display.js';
import { startLocalProcesses } from './local-processes.js';
import { embeddedLogger, readableLogLine } from './logger.js';
import type { Output } from './output.js';
import { FROM_PARENT } from './parent-address.js';
import { withTemporaryFolder } from './temporary-folder.js';
import type { WorkerSettings } from './worker-flags.js';

/** How long institutions have, after the last round, to fetch the items and write their models. */
const ENDING_MS_MAX = 60_000;

export interface FederatedRun extends Omit<WorkerSettings, 'workers'> {
  dataset: string;
  test?: string;
  config: RunConfig;
  runDir: string;
  participants: number;
  /** `by-user`, `skewed` or `by-column:NAME`. */
  partition: string;
}

/** What a federated run adds to the result of a run. */
export interface FederatedFacts {
  participants: number;
  masking: boolean;
  epsilon?: number;
  rounds: number;
  rounds_failed: number;
  sweeps_cut: number;
  /** Payload of one participant, the mean; all rounds together. */
  bytes_up: number;
  bytes_down: number;
  institutions: { name: string; users: number; interactions: number; bytes_up: number; bytes_down: number }[];
}

export type FederatedResult = TrainResult & { federated: FederatedFacts };

interface Institution {
  name: string;
  dir: string;
  data: string;
  identity: string;
  policy: string;
  model: string;
}

/** Trains to the end; all processes are gone when it settles. @throws {StateError} `STOA_INTERRUPTED` after Ctrl-C. */
export async function runFederated(run: FederatedRun, output: Output): Promise<FederatedResult> {
  const startMs = performance.now();
  const { config, participants } = run;
  const plan = planOfConfig(config, participants);
  const folder = new RunFolder(run.runDir);
  const dataset = await openDataset(run.dataset);
  const record = recordOf(run, dataset);
  requireEnough(participants, plan.cohortMin);
  await folder.create(record, config);
  let hasBegun = false;
  const display = await openDisplay(output);
  try {
    display.print(`spreading ${run.dataset} over ${participants} institutions, ${run.partition}`);
    const institutions = institutionsIn(folder.dir, participants);
    const { owners } = await partitionDataset({
      dataset: run.dataset,
      folders: institutions.map(({ data }) => data),
      partition: run.partition,
      seed: config['train.seed'],
    });
    await makeIdentities(institutions, config);
    hasBegun = true;
    const { outcome, traffic } = await withTemporaryFolder((spoolDir) =>
      coordinate({ run, plan, runId: record.run_id, institutions, spoolDir }, output, display),
    );
    if (!outcome.isComplete)
      throw new StateError('STOA_INTERRUPTED', 'stopped before the last sweep; nothing was kept');
    const merged = await mergeModels({ run, record, dataset, institutions, owners }, display);
    const result = resultOf({
      run,
      record,
      dataset,
      institutions,
      owners,
      outcome,
      traffic,
      merged,
      startMs,
    });
    await folder.writeJson('result.json', result);
    await folder.writeRecord({ ...record, state: 'succeeded', active_ms: result.seconds_total * 1000 });
    return result;
  } catch (error) {
    // What was refused leaves nothing behind.
    if (!hasBegun) await rm(folder.dir, { recursive: true, force: true });
    else
      await folder
        .writeRecord({ ...record, state: 'failed', error: String((error as Error).message) })
        .catch(() => {});
    throw error;
  } finally {
    display.close();
  }
}

function recordOf(run: FederatedRun, dataset: Dataset): RunRecord {
  return {
    format: 'stoa-run',
    version: 1,
    run_id: randomUUID(),
    state: 'running',
    create_time: new Date().toISOString(),
    dataset: path.resolve(run.dataset),
    dataset_fingerprint: dataset.fingerprint,
    ...(run.test === undefined ? {} : { test: path.resolve(run.test) }),
    active_ms: 0,
    phases_done: 0,
  };
}

function institutionsIn(runDir: string, count: number): Institution[] {
  return Array.from({ length: count }, (_, n) => {
    const name = `institution-${n + 1}`;
    const dir = path.join(runDir, 'participants', name);
    const identity = path.join(dir, 'identity');
    return {
      name,
      dir,
      data: path.join(dir, 'data'),
      identity,
      policy: path.join(dir, 'policy.yaml'),
      model: path.join(dir, 'model'),
    };
  });
}

/** The policies say what whoever started the run said: an institution of its own would say what it likes. */
async function makeIdentities(institutions: readonly Institution[], config: RunConfig): Promise<void> {
  const epsilon = config['federated.epsilon'];
  const policy = {
    cohort_min: config['federated.cohort_min'],
    require_masking: config['federated.masking'],
    ...(epsilon === 0
      ? {}
      : { require_privacy: true, epsilon_run_max: epsilon * 1.000001, epsilon_max: epsilon * 1.000001 }),
    ...(epsilon === 0 ? {} : { delta_max: config['federated.delta'] }),
  };
  for (const { name, identity, policy: file } of institutions) {
    await createIdentity(identity, name);
    await writeFileAtomic(file, stringify(policy));
  }
}

interface Coordinated {
  run: FederatedRun;
  plan: ReturnType<typeof planOfConfig>;
  runId: string;
  institutions: readonly Institution[];
  spoolDir: string;
}

async function coordinate(
  { run, plan, runId, institutions, spoolDir }: Coordinated,
  output: Output,
  display: LiveDisplay,
): Promise<{ outcome: FederationOutcome; traffic: ReturnType<Federation['traffic']> }> {
  const { config, participants } = run;
  const warn = (line: string) => (output.modes.quiet ? output.warn(line) : display.print(line));
  const federation = await startFederation({
    runId,
    plan,
    participants,
    seed: config['train.seed'],
    stdDev: config['ials.init_stddev'],
    listen: { host: '127.0.0.1', port: 0 },
    tls: {},
    spoolDir,
    log: embeddedLogger(output, 'federation', warn),
    onSweep: (done, seconds) =>
      display.show({
        lines: [`sweep ${done} of ${plan.sweeps}`],
        line: `sweep ${done} of ${plan.sweeps}: ${seconds.toFixed(2)} s`,
        isMilestone: true,
      }),
  });
  const byName = new Map(institutions.map((one) => [one.name, one]));
  const processes = startLocalProcesses({
    kind: 'institution',
    count: participants,
    argumentsOf: (name) => participantArguments(byName.get(name)!, run, output),
    onLine: (name, line) => display.print(`${name}: ${readableLogLine(line)}`),
    endsByItself: true,
  });
  try {
    processes.connect(federation.address);
    return await interruptible(
      async (signal) => {
        signal.addEventListener('abort', () => federation.stop('the run was stopped'), { once: true });
        const outcome = await Promise.race([federation.outcome, processes.failed]);
        await Promise.race([processes.ended, processes.failed, ending()]);
        return { outcome, traffic: federation.traffic() };
      },
      () => display.print('stopping; Ctrl-C once more ends at once'),
    );
  } finally {
    await processes.stop();
    await federation.close();
  }
}

function participantArguments(one: Institution, run: FederatedRun, output: Output): string[] {
  return [
    'participant',
    '--coordinator',
    FROM_PARENT,
    '--data',
    one.data,
    '--identity',
    one.identity,
    '--policy',
    one.policy,
    '--out',
    one.model,
    '--threads',
    String(run.threads),
    ...deviceArguments(run),
    output.modes.verbose ? '--verbose' : '--quiet',
  ];
}

function ending(): Promise<never> {
  return new Promise((_, reject) => {
    const late = new StateError('STOA_RUN_FAILED', 'an institution did not write its model within a minute');
    setTimeout(() => reject(late), ENDING_MS_MAX).unref();
  });
}

interface Merged {
  metrics: Record<string, unknown> | undefined;
  modelDir: string;
  interactions: number[];
  devices: DeviceFacts[];
}

interface Merge {
  run: FederatedRun;
  record: RunRecord;
  dataset: Dataset;
  institutions: readonly Institution[];
  owners: Int32Array;
}

/** Puts the models of all institutions together, which only somebody who may read them all can do. */
async function mergeModels(
  { run, record, dataset, institutions, owners }: Merge,
  display: LiveDisplay,
): Promise<Merged> {
  const factors = run.config['ials.factors'];
  const userFactors = new Float32Array(dataset.manifest.users * factors);
  let itemFactors = new Float32Array(0);
  const interactions: number[] = [];
  const devices: DeviceFacts[] = [];
  for (const [n, { model: dir }] of institutions.entries()) {
    const model = await openModel(dir);
    for (const [own, row] of rowsOf(owners, n).entries()) {
      userFactors.set(model.userFactors.subarray(own * factors, (own + 1) * factors), row * factors);
    }
    itemFactors = Float32Array.from(model.itemFactors);
    interactions.push(model.history.idx.length);
    devices.push(...((model.manifest.lineage.devices ?? []) as unknown as DeviceFacts[]));
  }
  const history = await dataset.loadCsr('users');
  const userIds = await dataset.userIds();
  const items = await dataset.items();
  let metrics: Record<string, unknown> | undefined;
  if (run.test !== undefined) {
    display.print('evaluating');
    const { interactions: test } = await alignInteractions(await openDataset(run.test), {
      userIds,
      itemIds: items.ids,
    });
    metrics = metricsJson(
      await evaluate({
        train: history,
        test,
        userFactors,
        itemFactors,
        factors,
        threads: os.availableParallelism(),
        seed: run.config['train.seed'],
      }),
    );
  }
  const modelDir = path.join(path.resolve(run.runDir), 'model');
  await writeModel(modelDir, {
    version: record.run_id,
    runId: record.run_id,
    createTime: new Date(),
    config: run.config,
    datasetFingerprint: dataset.fingerprint,
    synthetic: dataset.manifest.synthetic,
    userIds,
    items,
    userFactors,
    itemFactors,
    history,
    metrics,
  });
  return { metrics, modelDir, interactions, devices };
}

function resultOf(
  o: Merge & {
    outcome: FederationOutcome;
    traffic: ReturnType<Federation['traffic']>;
    merged: Merged;
    startMs: number;
  },
): FederatedResult {
  const { run, record, dataset, institutions, owners, outcome, traffic, merged } = o;
  const { config } = run;
  const { users, items, interactions, synthetic } = dataset.manifest;
  const peak = process.resourceUsage().maxRSS * 1024;
  const of = (name: string) => traffic.find((one) => one.name === name)!;
  const mean = (numbers: number[]) => numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
  const epsilon = config['federated.epsilon'];
  return {
    run_id: record.run_id,
    model: config.model,
    users,
    items,
    interactions,
    factors: config['ials.factors'],
    epochs: outcome.sweepSeconds.length,
    solver: config['ials.solver'],
    device: [...new Set(merged.devices.map(({ device }) => device))].sort().join('+'),
    device_detail: uniqueDevices(merged.devices),
    workers: run.participants,
    threads: run.threads,
    seed: config['train.seed'],
    epoch_seconds: outcome.sweepSeconds,
    seconds_total: (performance.now() - o.startMs) / 1000,
    peak_rss_bytes: peak,
    peak_rss_by_process: { coordinator: peak },
    ...(merged.metrics === undefined ? {} : { metrics: merged.metrics }),
    synthetic,
    model_dir: merged.modelDir,
    dataset_fingerprint: dataset.fingerprint,
    federated: {
      participants: run.participants,
      masking: config['federated.masking'],
      ...(epsilon === 0 ? {} : { epsilon }),
      rounds: outcome.rounds,
      rounds_failed: outcome.aborted,
      sweeps_cut: outcome.cuts,
      bytes_up: mean(traffic.map(({ bytesUp }) => bytesUp)),
      bytes_down: mean(traffic.map(({ bytesDown }) => bytesDown)),
      institutions: institutions.map(({ name }, n) => ({
        name,
        users: rowsOf(owners, n).length,
        interactions: merged.interactions[n]!,
        bytes_up: of(name).bytesUp,
        bytes_down: of(name).bytesDown,
      })),
    },
  };
}

function uniqueDevices(devices: readonly DeviceFacts[]): DeviceFacts[] {
  return [...new Map(devices.map((one) => [JSON.stringify(one), one])).values()];
}
