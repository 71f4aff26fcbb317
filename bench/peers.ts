// Stoa against the implicit package on the same problem: seconds an epoch, peak memory, loss and recall after equal
// epochs, users a second when recommending for all.
//
//   npm run bench:peers -- [--data DATASET | --mooc | --file FILE] [--factors 64,128] [--solvers cg,cholesky]
//     [--threads 1,2] [--epochs 10] [--repeats 3] [--gather f32] [--recommend-users 40000] [--time-to-loss]
//     [--device auto] [--json]
//
// Three columns of seconds: implicit's `fit`; `stoa train` with one worker, as a user gets it; our device alone in one
// process. The runs take turns. Both engines start from the same factors, and one program, bench/peers/evaluate.py,
// judges both. With --time-to-loss, how long Stoa takes to the loss that implicit has after 15 epochs. Exits 1 when the losses differ by more than 0.5 % or the recommendations do.
// The first run makes a Python environment and 10 million synthetic interactions in .stoa-bench/.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { GatherPrecision } from '../models/device.js';
import {
  type Bench,
  judge,
  recommendImplicit,
  recommendStoa,
  type Setting,
  trainImplicit,
  trainKernels,
  trainStoa,
} from './peers/cell.js';
import { type Comparison, objections, recommendTable, trainingTable } from './peers/comparison.js';
import { exportProblem } from './peers/problem.js';
import { describeTimeToLoss, type TimeToLoss, timeToLoss } from './peers/time-to-loss.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { pythonEnvironment } from './support/python-environment.js';

const { values } = parseArgs({
  options: {
    ...DATA_OPTIONS,
    factors: { type: 'string', default: '64,128' },
    solvers: { type: 'string', default: 'cg,cholesky' },
    threads: { type: 'string', default: '1,2' },
    epochs: { type: 'string', default: '10' },
    repeats: { type: 'string', default: '3' },
    gather: { type: 'string', default: 'f32' },
    'time-to-loss': { type: 'boolean', default: false },
    'recommend-users': { type: 'string', default: '40000' },
    device: { type: 'string', default: 'auto' },
    json: { type: 'boolean', default: false },
  },
});

const python = pythonEnvironment();
const data = await benchData(values);
const factorCounts = numbersOf(values.factors);
const problem = await exportProblem(data, factorCounts);
const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-bench-'));
const comparisons: Comparison[] = [];
const timesToLoss: TimeToLoss[] = [];
try {
  const bench: Bench = { problem, python, device: values.device, gather: gatherOf(values.gather), folder };
  for (const factors of factorCounts) {
    for (const solver of values.solvers.split(',') as Setting['solver'][]) {
      for (const threads of numbersOf(values.threads)) {
        const setting = { factors, solver, threads, epochs: Number(values.epochs) };
        comparisons.push(compare(bench, setting));
        if (!values['time-to-loss'] || solver !== 'cg') continue;
        timesToLoss.push(timeToLoss(bench, setting, Number(values.repeats)));
      }
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
print();

/** Runs of one setting, the engines in turns. */
function compare(bench: Bench, setting: Setting): Comparison {
  console.error(`K = ${setting.factors}, ${setting.solver}, ${setting.threads} threads…`);
  const implicitOut = path.join(folder, 'implicit');
  const stoaOut = path.join(folder, 'stoa');
  const repeats = Array.from({ length: Number(values.repeats) });
  const runs = { implicit: [], stoa: [], kernels: [] } as Pick<Comparison, 'implicit' | 'stoa' | 'kernels'>;
  for (const _ of repeats) {
    runs.implicit.push(trainImplicit(bench, setting, implicitOut));
    runs.stoa.push(trainStoa(bench, setting, stoaOut));
    runs.kernels.push(trainKernels(bench, setting));
  }
  const judged = { implicit: judge(bench, implicitOut), stoa: judge(bench, stoaOut) };
  const comparison: Comparison = { ...setting, ...runs, judged };
  const users = Math.min(bench.problem.users, Number(values['recommend-users']));
  if (setting.solver === 'cg' && users > 0) {
    comparison.recommend = { implicit: [], stoa: [] };
    for (const _ of repeats) {
      comparison.recommend.implicit.push(recommendImplicit(bench, stoaOut, setting.threads, users));
      comparison.recommend.stoa.push(recommendStoa(bench, stoaOut, setting, users));
    }
  }
  return comparison;
}

function print(): void {
  const wrong = comparisons.flatMap(objections);
  const { users, items, interactions } = problem;
  if (values.json) {
    const facts = { machine: machineLine(), data: data.name, users, items, interactions };
    process.stdout.write(`${JSON.stringify({ ...facts, comparisons, timesToLoss, objections: wrong })}\n`);
  } else {
    const count = (n: number) => n.toLocaleString('en-US');
    const { device, epochs } = { device: comparisons[0]!.kernels[0]!.device, epochs: values.epochs };
    console.log(machineLine());
    console.log(
      `${data.name}: ${count(users)} users, ${count(items)} items, ${count(interactions)} interactions`,
    );
    console.log(
      `${epochs} epochs, ${values.repeats} times; device ${device}, gather ${values.gather}; BLAS of the peer: ${comparisons[0]!.implicit[0]!.device}`,
    );
    console.log(`\n${trainingTable(comparisons)}`);
    const recommended = recommendTable(comparisons);
    if (recommended !== '') console.log(`\nrecommending 20 unseen items:\n\n${recommended}`);
    for (const time of timesToLoss) console.log(`\n${describeTimeToLoss(time)}`);
  }
  for (const objection of wrong) console.error(`wrong: ${objection}`);
  if (wrong.length > 0) process.exitCode = 1;
}

function gatherOf(text: string): GatherPrecision {
  if (text === 'f32' || text === 'f16') return text;
  throw new Error(`--gather is "${text}" where f32 or f16 was expected`);
}

function numbersOf(text: string): number[] {
  return text.split(',').map(Number);
}
