// Finds settings on a validation split: one more course of each learner hidden within the training data.

import { rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { evaluate } from '../../coordinator/evaluation/evaluate.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { openDataset } from '../../datasets/dataset.js';
import type { IalsSettings } from './course-sets.js';
import type { LocalCluster } from './local-cluster.js';
import type { HiddenSplit } from './prepare-set.js';

/** Each step to a neighbour is a factor of about √10. */
export const ALPHA0_GRID = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];
export const LAMBDA_GRID = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3];
export const FACTORS_GRID = [32, 64, 128];

export interface Trial {
  settings: IalsSettings;
  ndcg: number;
}

/**
 * Walks the grid of α₀ and λ at K = 64 from its middle, to the best of the up to eight neighbours until none is better
 * by NDCG@10, then tries the other K there.
 *
 * @param split folders of the validation split.
 * @returns every trial, the best last.
 */
export async function tune(
  cluster: LocalCluster,
  split: HiddenSplit,
  epochs: number,
  onTrial: (trial: Trial) => void,
): Promise<Trial[]> {
  const trials = new Map<string, Trial>();
  const attempt = async (alpha0: number, regularization: number, factors: number) => {
    const settings = { factors, alpha0, regularization, epochs };
    const key = JSON.stringify(settings);
    const known = trials.get(key);
    if (known !== undefined) return known;
    const trial = { settings, ndcg: await validate(cluster, split, settings) };
    trials.set(key, trial);
    onTrial(trial);
    return trial;
  };
  let best = await attempt(0.03, 0.01, 64);
  for (let isBetter = true; isBetter; ) {
    isBetter = false;
    const { alpha0, regularization } = best.settings;
    for (const nextAlpha0 of around(ALPHA0_GRID, alpha0)) {
      for (const nextLambda of around(LAMBDA_GRID, regularization)) {
        const trial = await attempt(nextAlpha0, nextLambda, 64);
        if (trial.ndcg <= best.ndcg) continue;
        best = trial;
        isBetter = true;
      }
    }
  }
  for (const factors of FACTORS_GRID) {
    const trial = await attempt(best.settings.alpha0, best.settings.regularization, factors);
    if (trial.ndcg > best.ndcg) best = trial;
  }
  return [...[...trials.values()].filter((trial) => trial !== best), best];
}

function around(grid: readonly number[], value: number): number[] {
  const at = grid.indexOf(value);
  return grid.slice(Math.max(at - 1, 0), at + 2);
}

/** NDCG@10 on the validation split. */
async function validate(cluster: LocalCluster, split: HiddenSplit, settings: IalsSettings): Promise<number> {
  const result = await cluster.train({ dataset: split.train, settings });
  const model = await openModel(result.model_dir);
  const test = await (await openDataset(split.test)).loadCsr('users');
  const report = await evaluate({
    train: model.history,
    test,
    userFactors: model.userFactors,
    itemFactors: model.itemFactors,
    factors: model.factors,
    cutoffs: [10],
    baselines: [],
    threads: os.availableParallelism(),
    seed: 1,
  });
  await rm(path.dirname(result.model_dir), { recursive: true });
  return report.model.metrics['ndcg@10']!;
}
