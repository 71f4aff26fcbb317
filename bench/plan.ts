// What `stoa plan` says of the time of an epoch, against runs: 1, 2 and 4 workers of one thread on this machine.
//
//   npm run bench:plan -- [--data DATASET | --mooc | --file FILE | --small] [--factors 64] [--solver cg] [--epochs 8]
//     [--repeats 1] [--device auto] [--within 0.3] [--json]
//
// Exits 1 when a plan is off by more than --within of what was measured. --small makes 2 M interactions instead of 10.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { builtEntry } from '../common/package-root.js';
import type { EpochParts } from '../coordinator/plan/simulate-fleet.js';
import { trainFleet } from './scaling/train-fleet.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';
import { median } from './support/median.js';

const WORKERS = [1, 2, 4];
/** Epochs that do not count: the first loads the data, the second still compiles. */
const WARM_UP = 2;

const { values } = parseArgs({
  options: {
    ...DATA_OPTIONS,
    small: { type: 'boolean', default: false },
    factors: { type: 'string', default: '64' },
    solver: { type: 'string', default: 'cg' },
    epochs: { type: 'string', default: '8' },
    repeats: { type: 'string', default: '1' },
    device: { type: 'string', default: 'auto' },
    within: { type: 'string', default: '0.3' },
    json: { type: 'boolean', default: false },
  },
});

/** The part of `stoa plan --json` that is compared. */
interface Planned {
  epoch: { secondsPerEpoch: number; parts: EpochParts; bottleneck: string };
  estimates: { coordinatorBytes: number; workerBytes: number };
}

interface Comparison {
  workers: number;
  planned: number;
  measured: number;
  /** (planned − measured) / measured. */
  error: number;
  bottleneck: string;
  /** CPU seconds an epoch of all processes: more than `measured` × cores is impossible, much less means others ran. */
  cpu: number;
  memory: { planned: number; measured: number }[];
}

const data = await benchData(values);
const settings = {
  'ials.objective': 'hu2008',
  'ials.factors': Number(values.factors),
  'ials.solver': values.solver,
  'train.epochs': Number(values.epochs),
};
const comparisons: Comparison[] = [];
for (const workers of WORKERS) comparisons.push(await compare(workers));
print();

/** Plans right before each run, so that both meet the machine in the same state. */
async function compare(workers: number): Promise<Comparison> {
  const plans: Planned[] = [];
  const seconds: number[] = [];
  const cpu: number[] = [];
  const peaks: { coordinator: number; worker: number }[] = [];
  for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
    console.error(`${workers} workers…`);
    plans.push(await plan(workers));
    const fleet = { workers, threads: 1, transfer: 'auto' } as const;
    const run = await trainFleet(fleet, { dataset: data.train, settings, device: values.device });
    seconds.push(...run.epochSeconds.slice(WARM_UP));
    cpu.push(run.coordinatorCpu + run.workersCpu);
    const { coordinator = 0, ...others } = run.peakRssBytes;
    peaks.push({ coordinator, worker: Math.max(...Object.values(others)) });
  }
  const planned = median(plans.map(({ epoch }) => epoch.secondsPerEpoch));
  const measured = median(seconds);
  const { epoch, estimates } = plans[0]!;
  return {
    workers,
    planned,
    measured,
    error: planned / measured - 1,
    bottleneck: epoch.bottleneck,
    cpu: median(cpu),
    memory: [
      { planned: estimates.coordinatorBytes, measured: median(peaks.map((peak) => peak.coordinator)) },
      { planned: estimates.workerBytes, measured: median(peaks.map((peak) => peak.worker)) },
    ],
  };
}

async function plan(workers: number): Promise<Planned> {
  const flags = ['--workers', String(workers), '--threads', '1', '--device', values.device, '--json'];
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const entry = fileURLToPath(builtEntry('cli/main.js'));
  const args = [entry, 'plan', '--data', data.train, ...flags, ...sets];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 << 20 });
  return JSON.parse(stdout) as Planned;
}

function print(): void {
  if (values.json) {
    process.stdout.write(
      `${JSON.stringify({ machine: machineLine(), data: data.name, settings, comparisons })}\n`,
    );
  } else {
    console.log(machineLine());
    console.log(`${data.name}, K = ${values.factors}, ${values.solver}, ${values.epochs} epochs\n`);
    const head = [
      'workers',
      'planned s',
      'measured s',
      'off by',
      'limited by',
      'CPU s an epoch',
      'MB coordinator',
      'MB a worker',
    ];
    console.log(markdownTable(head, comparisons.map(rowOf)));
  }
  const within = Number(values.within);
  const wrong = comparisons.filter(({ error }) => !(Math.abs(error) <= within));
  for (const { workers, error } of wrong) {
    console.error(
      `wrong: the plan for ${workers} workers is off by ${percent(error)}, more than ${percent(within)}`,
    );
    process.exitCode = 1;
  }
}

function rowOf({
  workers,
  planned,
  measured,
  error,
  bottleneck,
  cpu,
  memory,
}: Comparison): (string | number)[] {
  const megabytes = memory.map((one) => `${mega(one.planned)} of ${mega(one.measured)}`);
  return [
    workers,
    planned.toFixed(3),
    measured.toFixed(3),
    percent(error),
    bottleneck,
    cpu.toFixed(3),
    ...megabytes,
  ];
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function mega(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
