// Full ranking of the catalogue for every user with held-out items, by the model and by the baselines.

import { ShapeError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { itemNovelty } from '../../models/metrics/catalogue-metrics.js';
import { EvaluationPool } from './evaluation-pool.js';
import { BASELINE_NAMES, type BaselineName, type EvaluationReport } from './evaluation-report.js';
import { fitBaseline, type Training } from './fit-baselines.js';
import { type MeasureSetting, measureScorer } from './measure-scorer.js';
import type { FactorScorer } from './scorer.js';
import { sharedCsr, sharedFloats, sharedInts } from './shared-arrays.js';

export {
  type BaselineName,
  type EvaluationReport,
  metricsJson,
  type ScorerMetrics,
} from './evaluation-report.js';

export interface EvaluationInput {
  /** What was trained on, by users. */
  train: Csr;
  /**
   * What each user had taken when the test items were hidden: never recommended again, and what the baselines score
   * from. For strong generalisation it holds the histories of users who were not trained. @default train
   */
  history?: Csr;
  /** The held-out items, by users; same rows and columns as `train`. Users without any are left out. */
  test: Csr;
  /** [users, factors], row-major. */
  userFactors: Float32Array;
  /** [items, factors], row-major. */
  itemFactors: Float32Array;
  factors: number;
  /**
   * With it, users who have a history but no training row get factors solved from the history under this objective;
   * without it, their row of `userFactors` counts. @default none
   */
  foldIn?: IalsObjective;
  /** k of the metrics. @default [10, 20, 50, 100] */
  cutoffs?: number[];
  /** @default popular, itemknn, ease */
  baselines?: readonly BaselineName[];
  /** Threads that rank and fit at once. The report does not depend on it. */
  threads: number;
  /** Seeds the bootstrap. */
  seed: number;
  signal?: AbortSignal;
  /** Told after each portion of users: `done` of `total` users ranked by `scorer` (`model` or a baseline). */
  onProgress?: (progress: { scorer: string; done: number; total: number }) => void;
}

const CUTOFFS = [10, 20, 50, 100];

/**
 * Ranks, for every user with test items, all items that are not in their history, and compares with the test items.
 * Nothing is sampled. The report has the same bits for any number of threads.
 *
 * With no test item at all, `usersEvaluated` is 0 and there are no metrics.
 *
 * Memory: what is passed in (arrays that do not lie over SharedArrayBuffers are copied), the fitted baselines
 * (4 · items² bytes at most each, 8 · items² more while EASE is fitted), and little for each thread.
 *
 * @throws {ShapeError} the matrices or factors disagree in their sizes.
 * Rejects with the signal's reason when it is aborted.
 */
export async function evaluate(input: EvaluationInput): Promise<EvaluationReport> {
  checkShapes(input);
  input.signal?.throwIfAborted();
  const cutoffs = [...new Set(input.cutoffs ?? CUTOFFS)].sort((a, b) => a - b);
  const users = usersWithTest(input.test);
  const report: EvaluationReport = {
    usersEvaluated: users.length,
    cutoffs,
    model: { metrics: {}, intervals: {} },
    baselines: {},
  };
  if (users.length === 0) return report;

  const pool = new EvaluationPool(input.threads, input.signal);
  try {
    const train = sharedCsr(input.train);
    const training: Training = { users: train, ...(await pool.run('turnTraining', { train })) };
    const setting = settingOf(input, training, users, cutoffs);
    report.model = await measureScorer('model', await modelScorer(input, train, pool), setting, pool);
    const wanted = input.baselines ?? BASELINE_NAMES;
    for (const name of BASELINE_NAMES.filter((known) => wanted.includes(known))) {
      const scorer = await fitBaseline(name, training, pool);
      report.baselines[name] =
        'skipped' in scorer ? scorer : await measureScorer(name, scorer, setting, pool);
    }
    return report;
  } finally {
    await pool.close();
  }
}

function settingOf(
  input: EvaluationInput,
  training: Training,
  users: Int32Array,
  cutoffs: number[],
): MeasureSetting {
  const { ptr, rows } = training.users;
  let trained = 0;
  for (let row = 0; row < rows; row++) if (ptr[row + 1]! > ptr[row]!) trained += 1;
  return {
    users,
    history: input.history === undefined ? training.users : sharedCsr(input.history),
    test: sharedCsr(input.test),
    cutoffs,
    novelty: itemNovelty(training.counts, trained),
    seed: input.seed,
    onProgress: input.onProgress,
  };
}

async function modelScorer(input: EvaluationInput, train: Csr, pool: EvaluationPool): Promise<FactorScorer> {
  const { factors, foldIn: objective } = input;
  const itemFactors = sharedFloats(input.itemFactors);
  const scorer: FactorScorer = {
    kind: 'factors',
    userFactors: sharedFloats(input.userFactors),
    itemFactors,
    factors,
  };
  if (objective === undefined) return scorer;
  const gram = await pool.run('itemGram', { itemFactors, items: train.cols, factors });
  return { ...scorer, foldIn: { objective, gram, train } };
}

function usersWithTest({ ptr, rows }: Csr): Int32Array {
  const users: number[] = [];
  for (let user = 0; user < rows; user++) if (ptr[user + 1]! > ptr[user]!) users.push(user);
  return sharedInts(Int32Array.from(users));
}

function checkShapes(input: EvaluationInput): void {
  const { train, test, factors } = input;
  const history = input.history ?? train;
  for (const [name, other] of [
    ['test', test],
    ['history', history],
  ] as const) {
    if (other.rows === train.rows && other.cols === train.cols) continue;
    throw new ShapeError(
      'STOA_SHAPE',
      `the ${name} interactions have ${other.rows} users and ${other.cols} items, the training has ${train.rows} and ` +
        `${train.cols}: both must be parts of one split`,
    );
  }
  for (const [name, rows, array] of [
    ['user', train.rows, input.userFactors],
    ['item', train.cols, input.itemFactors],
  ] as const) {
    if (array.length === rows * factors) continue;
    throw new ShapeError(
      'STOA_SHAPE',
      `the model has ${array.length / factors} ${name}s, the data have ${rows}: evaluate on the dataset it was trained on`,
    );
  }
}
