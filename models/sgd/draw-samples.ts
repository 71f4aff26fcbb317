import type { Csr } from '../csr.js';
import { DrawCounter } from './draw-counter.js';
import { EntryOrder } from './entry-order.js';
import type { NegativeSampler } from './negative-sampler.js';
import type { SgdSettings } from './sgd-settings.js';
import { stepPart } from './step-part.js';

/** What one step of a block goes through, in this order. */
export interface StepSamples {
  readonly step: number;
  readonly count: number;
  /** Rows of the block, [count]. */
  readonly users: Int32Array;
  /** Item of the interaction: places in `TaskSamples.items`, [count]. */
  readonly positives: Int32Array;
  /** `bpr`: an item that the user did not take, likewise; −1: none was found, the sample is left out. */
  readonly negatives: Int32Array;
  /** `mf`: the ratings. */
  readonly values: Float32Array;
}

export interface TaskSamples {
  /** Item rows that the task reads and changes, ascending: what has to be pulled. */
  readonly items: Int32Array;
  readonly steps: readonly StepSamples[];
}

export interface SampleSource {
  /** The block's interactions; columns are item rows. */
  readonly interactions: Csr;
  /** Index of the block in the plan. */
  readonly block: number;
  readonly settings: SgdSettings;
  readonly sampler: NegativeSampler;
}

/**
 * Draws the samples of steps `stepStart` (in) to `stepEnd` (out), counted over the run. In an epoch every interaction
 * of the block comes exactly once, in an order and with negatives that depend on (seed, epoch, block) alone.
 */
export function drawSamples(source: SampleSource, stepStart: number, stepEnd: number): TaskSamples {
  const steps: StepSamples[] = [];
  for (let step = stepStart; step < stepEnd; step++) steps.push(drawStep(source, step));
  const items = distinctItems(source.interactions.cols, steps);
  for (const { positives, negatives } of steps) {
    toPlaces(positives, items);
    toPlaces(negatives, items);
  }
  return { items, steps };
}

function drawStep(source: SampleSource, step: number): StepSamples {
  const { interactions, settings, sampler, block } = source;
  const { seed, model } = settings;
  const entries = interactions.ptr[interactions.rows]!;
  const { epoch, start, end } = stepPart(settings, entries, step);
  const count = end - start;
  const key = { seed, epoch, block };
  const order = new EntryOrder(entries, key);
  const counter = new DrawCounter(key);
  const users = new Int32Array(count);
  const positives = new Int32Array(count);
  const negatives = new Int32Array(model === 'bpr' ? count : 0);
  const values = new Float32Array(model === 'mf' ? count : 0);
  for (let s = 0; s < count; s++) {
    const entry = order.at(start + s);
    const user = rowOfEntry(interactions.ptr, entry);
    users[s] = user;
    positives[s] = interactions.idx[entry]!;
    if (model === 'bpr') negatives[s] = sampler.draw(counter, start + s, interactions, user);
    else values[s] = interactions.values?.[entry] ?? 1;
  }
  return { step, count, users, positives, negatives, values };
}

/** The row that has an entry: the last one that begins at or before it. */
function rowOfEntry(ptr: Int32Array, entry: number): number {
  let low = 0;
  let high = ptr.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (ptr[middle]! <= entry) low = middle;
    else high = middle - 1;
  }
  return low;
}

function distinctItems(cols: number, steps: readonly StepSamples[]): Int32Array {
  const isTouched = new Uint8Array(cols);
  for (const { positives, negatives } of steps) {
    for (const item of positives) isTouched[item] = 1;
    for (const item of negatives) if (item >= 0) isTouched[item] = 1;
  }
  const items: number[] = [];
  for (let item = 0; item < cols; item++) if (isTouched[item] === 1) items.push(item);
  return Int32Array.from(items);
}

/** Replaces items by their places in the ascending list. */
function toPlaces(samples: Int32Array, items: Int32Array): void {
  for (let s = 0; s < samples.length; s++) {
    const item = samples[s]!;
    if (item < 0) continue;
    let low = 0;
    let high = items.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (items[middle]! < item) low = middle + 1;
      else high = middle;
    }
    samples[s] = low;
  }
}
