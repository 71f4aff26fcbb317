import type { Csr } from '../models/csr.js';
import type { BlockDescent } from '../models/sgd/block-descent.js';
import { drawSamples } from '../models/sgd/draw-samples.js';
import { initSgdRows } from '../models/sgd/init-rows.js';
import { NegativeSampler } from '../models/sgd/negative-sampler.js';
import { sgdBlock } from '../models/sgd/sgd-block.js';
import { type SgdModel, type SgdSettings, sgdColumns } from '../models/sgd/sgd-settings.js';

/**
 * The worst distance of a number after some steps from the same steps in TypeScript, as a part of the greatest number;
 * infinite where other samples were drawn.
 */
export async function descentError(
  descent: BlockDescent,
  block: Csr,
  o: { factors: number; model: SgdModel },
): Promise<number> {
  const settings = settingsOf(o);
  const itemCounts = new Int32Array(block.cols);
  for (const item of block.idx) itemCounts[item]!++;
  const source = { interactions: block, block: 0, settings };
  const expected = drawSamples({ ...source, sampler: new NegativeSampler(itemCounts, settings) }, 0, 2);
  const runId = `check ${o.model}`;
  const { samples } = await descent.draw({ ...source, runId, itemCounts, stepStart: 0, stepEnd: 2 });
  if (JSON.stringify(samples) !== JSON.stringify(expected)) return Number.POSITIVE_INFINITY;
  const users = rowsOf(settings, 'users', block.rows);
  const items = rowsOf(settings, 'items', samples.items.length);
  const task = { settings, samples, users, items };
  const wanted = sgdBlock(task);
  const { result } = await descent.descend(task);
  const scale = Math.max(...wanted.users.map(Math.abs));
  const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((x, n) => Math.abs(x - b[n]!)));
  return Math.max(distance(result.users, wanted.users), distance(result.deltas, wanted.deltas)) / scale;
}

function settingsOf({ factors, model }: { factors: number; model: SgdModel }): SgdSettings {
  return {
    model,
    factors,
    learningRate: 0.05,
    schedule: 'inverse',
    decay: 0.5,
    regularization: 0.01,
    negatives: 'popularity',
    popularityExponent: 0.75,
    seed: 11,
    epochs: 1,
    stepsPerEpoch: 2,
    mean: model === 'mf' ? 1 : 0,
  };
}

function rowsOf({ model, factors, seed }: SgdSettings, side: 'users' | 'items', rows: number): Float32Array {
  const out = new Float32Array(rows * sgdColumns(model, factors));
  initSgdRows(out, { model, seed, side, rowStart: 0, rowEnd: rows, factors, stdDev: 0.5 });
  return out;
}
