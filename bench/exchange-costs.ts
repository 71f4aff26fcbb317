// What it costs to move rows and to lend blocks, in CPU seconds of the processes at both ends: the constants of
// coordinator/plan/exchange-costs.ts. Trains data of four shapes with 1 and 3 workers and solves for what differs.
//
//   taskset -c 0 npm run bench:exchange-costs -- [--repeats 3] [--json]
//
// Bound to one core, processes do not slow each other's memory down, and their CPU time is what they did.

import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { planRun } from '../coordinator/plan/plan-run.js';
import { objectiveOf, parseRunConfig, solverOf } from '../coordinator/plan/run-config.js';
import { openDataset } from '../datasets/dataset.js';
import { importInteractions } from '../datasets/import/import-interactions.js';
import { synthesize } from '../datasets/synthesize/synthesize.js';
import { openDevice } from '../worker/devices/device-registry.js';
import { initialItems } from './peers/problem.js';
import { type Fleet, trainFleet } from './scaling/train-fleet.js';
import { benchFolder } from './support/bench-folder.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';
import { median } from './support/median.js';
import { solveEpochs } from './support/solve-epochs.js';

/** One block of a side and next to no bytes; a dozen blocks of few and of many bytes. `cholesky` prepares no table. */
const SHAPES = {
  tiny: { users: 1500, items: 400, interactions: 20_000, factors: 16, epochs: 60 },
  narrow: { users: 20_000, items: 5000, interactions: 200_000, factors: 64, epochs: 24 },
  wide: { users: 120_000, items: 30_000, interactions: 600_000, factors: 64, epochs: 10 },
} as const;
type Shape = keyof typeof SHAPES;
const MANY = 3;

const { values } = parseArgs({
  options: { repeats: { type: 'string', default: '3' }, json: { type: 'boolean', default: false } },
});

/** CPU seconds an epoch. */
interface Spent {
  coordinator: number;
  workers: number;
  seconds: number;
}

/** What a shape moves an epoch, and what that takes. */
interface Cell {
  bytes: number;
  blocks: number;
  one: Spent;
  many: Spent;
  /** CPU seconds an epoch of the device alone. */
  device: number;
}

const NAMES = Object.keys(SHAPES) as Shape[];
const costs = { memory: await costsOf('auto'), messages: await costsOf('grpc') };
if (values.json) console.log(JSON.stringify({ machine: machineLine(), ...costs }));
else {
  console.log(`${machineLine()}\n`);
  const head = ['CPU', ...Object.keys(costs.memory)];
  const rows = Object.entries(costs).map(([way, found]) => [way, ...Object.values(found).map(short)]);
  console.log(markdownTable(head, rows));
}

async function costsOf(transfer: Fleet['transfer']) {
  const cells = {} as Record<Shape, Cell>;
  for (const shape of NAMES) cells[shape] = await cellOf(shape, transfer);
  const { narrow, wide } = cells;
  // What each worker more takes: the bytes that it reads, and a fixed part of each of the two phases.
  const added = (cell: Cell, end: 'coordinator' | 'workers') => (cell.many[end] - cell.one[end]) / (MANY - 1);
  const line = (end: 'coordinator' | 'workers') => {
    const byte = (added(wide, end) - added(narrow, end)) / (wide.bytes - narrow.bytes);
    return { byte, phase: (added(narrow, end) - byte * narrow.bytes) / 2 };
  };
  const [atCoordinator, atWorker] = [line('coordinator'), line('workers')];
  // What one worker takes besides: bytes that are delivered, blocks, and what a phase takes whoever takes part.
  const terms = NAMES.map((shape) => [cells[shape].bytes, cells[shape].blocks, 2]);
  const left = NAMES.map((shape) => cells[shape].one.coordinator - 2 * atCoordinator.phase);
  const [up, block, phase] = solve(terms, left);
  const own = NAMES.map((shape) => cells[shape].one.workers - cells[shape].device);
  const [workerUp, workerBlock, workerPhase] = solve(terms, own);
  return {
    'down ns/B': 1e9 * atCoordinator.byte,
    'up ns/B': 1e9 * up!,
    'worker down ns/B': 1e9 * atWorker.byte,
    'worker up ns/B': 1e9 * workerUp!,
    'block ms': 1e3 * block!,
    'worker block ms': 1e3 * workerBlock!,
    'phase ms': 1e3 * phase!,
    'phase and worker ms': 1e3 * atCoordinator.phase,
    'worker phase ms': 1e3 * atWorker.phase,
    'first worker phase ms': 1e3 * workerPhase!,
    'tiny phase, wall ms': (1e3 * cells.tiny.one.seconds) / 2,
  };
}

async function cellOf(shape: Shape, transfer: Fleet['transfer']): Promise<Cell> {
  const { users, items, factors, epochs } = SHAPES[shape];
  const settings = { 'ials.factors': factors, 'ials.solver': 'cholesky', 'train.epochs': epochs };
  const data = await dataOf(shape);
  const spent = async (workers: number): Promise<Spent> => {
    const runs: Spent[] = [];
    for (let repeat = 0; repeat < Number(values.repeats); repeat++) {
      console.error(`${shape}, ${transfer}, ${workers} workers…`);
      const request = { dataset: data, settings, device: 'native' };
      const run = await trainFleet({ workers, threads: 1, transfer }, request);
      const { coordinatorCpu: coordinator, workersCpu } = run;
      runs.push({ coordinator, workers: workersCpu, seconds: median(run.epochSeconds.slice(2)) });
    }
    const middle = (key: keyof Spent) => median(runs.map((run) => run[key]));
    return { coordinator: middle('coordinator'), workers: middle('workers'), seconds: middle('seconds') };
  };
  return {
    bytes: 4 * factors * (users + items),
    blocks: await blocksOf(data, settings),
    one: await spent(1),
    many: await spent(MANY),
    device: await deviceCpu(data, settings),
  };
}

async function dataOf(shape: Shape): Promise<string> {
  const { users, items, interactions } = SHAPES[shape];
  const folder = path.join(benchFolder, 'data', `exchange-${shape}`);
  const out = path.join(folder, 'whole');
  if (existsSync(out)) return out;
  const made = path.join(folder, 'interactions.parquet');
  await synthesize({ users, items, interactions, seed: 1, out: made });
  await importInteractions({ files: [made], out, synthetic: true });
  rmSync(made);
  return out;
}

async function blocksOf(data: string, settings: Record<string, string | number>): Promise<number> {
  const dataset = await openDataset(data);
  const { blocks } = planRun({
    counts: dataset.manifest,
    rowCounts: { users: await dataset.rowCounts('users'), items: await dataset.rowCounts('items') },
    shards: dataset.manifest.shards,
    config: parseRunConfig(settings),
    workers: 1,
    threads: 1,
  });
  return blocks.users.length + blocks.items.length;
}

/** The same epochs without a coordinator; what the start takes is in both numbers of epochs. */
async function deviceCpu(data: string, settings: Record<string, string | number>): Promise<number> {
  const config = parseRunConfig(settings);
  const factors = config['ials.factors'];
  const { items } = (await openDataset(data)).manifest;
  const device = await openDevice('native', { threads: 1 });
  const cpuOf = async (epochs: number): Promise<number> => {
    const start = process.cpuUsage();
    const request = { dataset: data, device, objective: objectiveOf(config), solver: solverOf(config) };
    await solveEpochs({ ...request, items: initialItems(items, factors), factors, epochs });
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1e6;
  };
  try {
    const [few, many] = [await cpuOf(2), await cpuOf(12)];
    return (many - few) / 10;
  } finally {
    await device.dispose();
  }
}

/** As many equations as unknowns; what is measured below zero is nothing. */
function solve(terms: readonly (readonly number[])[], values: readonly number[]): number[] {
  const rows = terms.map((row, at) => [...row, values[at]!]);
  for (let column = 0; column < rows.length; column++) {
    const pivot = rows
      .slice(column)
      .reduce((most, row) => (Math.abs(row[column]!) > Math.abs(most[column]!) ? row : most));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(column, 0, pivot);
    for (const row of rows) {
      if (row === pivot) continue;
      const factor = row[column]! / pivot[column]!;
      for (let k = column; k <= rows.length; k++) row[k] = row[k]! - factor * pivot[k]!;
    }
  }
  return rows.map((row, at) => row.at(-1)! / row[at]!);
}

function short(value: number): string {
  return value.toPrecision(2);
}
