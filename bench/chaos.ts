// Trains on real processes while they are killed, frozen and asked to leave, and while what goes between them is late,
// held back, cut off and half closed. Prints a line for each round and a table at the end; exits 1 when a round ended
// with other bytes than undisturbed, or not at all, and keeps its folder.
// Usage: npm run chaos -- [--rounds N] [--seed N] [--faults N] [--epochs N] [--folder FOLDER] [--json]
//   --seed    of the first round; the next has the next: a round is repeated with --rounds 1 --seed ITS-SEED
//   --faults  planned for each round (default 10)
//   --epochs  of each run of ials (default 120), three times those of bpr: how long there is something to disturb
//   --folder  to work in (default: the system's temporary folder, which must be on a disk)

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../common/errors.js';
import type { Fault, Target } from './faults/chaos-plan.js';
import { type ChaosReport, chaosRound, undisturbedModel } from './faults/chaos-round.js';
import { ProcessCluster } from './faults/process-cluster.js';
import { markdownTable } from './support/markdown-table.js';

/** A round that was hit less often shows too little to count. */
const FAULTS_MIN = 3;
/** One round in four has its rows in so many parameter processes. */
const PARAMETERS = 2;
/** Of the table at the end. */
const COLUMNS = ['coordinator', 'worker', 'parameters', 'link'] as const;

interface Outcome {
  seed: number;
  model: string;
  transfer: 'auto' | 'grpc';
  /** Parameter processes that have the rows. */
  parameters: number;
  report?: ChaosReport;
  /** Empty: the bytes of an undisturbed run. */
  problem: string;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: '10' },
    epochs: { type: 'string', default: '120' },
    folder: { type: 'string', default: os.tmpdir() },
    json: { type: 'boolean', default: false },
  },
});
const epochs = Number(values.epochs);
const SETTINGS = {
  ials: { 'ials.factors': 32, 'train.epochs': epochs, 'ials.solver': 'cg' },
  bpr: { model: 'bpr', 'bpr.factors': 32, 'train.epochs': Math.ceil(epochs / 3), 'train.steps': 4 },
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
const folder = await mkdtemp(path.join(values.folder, 'stoa-chaos-'));
const dataset = await syntheticData();
const calm = new Map<string, string>();
const outcomes: Outcome[] = [];
for (let n = 0; n < Number(values.rounds); n++) {
  const outcome = await playRound(Number(values.seed) + n);
  outcomes.push(outcome);
  if (!values.json) console.log(lineOf(outcome));
}
const failed = outcomes.filter(({ problem }) => problem !== '');
console.log(values.json ? JSON.stringify({ rounds: outcomes }) : `\n${tableOf(outcomes)}`);
if (failed.length === 0) await rm(folder, { recursive: true, force: true });
else {
  process.exitCode = 1;
  for (const { seed, problem } of failed)
    console.error(`seed ${seed}: ${problem}; its folder is ${path.join(folder, `${seed}`)}`);
}

/** The seed decides the model and the way of the rows too, so that it alone repeats a round. */
async function playRound(seed: number): Promise<Outcome> {
  const model = seed % 3 === 0 ? 'bpr' : 'ials';
  const transfer = seed % 2 === 0 ? 'grpc' : 'auto';
  const parameters = seed % 4 === 3 ? PARAMETERS : 0;
  const outcome: Outcome = { seed, model, transfer, parameters, problem: '' };
  const work = { dataset, settings: SETTINGS[model] };
  const roundFolder = path.join(folder, `${seed}`);
  try {
    const expected =
      calm.get(model) ?? (await undisturbedModel({ folder: path.join(folder, `calm-${model}`), ...work }));
    calm.set(model, expected);
    outcome.report = await chaosRound({
      folder: roundFolder,
      ...work,
      transfer,
      parameters,
      seed,
      faults: Number(values.faults),
    });
    const hits = outcome.report.faults.length;
    if (outcome.report.model !== expected) outcome.problem = 'other bytes than undisturbed';
    else if (hits < FAULTS_MIN) outcome.problem = `only ${hits} faults hit it: raise --epochs`;
    else await rm(roundFolder, { recursive: true, force: true });
  } catch (error) {
    outcome.problem = messageOf(error);
  }
  return outcome;
}

function lineOf({ seed, model, transfer, parameters, report, problem }: Outcome): string {
  const way = transfer === 'grpc' ? 'rows over gRPC' : 'rows in memory';
  const head = `seed ${seed}  ${model} ${parameters > 0 ? 'rows in parameter processes' : way}`;
  const verdict = problem === '' ? 'same bytes' : `FAILED: ${problem}`;
  if (report === undefined) return `${head}  ${verdict}`;
  const faults = report.faults.map(faultText).join(', ');
  return `${head}  ${(report.tookMs / 1000).toFixed(1)} s  ${verdict}  ${faults}`;
}

function faultText({ target, kind, forMs, direction }: Fault): string {
  const way = kind === 'half-close' || kind.startsWith('stall') ? ` ${direction}` : '';
  return `${kind}${way} ${target}${forMs === 0 ? '' : ` ${(forMs / 1000).toFixed(1)} s`}`;
}

/** How often each kind of fault was done, by what it was done to. */
function tableOf(all: readonly Outcome[]): string {
  const counts = new Map<string, Record<(typeof COLUMNS)[number], number>>();
  for (const { target, kind } of all.flatMap(({ report }) => report?.faults ?? [])) {
    const row = counts.get(kind) ?? { coordinator: 0, worker: 0, parameters: 0, link: 0 };
    row[columnOf(target)]++;
    counts.set(kind, row);
  }
  const rows = [...counts].sort().map(([kind, row]) => [kind, ...COLUMNS.map((column) => row[column])]);
  const total = rows.reduce((sum, [, ...row]) => sum + row.reduce<number>((a, b) => a + Number(b), 0), 0);
  const same = all.filter(({ problem }) => problem === '').length;
  const bytes = all.reduce((sum, { report }) => sum + (report?.proxiedBytes ?? 0), 0);
  return [
    markdownTable(['fault', ...COLUMNS], rows),
    `${same} of ${all.length} rounds ended with the undisturbed bytes; ${total} faults, ${Math.round(bytes / 1e6)} MB through the proxies`,
  ].join('\n\n');
}

function columnOf(target: Target): (typeof COLUMNS)[number] {
  if (target === 'coordinator') return target;
  if (target.startsWith('p')) return 'parameters';
  return target.endsWith('-link') ? 'link' : 'worker';
}

async function syntheticData(): Promise<string> {
  const out = path.join(folder, 'data');
  const csv = path.join(folder, 'interactions.csv');
  const maker = new ProcessCluster(folder);
  const size = ['--users', '3000', '--items', '300', '--interactions', '50000', '--seed', '1'];
  await maker.run(['data', 'synthesize', ...size, '--out', csv]);
  await maker.run(['data', 'import', csv, '--out', out]);
  return out;
}
