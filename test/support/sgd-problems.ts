// Small problems for the models that are trained by stochastic gradient descent, and a training of them in this
// process: all blocks of a clock read the same rows, their deltas are put together at its end.

import { createRandom } from '../../common/random.js';
import { SharedRows } from '../../coordinator/parameters/shared-rows.js';
import { stepsOfClock } from '../../coordinator/schedule/sync/clock-steps.js';
import { type Csr, csrSlice, type Side } from '../../models/csr.js';
import { drawSamples, type SampleSource } from '../../models/sgd/draw-samples.js';
import { initSgdRows } from '../../models/sgd/init-rows.js';
import { mergeRate } from '../../models/sgd/merge-weights.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { sgdBlock } from '../../models/sgd/sgd-block.js';
import { type SgdSettings, sgdColumns } from '../../models/sgd/sgd-settings.js';

export function sgdSettings(change: Partial<SgdSettings> = {}): SgdSettings {
  return {
    model: 'bpr',
    factors: 6,
    learningRate: 0.05,
    schedule: 'constant',
    decay: 0,
    regularization: 0.01,
    negatives: 'uniform',
    popularityExponent: 0.75,
    seed: 5,
    epochs: 4,
    stepsPerEpoch: 3,
    mean: 0,
    ...change,
  };
}

export function itemCounts({ idx, cols }: Csr): Int32Array {
  const counts = new Int32Array(cols);
  for (const item of idx) counts[item]!++;
  return counts;
}

export function initialRows(settings: SgdSettings, side: Side, rows: number, stdDev = 0.5): Float32Array {
  const { model, factors, seed } = settings;
  const out = new Float32Array(rows * sgdColumns(model, factors));
  initSgdRows(out, { model, seed, side, rowStart: 0, rowEnd: rows, factors, stdDev });
  return out;
}

/** Ratings 1 to 5 of users with 0 to `longest` items, of which the second user has as many as there can be. */
export function descentProblem(o: { users: number; items: number; longest: number; seed: number }): Csr {
  const random = createRandom(o.seed);
  const lists = Array.from({ length: o.users }, (_, user) => {
    const count = user === 1 ? o.longest : random.int(o.longest + 1);
    return Array.from({ length: count }, (_, n) => Math.floor((n * o.items) / count));
  });
  const ptr = new Int32Array(o.users + 1);
  lists.forEach((list, row) => {
    ptr[row + 1] = ptr[row]! + list.length;
  });
  const idx = Int32Array.from(lists.flat());
  const values = Float32Array.from(idx, () => 1 + random.int(9) / 2);
  return { rows: o.users, cols: o.items, ptr, idx, values };
}

/** Initial rows of some items. */
export function rowsOfItems(settings: SgdSettings, items: Int32Array): Float32Array {
  const columns = sgdColumns(settings.model, settings.factors);
  const all = initialRows(settings, 'items', 1 + Math.max(0, ...items));
  const out = new Float32Array(items.length * columns);
  items.forEach((item, place) => {
    out.set(all.subarray(item * columns, (item + 1) * columns), place * columns);
  });
  return out;
}

/** Trains by barriers; `cuts` are the user rows at which blocks begin, and the number of users. */
export function trainByBarriers(
  interactions: Csr,
  settings: SgdSettings,
  o: { cuts: readonly number[]; stepsPerClock?: number; epochs?: number; stdDev?: number },
): { users: Float32Array; items: Float32Array; losses: number[] } {
  const { cuts, stepsPerClock = 1, epochs = settings.epochs } = o;
  const columns = sgdColumns(settings.model, settings.factors);
  const sampler = new NegativeSampler(itemCounts(interactions), settings);
  const users = initialRows(settings, 'users', interactions.rows, o.stdDev);
  const steps = { stepsPerEpoch: settings.stepsPerEpoch, stepsPerClock };
  const items = new SharedRows({
    rows: interactions.cols,
    columns,
    blocks: cuts.length - 1,
    isImmediate: false,
    isAhead: false,
    mergeRate: (clock) => mergeRate(settings, stepsOfClock(clock, steps).stepStart),
  });
  items.table.set(initialRows(settings, 'items', interactions.cols, o.stdDev));
  const losses: number[] = [];
  for (let clock = 0; ; clock++) {
    const { stepStart, stepEnd } = stepsOfClock(clock, steps);
    const epoch = Math.floor(stepStart / settings.stepsPerEpoch);
    if (epoch >= epochs) break;
    for (let block = 0; block + 1 < cuts.length; block++) {
      const [start, end] = [cuts[block]!, cuts[block + 1]!];
      const source: SampleSource = {
        interactions: csrSlice(interactions, start, end),
        block,
        settings,
        sampler,
      };
      const samples = drawSamples(source, stepStart, stepEnd);
      const own = users.subarray(start * columns, end * columns);
      const result = sgdBlock({ settings, samples, users: own, items: items.read(block, samples.items) });
      own.set(result.users);
      items.add(block, clock, { rows: samples.items, deltas: result.deltas, counts: result.counts });
      losses[epoch] = (losses[epoch] ?? 0) + result.loss;
    }
    items.commit();
  }
  return { users, items: Float32Array.from(items.table), losses };
}
