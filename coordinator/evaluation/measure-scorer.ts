import type { Csr } from '../../models/csr.js';
import { coverageAt, NEVER_SHOWN } from '../../models/metrics/catalogue-metrics.js';
import { RANKING_METRICS, rankingMetricNames } from '../../models/metrics/ranking-metrics.js';
import type { EvaluationPool } from './evaluation-pool.js';
import type { ScorerMetrics } from './evaluation-report.js';
import type { Scorer } from './scorer.js';

/** What all scorers of an evaluation are measured on. */
export interface MeasureSetting {
  /** Rows of the evaluated users, ascending, at least one. */
  users: Int32Array;
  /** What they took already. */
  history: Csr;
  /** What was hidden. */
  test: Csr;
  /** k, ascending. */
  cutoffs: number[];
  /** Bits of surprise of each item. */
  novelty: Float64Array;
  /** Of the bootstrap; every scorer sees the same draws. */
  seed: number;
  onProgress?: (progress: { scorer: string; done: number; total: number }) => void;
}

/**
 * Users are dealt in turn into at most this many groups, which the bootstrap draws whole. Up to here a group is one
 * user; beyond it the spread of the groups' means stands for that of the users (within 1 %), at a bounded cost.
 */
const GROUPS_MAX = 10_000;

/** Users of a task: a tenth of a second or more of work. */
const TASK_USERS = 1024;

/** Ranks all users by one scorer, whole groups at a time, and sums up in the order of the groups. */
export async function measureScorer(
  name: string,
  scorer: Scorer,
  setting: MeasureSetting,
  pool: EvaluationPool,
): Promise<ScorerMetrics> {
  const { users, history, test, cutoffs, novelty } = setting;
  const groups = Math.min(users.length, GROUPS_MAX);
  const columns = cutoffs.length * RANKING_METRICS.length;
  const sums = new Float64Array(groups * columns);
  const bestRanks = new Int32Array(test.cols).fill(NEVER_SHOWN);
  const groupsOfTask = Math.max(1, Math.floor((TASK_USERS * groups) / users.length));
  let done = 0;
  await pool.runAll(
    'rankUsers',
    Math.ceil(groups / groupsOfTask),
    (index) => {
      const groupStart = index * groupsOfTask;
      const groupEnd = Math.min(groupStart + groupsOfTask, groups);
      return { scorer, users, groups, groupStart, groupEnd, history, test, cutoffs, novelty };
    },
    (part) => {
      sums.set(part.sums, part.groupStart * columns);
      lowerAll(bestRanks, part.bestRanks);
      done += part.users;
      setting.onProgress?.({ scorer: name, done, total: users.length });
    },
  );
  const sizes = Int32Array.from({ length: groups }, (_, group) => Math.ceil((users.length - group) / groups));
  const intervals = await pool.run('bootstrap', { sums, sizes, columns, seed: setting.seed });
  const result: ScorerMetrics = { metrics: {}, intervals: {} };
  rankingMetricNames(cutoffs).forEach((metric, column) => {
    result.metrics[metric] = columnSum(sums, column, columns) / users.length;
    result.intervals[metric] = [intervals[2 * column]!, intervals[2 * column + 1]!];
  });
  for (const cutoff of cutoffs) result.metrics[`coverage@${cutoff}`] = coverageAt(bestRanks, cutoff);
  return result;
}

function columnSum(rows: Float64Array, column: number, columns: number): number {
  let sum = 0;
  for (let at = column; at < rows.length; at += columns) sum += rows[at]!;
  return sum;
}

function lowerAll(best: Int32Array, other: Int32Array): void {
  for (let i = 0; i < best.length; i++) if (other[i]! < best[i]!) best[i] = other[i]!;
}
