// Kills what trains, as often as asked. Prints one JSON line for each kind of kill; where something that was
// acknowledged is lost it says what, and exits 1.
// Usage: npm run bench:faults -- [--kills N] [--coordinator-kills N] [--leader-kills N] [--worker-losses N] [--seed N]
//          [--folder FOLDER]
//   --kills              of a process that does nothing but lend blocks and end phases, half a second each (default 300)
//   --coordinator-kills  of a coordinator with two workers and a client, some seconds each, twice (default 30)
//   --leader-kills       of the leader of two coordinators over a real etcd, some seconds each (default 5)
//   --worker-losses      of one of three workers, for good: it must not cost more than its share and 6 s (default 3)
//   --folder             to work in (default: the system's temporary folder, which must be on a disk)

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../common/errors.js';
import { createRandom } from '../common/random.js';
import { findEtcd } from './faults/etcd-process.js';
import { killCoordinator, undisturbed } from './faults/kill-coordinator.js';
import { killLeaders } from './faults/kill-leader.js';
import { killPhaseWriter } from './faults/kill-phase-writer.js';
import { loseWorker } from './faults/lose-worker.js';
import { ProcessCluster } from './faults/process-cluster.js';

const SETTINGS = {
  ials: { 'ials.factors': 32, 'train.epochs': 60, 'ials.solver': 'cg' },
  bpr: { model: 'bpr', 'bpr.factors': 32, 'train.epochs': 60, 'train.steps': 4 },
};

/**
 * Of what was left when a worker of three died, the others take half as long again, and 6 s to find out: where each has
 * a core. Where they share one, what its death frees is theirs, and the bound is generous by that half.
 */
const LOSS_SECONDS_MAX = 6;
const LOSS_SHARE = 0.5;

/** Kills between two lines that say how far it is. */
const PROGRESS_EACH = 50;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    'coordinator-kills': { type: 'string', default: '30' },
    'leader-kills': { type: 'string', default: '5' },
    'worker-losses': { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    folder: { type: 'string', default: os.tmpdir() },
  },
});
const seed = Number(values.seed);
await mkdir(values.folder, { recursive: true });
const folder = await mkdtemp(path.join(values.folder, 'stoa-faults-'));
try {
  await killPhaseWriters(Number(values.kills));
  for (const model of ['ials', 'bpr'] as const)
    await killCoordinators(model, Number(values['coordinator-kills']));
  await killTheLeaders(Number(values['leader-kills']));
  await loseWorkers(Number(values['worker-losses']));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function killPhaseWriters(kills: number): Promise<void> {
  if (kills === 0) return;
  const { goingOnMs, ...counts } = await killPhaseWriter({
    folder: path.join(folder, 'phases'),
    kills,
    seed,
    lifeMsMax: 150,
    onKill: ({ kills: done, acknowledged, lent }) => {
      if (done % PROGRESS_EACH === 0)
        console.error(`${done} kills: ${acknowledged} phases acknowledged, ${lent} blocks lent`);
    },
  });
  console.log(JSON.stringify({ killed: 'phase writer', ...counts, going_on_ms: spread(goingOnMs) }));
}

async function killCoordinators(model: keyof typeof SETTINGS, kills: number): Promise<void> {
  if (kills === 0) return;
  const dataset = await syntheticData();
  const settings = SETTINGS[model];
  const expected = await undisturbed({ folder: path.join(folder, `${model}-calm`), dataset, settings });
  const report = await killCoordinator({
    folder: path.join(folder, `${model}-killed`),
    dataset,
    settings,
    kills,
    seed,
    lifeMsMax: 3000,
    onKill: (n) => {
      if (n % PROGRESS_EACH === 0) console.error(`${n} kills of a coordinator`);
    },
  });
  const { answeredMs, goingOnMs, models, ...counts } = report;
  const times = { answered_ms: spread(answeredMs), going_on_ms: spread(goingOnMs) };
  console.log(JSON.stringify({ killed: 'coordinator', model, ...counts, ...times }));
  if (models.length !== 1 || models[0] !== expected)
    throw new Error('a run ended with other bytes than undisturbed');
}

async function killTheLeaders(kills: number): Promise<void> {
  if (kills === 0) return;
  const { program, reason } = findEtcd();
  if (reason !== '') throw new Error(reason);
  const dataset = await syntheticData();
  const settings = { ...SETTINGS.ials, 'train.epochs': 60 * kills };
  const expected = await undisturbed({ folder: path.join(folder, 'leaders-calm'), dataset, settings });
  const work = { folder: path.join(folder, 'leaders-killed'), etcd: program, dataset, settings, kills };
  const { answeredMs, goingOnMs, model } = await killLeaders(work);
  const times = { answered_ms: spread(answeredMs), going_on_ms: spread(goingOnMs) };
  console.log(JSON.stringify({ killed: 'leader', kills, ...times }));
  if (model !== expected) throw new Error('a run ended with other bytes than undisturbed');
}

async function loseWorkers(losses: number): Promise<void> {
  if (losses === 0) return;
  const dataset = await syntheticData();
  const settings = { ...SETTINGS.ials, 'train.epochs': 150 };
  const calm = await loseWorker({ folder: path.join(folder, 'workers-calm'), dataset, settings });
  const random = createRandom(seed, 2);
  for (let n = 1; n <= losses; n++) {
    const killAfter = (0.1 + 0.7 * random.next()) * calm.seconds;
    const work = { folder: path.join(folder, `workers-lost-${n}`), dataset, settings, killAfter };
    const { seconds, killedAt, model } = await loseWorker(work);
    const lost = seconds - calm.seconds;
    const share = LOSS_SHARE * Math.max(0, calm.seconds - killedAt!);
    const round = (value: number) => Number(value.toFixed(2));
    const times = { calm_s: calm.seconds, killed_at_s: killedAt!, seconds, lost_s: lost, share_s: share };
    const rounded = Object.entries(times).map(([name, value]) => [name, round(value)]);
    console.log(JSON.stringify({ killed: 'worker for good', ...Object.fromEntries(rounded) }));
    if (model !== calm.model) throw new Error('a run ended with other bytes than undisturbed');
    if (lost > share + LOSS_SECONDS_MAX)
      throw new Error(`a lost worker cost ${round(lost)} s, more than its share and ${LOSS_SECONDS_MAX} s`);
  }
}

/** Made once. */
async function syntheticData(): Promise<string> {
  const dataset = path.join(folder, 'data');
  if (existsSync(dataset)) return dataset;
  const csv = path.join(folder, 'interactions.csv');
  const maker = new ProcessCluster(folder);
  const size = ['--users', '3000', '--items', '300', '--interactions', '50000', '--seed', '1'];
  await maker.run(['data', 'synthesize', ...size, '--out', csv]);
  await maker.run(['data', 'import', csv, '--out', dataset]);
  return dataset;
}

function spread(values: readonly number[]): { median: number; p99: number; worst: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!);
  return { median: at(0.5), p99: at(0.99), worst: at(1) };
}
