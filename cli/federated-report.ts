// What a federation is worth: the same data trained in one place, by institutions together, with masks, with noise, and by
// each institution alone; measured on the same held-out interactions, by institution.

import { mkdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { writeFileAtomic } from '../common/atomic-files.js';
import { UsageError } from '../common/errors.js';
import { evaluate } from '../coordinator/evaluation/evaluate.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import { type LoadedModel, openModel } from '../coordinator/registry/model-folder.js';
import { openDataset } from '../datasets/dataset.js';
import { selectPart } from '../datasets/split/parts.js';
import type { Csr } from '../models/csr.js';
import { relativeDistance } from '../models/relative-distance.js';
import { alignInteractions } from './align-interactions.js';
import { runEmbedded } from './embedded-run.js';
import { type FederatedRun, runFederated } from './federated-run.js';
import { type LiveDisplay, openDisplay } from './live-display.js';
import { median } from './median.js';
import { Output } from './output.js';
import { bytes } from './quantities.js';
import { textTable } from './text-table.js';

/** ε of the run with privacy where none is set. */
const EPSILON_DEFAULT = 5;
/** Each sweep is paid for: more of them leave less for each. */
const PRIVATE_SWEEPS_MAX = 3;
const METRIC = 'recall@20';
const METRICS = [METRIC, 'ndcg@10', 'hr@10'] as const;
/** As many as a terminal has room for beside the rest. */
const SHOWN = METRICS.slice(0, 2);

export interface ReportRow {
  name: string;
  /** Over all users with held-out interactions. */
  metrics: Record<string, number>;
  /** `recall@20` of each institution's users. */
  institutions: number[];
  /** Distance of the items' factors from those of central training, relative; absent where it says nothing. */
  distance?: number;
  rounds?: number;
  /** Of one institution, the mean. */
  bytes_up?: number;
  bytes_down?: number;
  /** Of a sweep, the median. */
  sweep_seconds: number;
  sweeps: number;
}

export interface FederatedReport {
  synthetic: boolean;
  /** Users of each institution. */
  users: number[];
  rows: ReportRow[];
  folder: string;
}

/** The test interactions by institution, and who is where. */
interface Yardstick {
  train: Csr;
  test: Csr;
  owners: Int32Array;
  institutions: number;
}

/** @throws {UsageError} there are no held-out interactions. */
export async function reportFederated(run: FederatedRun, output: Output): Promise<FederatedReport> {
  if (run.test === undefined) {
    throw new UsageError(
      'STOA_USAGE',
      '--report needs held-out interactions: give --data a folder of "stoa data split", or --test',
      { fields: { field: '--data' } },
    );
  }
  const display = await openDisplay(output);
  const quiet = new Output({ json: true, quiet: true, verbose: false });
  const folder = path.resolve(run.runDir);
  await mkdir(folder, { recursive: true });
  try {
    return await new Report(run, folder, quiet, display).make();
  } finally {
    display.close();
  }
}

class Report {
  readonly #run: FederatedRun;
  readonly #folder: string;
  readonly #quiet: Output;
  readonly #display: LiveDisplay;
  #central!: LoadedModel;
  #yardstick!: Yardstick;

  constructor(run: FederatedRun, folder: string, quiet: Output, display: LiveDisplay) {
    this.#run = run;
    this.#folder = folder;
    this.#quiet = quiet;
    this.#display = display;
  }

  async make(): Promise<FederatedReport> {
    const { config, participants } = this.#run;
    const epsilon = config['federated.epsilon'] || EPSILON_DEFAULT;
    const plain = { ...config, 'federated.masking': false, 'federated.epsilon': 0 };
    this.#display.print('central training');
    const centralSeconds = await this.#train('central', this.#run.dataset);
    this.#display.print(`${participants} institutions, sums without masks`);
    const federated = await this.#federate('federated', plain);
    await this.#measureBy();
    const rows = [
      { ...(await this.#row('central', 'central')), ...centralSeconds },
      { ...(await this.#row('federated', 'federated')), ...federated },
    ];
    this.#display.print(`${participants} institutions, masked sums`);
    const masked = await this.#federate('masked', { ...plain, 'federated.masking': true });
    rows.push({ ...(await this.#row('masked', 'with masks')), ...masked });
    this.#display.print(`${participants} institutions, masked sums with noise, ε = ${epsilon}`);
    const noised = await this.#federate('private', privateConfig(config, epsilon));
    const { distance: _, ...row } = await this.#row('private', `masks and ε = ${epsilon}`);
    rows.push({ ...row, ...noised });
    this.#display.print('each institution alone');
    rows.push(await this.#alone());
    const report = {
      synthetic: this.#central.synthetic,
      users: usersOf(this.#yardstick),
      rows,
      folder: this.#folder,
    };
    await writeFileAtomic(path.join(this.#folder, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
    return report;
  }

  async #train(name: string, dataset: string): Promise<Pick<ReportRow, 'sweep_seconds' | 'sweeps'>> {
    const { participants, test: _, ...run } = this.#run;
    const runDir = path.join(this.#folder, name);
    const workers = name === 'central' ? participants : 1;
    const result = await runEmbedded({ ...run, dataset, workers, runDir, parameters: 0 }, this.#quiet);
    return { sweep_seconds: median(result.epoch_seconds), sweeps: result.epochs };
  }

  async #federate(name: string, config: RunConfig) {
    const runDir = path.join(this.#folder, name);
    const result = await runFederated({ ...this.#run, test: undefined, config, runDir }, this.#quiet);
    const { rounds, bytes_up, bytes_down } = result.federated;
    return {
      rounds,
      bytes_up,
      bytes_down,
      sweep_seconds: median(result.epoch_seconds),
      sweeps: result.epochs,
    };
  }

  /** The partition is that of the runs: read from what institutions have. */
  async #measureBy(): Promise<void> {
    this.#central = await openModel(path.join(this.#folder, 'central'));
    const { userIds, itemsTable } = this.#central;
    const ids = { userIds, itemIds: itemsTable.ids };
    const { interactions: test } = await alignInteractions(await openDataset(this.#run.test!), ids);
    const rows = new Map(userIds.map((id, row) => [id, row]));
    const owners = new Int32Array(userIds.length);
    for (let n = 0; n < this.#run.participants; n++) {
      const own = await openDataset(this.#dataOf(n));
      for (const id of await own.userIds()) owners[rows.get(id)!] = n;
    }
    this.#yardstick = {
      train: this.#central.history,
      test,
      owners,
      institutions: this.#run.participants,
    };
  }

  #dataOf(n: number): string {
    return path.join(this.#folder, 'federated', 'participants', `institution-${n + 1}`, 'data');
  }

  async #row(dir: string, name: string): Promise<Omit<ReportRow, 'sweep_seconds' | 'sweeps'>> {
    const model = await openModel(path.join(this.#folder, dir));
    const found = [];
    for (let n = 0; n < this.#run.participants; n++) found.push(await measure(model, this.#yardstick, n));
    const distance = relativeDistance(model.itemFactors, this.#central.itemFactors);
    return { name, ...merged(found), ...(dir === 'central' ? {} : { distance }) };
  }

  async #alone(): Promise<ReportRow> {
    const found = [];
    const seconds: number[] = [];
    for (let n = 0; n < this.#run.participants; n++) {
      const dir = path.join('alone', `institution-${n + 1}`);
      seconds.push((await this.#train(dir, this.#dataOf(n))).sweep_seconds);
      const own = await openModel(path.join(this.#folder, dir));
      found.push(await measure(spread(own, this.#yardstick, n), this.#yardstick, n));
    }
    const sweeps = this.#run.config['train.epochs'];
    return { name: 'each alone', ...merged(found), sweep_seconds: median(seconds), sweeps };
  }
}

function privateConfig(config: RunConfig, epsilon: number): RunConfig {
  return {
    ...config,
    'federated.masking': true,
    'federated.epsilon': epsilon,
    'ials.solver': 'cholesky',
    'train.epochs': Math.min(config['train.epochs'], PRIVATE_SWEEPS_MAX),
  };
}

interface Measured {
  users: number;
  metrics: Record<string, number>;
}

type Factors = Pick<LoadedModel, 'userFactors' | 'itemFactors' | 'factors'>;

/** Ranks for the users of one institution. */
async function measure(model: Factors, { train, test, owners }: Yardstick, n: number): Promise<Measured> {
  const isOwn = new Uint8Array(test.idx.length);
  for (let user = 0; user < test.rows; user++) {
    if (owners[user] === n) isOwn.fill(1, test.ptr[user], test.ptr[user + 1]);
  }
  const { csr } = selectPart({ csr: test }, isOwn, 1);
  const { userFactors, itemFactors, factors } = model;
  const report = await evaluate({
    train,
    test: csr,
    userFactors,
    itemFactors,
    factors,
    cutoffs: [10, 20],
    baselines: [],
    threads: os.availableParallelism(),
    seed: 1,
  });
  return { users: report.usersEvaluated, metrics: report.model.metrics };
}

function merged(found: readonly Measured[]): Pick<ReportRow, 'metrics' | 'institutions'> {
  const total = found.reduce((sum, { users }) => sum + users, 0);
  const mean = (metric: string) =>
    found.reduce((sum, { users, metrics }) => sum + users * (metrics[metric] ?? 0), 0) / total;
  return {
    metrics: Object.fromEntries(METRICS.map((metric) => [metric, mean(metric)])),
    institutions: found.map(({ metrics }) => metrics[METRIC] ?? 0),
  };
}

/** An institution's own model with its users where they are in the whole. */
function spread(own: LoadedModel, { owners }: Yardstick, n: number): Factors {
  const { factors } = own;
  const userFactors = new Float32Array(owners.length * factors);
  let at = 0;
  for (let user = 0; user < owners.length; user++) {
    if (owners[user] !== n) continue;
    userFactors.set(own.userFactors.subarray(at * factors, (at + 1) * factors), user * factors);
    at++;
  }
  return { userFactors, itemFactors: own.itemFactors, factors };
}

function usersOf({ owners, institutions }: Yardstick): number[] {
  const users = new Array<number>(institutions).fill(0);
  for (const owner of owners) users[owner]!++;
  return users;
}

/** The report as tables for the terminal. */
export function reportText({ rows, users, folder, synthetic }: FederatedReport, width: number): string {
  const small = (value: number) => value.toFixed(4);
  const overview = rows.map((row) => [
    row.name,
    ...SHOWN.map((metric) => small(row.metrics[metric]!)),
    row.distance === undefined ? '' : row.distance.toExponential(1),
    row.bytes_up === undefined ? '' : bytes(Math.round(row.bytes_up)),
    row.rounds === undefined ? '' : String(row.rounds),
    `${row.sweeps} × ${row.sweep_seconds.toFixed(2)} s`,
  ]);
  const byInstitution = rows.map((row) => [row.name, ...row.institutions.map(small)]);
  return [
    textTable(overview, {
      header: ['training', ...SHOWN, 'distance', 'sent each', 'rounds', 'sweeps'],
      width,
    }),
    '',
    `${METRIC} by institution (${users.map((n, at) => `${at + 1}: ${n} users`).join(', ')}):`,
    textTable(byInstitution, { header: ['training', ...users.map((_, at) => String(at + 1))], width }),
    '',
    'distance: of the items’ factors from those of central training, relative; sent each: by one institution in all',
    ...(synthetic ? ['the data are synthetic'] : []),
    `all of it in ${folder}, the numbers in ${path.join(folder, 'report.json')}`,
  ].join('\n');
}
