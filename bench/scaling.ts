// What distribution costs on one machine: one worker with two threads against two workers with one thread each, rows
// through memory or over gRPC; and the speed of a gRPC stream of factors alone.
//
//   npm run bench:scaling -- [--data DATASET | --mooc | --file FILE] [--factors 64] [--solver cg] [--epochs 11]
//     [--repeats 3] [--device auto] [--json]
//
// Coordinator and workers are processes of their own; the fleets take turns. All fleets that send rows as f32 train the
// same model bit for bit: the benchmark exits 1 when they do not.

import { parseArgs } from 'node:util';
import { bareStreamSpeed } from './scaling/bare-stream.js';
import { streamSpeed } from './scaling/stream-speed.js';
import { type Fleet, type FleetRun, trainFleet } from './scaling/train-fleet.js';
import { benchData, DATA_OPTIONS } from './support/bench-data.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';
import { median } from './support/median.js';

const FLEETS: readonly Fleet[] = [
  { workers: 1, threads: 2, transfer: 'auto' },
  { workers: 2, threads: 1, transfer: 'auto' },
  { workers: 1, threads: 2, transfer: 'grpc' },
  { workers: 2, threads: 1, transfer: 'grpc' },
  { workers: 2, threads: 1, transfer: 'grpc', wire: 'bf16' },
];

const { values } = parseArgs({
  options: {
    ...DATA_OPTIONS,
    factors: { type: 'string', default: '64' },
    solver: { type: 'string', default: 'cg' },
    epochs: { type: 'string', default: '11' },
    repeats: { type: 'string', default: '3' },
    device: { type: 'string', default: 'auto' },
    json: { type: 'boolean', default: false },
  },
});

const data = await benchData(values);
const settings = {
  'ials.objective': 'hu2008',
  'ials.factors': Number(values.factors),
  'ials.solver': values.solver,
  'train.epochs': Number(values.epochs),
};
const runs: FleetRun[][] = FLEETS.map(() => []);
const speeds: (Awaited<ReturnType<typeof streamSpeed>> & { bareMbps: number })[] = [];
for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
  for (const [n, fleet] of FLEETS.entries()) {
    console.error(`${fleet.workers} × ${fleet.threads}, ${wayOf(fleet)}…`);
    runs[n]!.push(await trainFleet(fleet, { dataset: data.train, settings, device: values.device }));
  }
  speeds.push({ ...(await streamSpeed(10)), bareMbps: await bareStreamSpeed(10) });
}
print();

function print(): void {
  const stream = {
    pull_mbps: median(speeds.map(({ pullMbps }) => pullMbps)),
    push_mbps: median(speeds.map(({ pushMbps }) => pushMbps)),
    bare_mbps: median(speeds.map(({ bareMbps }) => bareMbps)),
  };
  const exact = runs.filter((_, n) => FLEETS[n]!.wire !== 'bf16');
  const models = new Set(exact.flat().map(({ items }) => items));
  if (values.json) {
    const fleets = FLEETS.map((fleet, n) => ({ ...fleet, runs: runs[n] }));
    process.stdout.write(
      `${JSON.stringify({ machine: machineLine(), data: data.name, settings, fleets, stream })}\n`,
    );
  } else {
    console.log(machineLine());
    console.log(
      `${data.name}, K = ${values.factors}, ${values.solver}, ${values.epochs} epochs, ${values.repeats} times; device ${runs[0]![0]!.device}`,
    );
    console.log(`\n${table()}`);
    console.log(
      `\na gRPC stream of factors: ${stream.pull_mbps.toFixed(0)} MB/s from the coordinator, ${stream.push_mbps.toFixed(0)} MB/s to it; bytes by grpc-js alone, checked and copied, ${stream.bare_mbps.toFixed(0)} MB/s`,
    );
  }
  if (models.size === 1) return;
  console.error(`wrong: the fleets trained ${models.size} different models`);
  process.exitCode = 1;
}

function table(): string {
  const head = [
    'workers × threads',
    'rows through',
    'epoch s',
    'ratio',
    'CPU s coordinator',
    'CPU s workers',
  ];
  const more = ['MB up', 'MB down', 'MB coordinator', 'MB workers'];
  const middle = (n: number, value: (run: FleetRun) => number) => median(runs[n]!.map(value));
  const seconds = (n: number) => median(runs[n]!.flatMap(({ epochSeconds }) => epochSeconds.slice(1)));
  const rows = FLEETS.map((fleet, n) => [
    `${fleet.workers} × ${fleet.threads}`,
    wayOf(fleet),
    seconds(n).toFixed(3),
    `${(seconds(n) / seconds(0)).toFixed(2)}×`,
    middle(n, (run) => run.coordinatorCpu).toFixed(3),
    middle(n, (run) => run.workersCpu).toFixed(3),
    middle(n, (run) => moved(run, 'in')).toFixed(1),
    middle(n, (run) => moved(run, 'out')).toFixed(1),
    middle(n, (run) => run.peakRssBytes['coordinator']! / 1e6).toFixed(0),
    middle(n, (run) => workersPeak(run) / 1e6).toFixed(0),
  ]);
  return markdownTable([...head, ...more], rows);
}

function wayOf({ transfer, wire }: Fleet): string {
  if (transfer === 'auto') return 'memory';
  return wire === 'bf16' ? 'gRPC, as bf16' : 'gRPC';
}

/** 10^6 bytes of rows an epoch that the coordinator took in or gave out. */
function moved({ rowBytes }: FleetRun, direction: 'in' | 'out'): number {
  return ((rowBytes[`${direction} message`] ?? 0) + (rowBytes[`${direction} exchange`] ?? 0)) / 1e6;
}

function workersPeak({ peakRssBytes }: FleetRun): number {
  const all = Object.values(peakRssBytes).reduce((sum, bytes) => sum + bytes, 0);
  return all - peakRssBytes['coordinator']!;
}
