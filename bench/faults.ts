// Kills what trains, as often as asked. Prints one JSON line for each kind of kill; where something that was
// acknowledged is lost it says what, and exits 1.
// Usage: npm run bench:faults -- [--kills N] [--coordinator-kills N] [--seed N]
//   --kills              of a process that does nothing but end phases, about a second each (default 300)
//   --coordinator-kills  of a coordinator with two workers and a client, some seconds each (default 30)

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../common/errors.js';
import { killCoordinator, undisturbed } from './faults/kill-coordinator.js';
import { killPhaseWriter } from './faults/kill-phase-writer.js';
import { ProcessCluster } from './faults/process-cluster.js';

const SETTINGS = { 'ials.factors': 32, 'train.epochs': 60, 'ials.solver': 'cg' };

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    'coordinator-kills': { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
  },
});
const seed = Number(values.seed);
const folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-faults-'));
try {
  const phases = await killPhaseWriter({
    folder: path.join(folder, 'phases'),
    kills: Number(values.kills),
    seed,
    lifeMsMax: 150,
  });
  console.log(JSON.stringify({ killed: 'phase writer', ...phases }));
  await killCoordinators(Number(values['coordinator-kills']));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function killCoordinators(kills: number): Promise<void> {
  if (kills === 0) return;
  const dataset = path.join(folder, 'data');
  const csv = path.join(folder, 'interactions.csv');
  const maker = new ProcessCluster(folder);
  const size = ['--users', '3000', '--items', '300', '--interactions', '50000', '--seed', '1'];
  await maker.stoa(['data', 'synthesize', ...size, '--out', csv]).ended;
  await maker.stoa(['data', 'import', csv, '--out', dataset]).ended;
  const expected = await undisturbed({ folder: path.join(folder, 'calm'), dataset, settings: SETTINGS });
  const report = await killCoordinator({
    folder: path.join(folder, 'killed'),
    dataset,
    settings: SETTINGS,
    kills,
    seed,
    lifeMsMax: 3000,
  });
  const { recoveryMs, models, ...counts } = report;
  const sorted = [...recoveryMs].sort((a, b) => a - b);
  const recovery = { median: sorted[Math.floor(sorted.length / 2)], worst: sorted.at(-1) };
  console.log(JSON.stringify({ killed: 'coordinator', ...counts, recovery_ms: recovery }));
  if (models.length !== 1 || models[0] !== expected)
    throw new Error('a run ended with other bytes than undisturbed');
}
