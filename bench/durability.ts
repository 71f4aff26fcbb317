// What it costs that nothing is lost: records of the journal, leases, and checkpoints beside the phases. Prints one JSON
// line; exits 1 where journal and leases take 2 % of an epoch or more.
// Usage: npm run bench:durability -- [--folder FOLDER] [--users N] [--items N] [--interactions N] [--device NAME]
//   --folder  to work in (default: the system's temporary folder, which must be on a disk)

import { randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { TrainingClient } from '../client/index.js';
import { systemClock } from '../common/clock.js';
import { STOA_VERSION } from '../common/version.js';
import { DiskGuard } from '../coordinator/journal/disk-guard.js';
import { ParameterStore } from '../coordinator/parameters/parameter-store.js';
import { parseRunConfig } from '../coordinator/plan/run-config.js';
import { openStateFolder } from '../coordinator/state-folder.js';
import { snapshotOf } from '../coordinator/training/checkpoint.js';
import { Checkpoints } from '../coordinator/training/checkpoints.js';
import type { FixedGram } from '../proto/generated/stoa/training/v1/FixedGram.js';
import type { LeaseBlocksRequest } from '../proto/generated/stoa/training/v1/LeaseBlocksRequest.js';
import { CONTROL, CoordinatorLink } from '../worker/coordinator-link.js';
import { freePort, ProcessCluster } from './faults/process-cluster.js';
import { processCpuSeconds } from './scaling/process-cpu.js';
import { machineLine } from './support/machine-line.js';
import { median } from './support/median.js';

/** Of the checkpoints that are timed: MovieLens 20M, 138,493 users, 26,744 items. */
const SHAPE = { users: 138_493, items: 26_744, factors: 64 };
const FACTORS = 128;
const EPOCHS = 5;
const LEASES = 1500;
/** Of them, until both ends run compiled code. */
const WARM_UP = 300;
const HEARTBEAT_MS = 1000;
const SHARE_MAX = 0.02;

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: os.tmpdir() },
    users: { type: 'string', default: '80000' },
    items: { type: 'string', default: '8000' },
    interactions: { type: 'string', default: '4000000' },
    device: { type: 'string', default: 'auto' },
  },
});
const folder = await mkdtemp(path.join(values.folder, 'stoa-durability-'));
try {
  const checkpoints = await checkpointCost(path.join(folder, 'checkpoints'));
  const leases = await leaseCost(path.join(folder, 'cluster'));
  const epochMs = 1000 * leases.epoch_s;
  const spentMs = 2 * checkpoints.journal_ms_a_record + leases.blocks_an_epoch * leases.lease_cpu_ms;
  const share = spentMs / epochMs;
  console.log(
    JSON.stringify({
      machine: machineLine(),
      ...leases,
      ...checkpoints,
      share_of_epoch: Number(share.toFixed(4)),
    }),
  );
  if (share >= SHARE_MAX) {
    console.error(`journal and leases take ${(100 * share).toFixed(1)} % of an epoch`);
    process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Trains with one worker, then lends and takes back blocks of a second run one by one, over a real connection. */
async function leaseCost(dir: string) {
  const cluster = new ProcessCluster(dir);
  const port = await freePort();
  const address = { host: '127.0.0.1', port };
  const client = new TrainingClient({ address, deadlineMs: 60_000 });
  try {
    const dataset = await synthesize(cluster, dir);
    const coordinator = cluster.coordinator(port);
    const datasetFingerprint = await until(() => client.uploadDataset(dataset));
    const flags = ['--coordinator', `127.0.0.1:${port}`, '--threads', '1', '--device', values.device];
    const worker = cluster.stoa(['worker', ...flags, '--cache', path.join(dir, 'cache')]);
    const config = { 'ials.factors': FACTORS, 'train.epochs': EPOCHS, 'ials.solver': 'cg' };
    const runId = await client.submitRun({ datasetFingerprint, config });
    let epochSeconds: number[] = [];
    for await (const run of client.watchRun(runId)) {
      if (run.error !== '') throw new Error(run.error);
      epochSeconds = run.epochSeconds;
    }
    const { blocks } = JSON.parse(
      await readFile(path.join(cluster.stateDir, 'runs', runId, 'plan.json'), 'utf8'),
    ) as { blocks: Record<'users' | 'items', unknown[]> };
    await worker.kill();
    // The worker that is gone may have been lent its first blocks.
    await client.submitRun({ datasetFingerprint, config: { ...config, 'train.deterministic': false } });
    const lease = await lendAndReturn(new CoordinatorLink(address, {}), coordinator.child.pid!);
    // The first epoch also loads the data.
    return {
      epoch_s: Number(median(epochSeconds.slice(1)).toFixed(2)),
      blocks_an_epoch: blocks.users.length + blocks.items.length,
      lease_ms: Number(lease.ms.toFixed(2)),
      lease_cpu_ms: Number(lease.cpuMs.toFixed(2)),
    };
  } finally {
    client.close();
    await cluster.close();
  }
}

async function synthesize(cluster: ProcessCluster, dir: string): Promise<string> {
  const csv = path.join(dir, 'interactions.csv');
  const dataset = path.join(dir, 'data');
  const { users, items, interactions } = values;
  const size = ['--users', users, '--items', items, '--interactions', interactions, '--seed', '1'];
  await cluster.run(['data', 'synthesize', ...size, '--out', csv]);
  await cluster.run(['data', 'import', csv, '--out', dataset]);
  return dataset;
}

/**
 * A lease and what ends it, asked for one after the other: from asking to the answer, median, and what the coordinator
 * computes for them, mean, heartbeats included. Workers ask ahead: they wait for neither while they have a block to solve.
 */
async function lendAndReturn(link: CoordinatorLink, pid: number): Promise<{ ms: number; cpuMs: number }> {
  const device = {
    device: 'portable',
    deviceDetail: '',
    deviceFacts: {},
    reproducibilityKey: 'bench',
    gflops: 0,
  };
  const what = { solvers: ['cg'], gathers: ['f32'], factorsMax: 1024, exchange: '' };
  const request = { name: 'bench', threads: 1, version: STOA_VERSION, ...device, ...what };
  const { sessionId } = await link.call(link.control, CONTROL.RegisterWorker, request);
  const times: number[] = [];
  let cpuStart = 0;
  let beatMs = performance.now();
  let knownGram: FixedGram | null = null;
  const waitDuration = { seconds: 10, nanos: 0 };
  while (times.length < LEASES) {
    const startMs = performance.now();
    const asked: LeaseBlocksRequest = {
      sessionId,
      requestId: randomUUID(),
      count: 1,
      waitDuration,
      knownGram,
    };
    const { leases, fixedGram } = await link.call(link.control, CONTROL.LeaseBlocks, asked, {
      timeoutMs: 15_000,
    });
    if (fixedGram !== null) knownGram = { ...fixedGram, gram: null };
    const leaseIds = leases.map(({ leaseId }) => leaseId);
    await link.call(link.control, CONTROL.ReturnLeases, { sessionId, leaseIds, reason: '', errorCode: '' });
    if (leases.length > 0) times.push(performance.now() - startMs);
    // Before, the run was planned.
    if (times.length === WARM_UP) cpuStart = processCpuSeconds(pid);
    if (performance.now() - beatMs < HEARTBEAT_MS) continue;
    beatMs = performance.now();
    await link.call(link.control, CONTROL.Heartbeat, { sessionId, rssBytes: 0, peakRssBytes: 0 });
  }
  const cpuMs = (1000 * (processCpuSeconds(pid) - cpuStart)) / (times.length - WARM_UP);
  link.close();
  return { ms: median(times.slice(WARM_UP)), cpuMs };
}

/** Tries again until a process that was just started answers. */
async function until<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** Journals and writes two phases an epoch, one after the other, as a coordinator does beside the phases. */
async function checkpointCost(dir: string) {
  const log = pino({ level: 'warn' }, pino.destination(2));
  const onFatal = (error: Error): never => {
    throw error;
  };
  const state = await openStateFolder({ dir, diskReserveBytes: 0, clock: systemClock, log, onFatal });
  const store = new ParameterStore(SHAPE);
  const run = { runId: 'cost', plan: 'cost', config: parseRunConfig({ 'ials.factors': SHAPE.factors }) };
  const journalMs: number[] = [];
  const checkpoints = new Checkpoints({
    dir: path.join(dir, 'checkpoints'),
    keep: 2,
    fence: state.fence,
    guard: new DiskGuard(dir, 0),
    signal: new AbortController().signal,
    clock: systemClock,
    log,
    acknowledge: async (end) => {
      const startMs = performance.now();
      await state.journal.append({ kind: 'phase', run_id: 'cost', end });
      journalMs.push(performance.now() - startMs);
    },
    onWaiting: () => {},
    onFatal,
  });
  const epochs: { cpuMs: number; diskMs: number }[] = [];
  for (let epoch = 0; epoch <= EPOCHS; epoch++) {
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    for (const [n, side] of (['users', 'items'] as const).entries()) {
      store.tables.commit(side);
      checkpoints.begin(snapshotOf(store, run, 2 * epoch + n + 1), async () => {});
      await checkpoints.settle();
    }
    const { user, system } = process.cpuUsage(cpu);
    // The first one writes both tables twice, and warms up.
    if (epoch > 0) epochs.push({ cpuMs: (user + system) / 1000, diskMs: performance.now() - startMs });
  }
  await state.close();
  return {
    checkpoint_megabytes: Math.round(store.tables.byteLength / 1e6),
    checkpoint_cpu_ms: Math.round(median(epochs.map(({ cpuMs }) => cpuMs))),
    checkpoint_disk_ms: Math.round(median(epochs.map(({ diskMs }) => diskMs))),
    journal_ms_a_record: Number(median(journalMs).toFixed(2)),
  };
}
