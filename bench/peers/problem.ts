// The problem that both engines get: the same interactions, the same confidences, the same initial factors.

import { existsSync, mkdirSync, renameSync } from 'node:fs';
import path from 'node:path';
import { openDataset } from '../../datasets/dataset.js';
import type { IalsObjective } from '../../models/device.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { entryTarget, entryWeight } from '../../models/ials/objective.js';
import type { BenchData } from '../support/bench-data.js';
import { benchFolder } from '../support/bench-folder.js';
import { writeNpyArray } from '../support/npy-array.js';

/** α of c = 1 + α·value. */
const ALPHA = 10;
/** λ. */
const REGULARIZATION = 0.1;
const SEED = 1;
const INIT_STD_DEV = 0.1;

export interface Problem {
  data: BenchData;
  objective: IalsObjective;
  /** Settings of `stoa train` for the same. */
  settings: Record<string, string | number>;
  /** Folder with ptr.npy, idx.npy, confidence.npy, test_ptr.npy, test_idx.npy and items-K.npy. */
  folder: string;
  users: number;
  items: number;
  interactions: number;
}

/** Writes what is not there yet. Errors of `openDataset`. */
export async function exportProblem(data: BenchData, factors: readonly number[]): Promise<Problem> {
  const train = await openDataset(data.train);
  const { users, items, interactions, hasValues } = train.manifest;
  const objective: IalsObjective = {
    objective: 'hu2008',
    weights: hasValues ? 'value' : 'binary',
    alpha0: 0,
    alpha: ALPHA,
    regularization: REGULARIZATION,
    nu: 0,
  };
  const folder = path.join(benchFolder, 'data', data.name, `problem-${train.fingerprint.slice(0, 12)}`);
  if (!existsSync(folder)) await writeProblem(folder, data, objective);
  for (const k of factors) {
    const file = path.join(folder, `items-${k}.npy`);
    if (!existsSync(file)) writeNpyArray(file, initialItems(items, k), [items, k]);
  }
  const settings = {
    'ials.objective': 'hu2008',
    'ials.weights': objective.weights,
    'ials.alpha': ALPHA,
    'ials.regularization': REGULARIZATION,
    'ials.init_stddev': INIT_STD_DEV,
    'train.seed': SEED,
  };
  return { data, objective, settings, folder, users, items, interactions };
}

/** As `stoa train` starts with. */
export function initialItems(items: number, factors: number): Float32Array {
  const rows = new Float32Array(items * factors);
  initFactors(rows, { seed: SEED, side: 'items', rowStart: 0, rowEnd: items, factors, stdDev: INIT_STD_DEV });
  return rows;
}

async function writeProblem(folder: string, data: BenchData, objective: IalsObjective): Promise<void> {
  const temporary = `${folder}.part`;
  mkdirSync(temporary, { recursive: true });
  const { ptr, idx, values } = await (await openDataset(data.train)).loadCsr('users');
  const confidence = new Float32Array(idx.length);
  for (let e = 0; e < idx.length; e++) {
    confidence[e] = entryTarget(objective, entryWeight(objective, values?.[e] ?? 1));
  }
  const test = await (await openDataset(data.test)).loadCsr('users');
  const arrays = { ptr, idx, confidence, test_ptr: test.ptr, test_idx: test.idx };
  for (const [name, array] of Object.entries(arrays)) {
    writeNpyArray(path.join(temporary, `${name}.npy`), array, [array.length]);
  }
  renameSync(temporary, folder);
}
