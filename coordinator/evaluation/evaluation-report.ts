// What an evaluation found, and its fixed JSON shape.

export type BaselineName = 'popular' | 'itemknn' | 'ease';

/** The baselines of every report, cheapest first. */
export const BASELINE_NAMES: readonly BaselineName[] = ['popular', 'itemknn', 'ease'];

export interface ScorerMetrics {
  /** Means over the evaluated users by name: `recall@20`, `ndcg@100`, `hr@10`, `map@10`, `novelty@10`, `coverage@10`. */
  metrics: Record<string, number>;
  /** 95 % bootstrap intervals of the means; coverage is no mean over users and has none. */
  intervals: Record<string, [number, number]>;
}

/** Why a baseline was left out, for people. */
export interface SkippedScorer {
  skipped: string;
}

export interface EvaluationReport {
  /** Users with at least one test item. With 0 there are no metrics. */
  usersEvaluated: number;
  /** k, ascending. */
  cutoffs: number[];
  model: ScorerMetrics;
  baselines: Partial<Record<BaselineName, ScorerMetrics | SkippedScorer>>;
}

/**
 * The `metrics` object of `train --json` and `eval --json`: the model's metrics by name, then `intervals` (by the
 * same names, [low, high]), `users_evaluated`, and `baselines` with the same for each baseline, or why it was skipped.
 */
export function metricsJson(report: EvaluationReport): Record<string, unknown> {
  const baselines: Record<string, unknown> = {};
  for (const name of BASELINE_NAMES) {
    const baseline = report.baselines[name];
    if (baseline === undefined) continue;
    baselines[name] =
      'skipped' in baseline ? baseline : { ...baseline.metrics, intervals: baseline.intervals };
  }
  return {
    ...report.model.metrics,
    intervals: report.model.intervals,
    users_evaluated: report.usersEvaluated,
    baselines,
  };
}
