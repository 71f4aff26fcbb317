// What privacy costs: Recall@20 of iALS on real course enrolments against ε, by the way the items' sums are noised and by
// who adds the noise, beside training without privacy and popularity.
// `node dist/bench/privacy.js [--data DIR] [--epsilons 1,2,5,10] [--every N] [--json] [--svg FILE]`

import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf, UsageError } from '../common/errors.js';
import { packageRoot } from '../common/package-root.js';
import { openDataset } from '../datasets/dataset.js';
import { calibrateNoise } from '../federation/privacy/calibrate.js';
import { chachaWords } from '../federation/privacy/chacha-words.js';
import { plannedReleases, type RunShape } from '../federation/privacy/planned-releases.js';
import { privacyLoss } from '../federation/privacy/privacy-loss.js';
import type { Csr } from '../models/csr.js';
import type { ComputeDevice } from '../models/device.js';
import { openDevice } from '../worker/devices/device-registry.js';
import {
  DELTA,
  METHODS,
  type Method,
  NON_PRIVATE,
  PLACEMENTS,
  type Placement,
  RARE_BELOW,
  RATIOS,
} from './privacy/cells.js';
import { type NoisedRunSettings, noisedRun, plainRun } from './privacy/noised-run.js';
import { type RecallBySegment, recallAt } from './privacy/recall.js';
import { recallChart } from './privacy/recall-chart.js';
import { COURSE_SETS } from './quality/course-sets.js';
import { prepareSet } from './quality/prepare-set.js';
import { benchFolder } from './support/bench-folder.js';
import { machineLine } from './support/machine-line.js';
import { markdownTable } from './support/markdown-table.js';

interface Bench {
  train: Csr;
  test: Csr;
  device: ComputeDevice;
  every: number;
  isRare: Uint8Array;
}

interface Cell extends RecallBySegment {
  /** Infinity: bounds, and no noise. */
  epsilon: number;
  method: string;
  placement: string;
  /** Noise multiplier of the targets; 0 without noise. */
  noiseMultiplier: number;
}

const ADJACENCY = 'add-remove';

try {
  await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: path.join(packageRoot, '../shared/datasets') },
      epsilons: { type: 'string', default: '1,2,5,10' },
      every: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      svg: { type: 'string' },
    },
  });
  const epsilons = [...values.epsilons.split(',').map(Number), Number.POSITIVE_INFINITY];
  if (!epsilons.every((epsilon) => epsilon > 0)) throw new UsageError('STOA_USAGE', 'ε is a number above 0');
  const device = await openDevice('auto', { threads: 1 });
  const bench = await prepare(values.data, device, Math.max(1, Number(values.every)));
  const references = {
    nonPrivate: await withoutPrivacy(bench),
    popularity: await popularity(bench),
  };
  const cells: Cell[] = [];
  for (const epsilon of epsilons) {
    for (const method of METHODS) cells.push(await measure(epsilon, method, PLACEMENTS[0]!, bench));
    if (epsilon === Number.POSITIVE_INFINITY) continue;
    for (const placement of PLACEMENTS.slice(1))
      cells.push(await measure(epsilon, METHODS.at(-1)!, placement, bench));
  }
  await device.dispose();
  if (values.svg !== undefined) await writeFile(values.svg, chart(epsilons, cells, references));
  const result = {
    machine: machineLine(),
    delta: DELTA,
    adjacency: ADJACENCY,
    rareBelow: RARE_BELOW,
    references,
    cells,
  };
  process.stdout.write(
    values.json ? `${JSON.stringify(result, null, 2)}\n` : `${table(cells, references)}\n`,
  );
}

async function prepare(data: string, device: ComputeDevice, every: number): Promise<Bench> {
  const set = COURSE_SETS.find(({ name }) => name === 'mooc')!;
  const work = path.join(benchFolder, 'data', 'privacy-mooc');
  const split = path.join(work, 'split');
  if (!existsSync(split)) await prepareSet(set, data, work);
  const train = await (await openDataset(path.join(split, 'train'))).loadCsr('users');
  const test = await (await openDataset(path.join(split, 'test'))).loadCsr('users');
  const counts = new Float64Array(train.cols);
  for (const item of train.idx) counts[item]!++;
  const isRare = Uint8Array.from(counts, (count) => (count < RARE_BELOW ? 1 : 0));
  return { train, test, device, every, isRare };
}

async function measure(epsilon: number, method: Method, placement: Placement, bench: Bench): Promise<Cell> {
  const { settings } = method;
  const shape: RunShape = {
    solver: 'cholesky',
    sweeps: settings.sweeps,
    items: bench.train.cols,
    factors: settings.factors,
    cgSteps: 0,
    block: 0,
    needsCounts: true,
    statisticsFromGram: settings.statistics === 'from gram',
    metrics: 0,
  };
  const name = { epsilon, method: method.name, placement: placement.name };
  if (epsilon === Number.POSITIVE_INFINITY) {
    return said({ ...name, noiseMultiplier: 0, ...(await recallOf(settings, undefined, bench)) });
  }
  const goal = { epsilon, delta: DELTA, adjacency: ADJACENCY } as const;
  const releases = plannedReleases(shape, calibrateNoise(shape, goal, RATIOS));
  const spent = privacyLoss(releases, goal).epsilon;
  if (spent > epsilon) throw new Error(`the releases cost ε = ${spent}, ${epsilon} was to be spent`);
  const noiseMultiplier = releases.find(({ kind }) => kind === 'targets')!.noiseMultiplier;
  const noise = { releases, ...placement, words: chachaWords() };
  return said({ ...name, noiseMultiplier, ...(await recallOf(settings, noise, bench)) });
}

async function recallOf(
  settings: NoisedRunSettings,
  noise: Parameters<typeof noisedRun>[3],
  bench: Bench,
): Promise<RecallBySegment> {
  const model = await noisedRun(bench.train, bench.device, settings, noise);
  return recallAt(20, { ...model, factors: settings.factors }, bench, bench);
}

async function withoutPrivacy(bench: Bench): Promise<RecallBySegment> {
  const model = await plainRun(bench.train, bench.device, NON_PRIVATE);
  return recallAt(20, { ...model, factors: NON_PRIVATE.factors }, bench, bench);
}

/** Every learner is recommended the items with most learners. */
function popularity(bench: Bench): Promise<RecallBySegment> {
  const items = new Float32Array(bench.train.cols);
  for (const item of bench.train.idx) items[item]!++;
  const users = new Float32Array(bench.train.rows).fill(1);
  return recallAt(20, { users, items, factors: 1 }, bench, bench);
}

function said(cell: Cell): Cell {
  const { epsilon, method, placement, all, rare } = cell;
  process.stderr.write(`ε ${epsilon}, ${method}, ${placement}: ${text(all)}, rare courses ${text(rare)}\n`);
  return cell;
}

function table(cells: readonly Cell[], { nonPrivate, popularity }: Record<string, RecallBySegment>): string {
  const rows = cells.map(({ epsilon, method, placement, noiseMultiplier, all, rare }) => [
    epsilon === Number.POSITIVE_INFINITY ? '∞' : String(epsilon),
    method,
    epsilon === Number.POSITIVE_INFINITY ? 'none' : placement,
    noiseMultiplier === 0 ? '–' : noiseMultiplier.toFixed(2),
    text(all),
    text(rare),
  ]);
  return markdownTable(
    ['ε', 'sums', 'noise is added', 'σ of b', 'Recall@20', 'of rare courses'],
    [
      ['–', 'no privacy, K 128', 'none', '–', text(nonPrivate!.all), text(nonPrivate!.rare)],
      ['–', 'popularity', 'none', '–', text(popularity!.all), text(popularity!.rare)],
      ...rows,
    ],
  );
}

function chart(
  epsilons: readonly number[],
  cells: readonly Cell[],
  { nonPrivate, popularity }: Record<string, RecallBySegment>,
): string {
  const of = (epsilon: number, method: string, placement: string) =>
    (
      cells.find((one) => one.epsilon === epsilon && one.method === method && one.placement === placement) ??
      cells.find((one) => one.epsilon === epsilon && one.method === method)!
    ).all;
  const once = PLACEMENTS[0]!.name;
  const last = METHODS.at(-1)!.name;
  return recallChart({
    epsilons,
    series: [
      ...METHODS.map(({ name }) => ({ name, values: epsilons.map((epsilon) => of(epsilon, name, once)) })),
      ...PLACEMENTS.slice(1).map(({ name }) => ({
        name: `${last}; noise: ${name}`,
        values: epsilons.map((epsilon) => of(epsilon, last, name)),
      })),
    ],
    references: [
      { name: 'no privacy', recall: nonPrivate!.all.recall },
      { name: 'popularity', recall: popularity!.all.recall },
    ],
  });
}

function text({ recall, halfWidth }: { recall: number; halfWidth: number }): string {
  return `${recall.toFixed(4)} ±${halfWidth.toFixed(4)}`;
}
