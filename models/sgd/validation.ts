// Interactions that are kept from training, so that the descent can be judged by what it did not see.

import type { Csr } from '../csr.js';
import { logisticLoss } from './bpr-step.js';
import { DRAW_PURPOSE, DrawCounter } from './draw-counter.js';
import type { NegativeSampler } from './negative-sampler.js';
import { type SgdSettings, sgdColumns } from './sgd-settings.js';

export interface ValidationSplit {
  readonly seed: number;
  /** Share of the interactions that is held out, 0 to 0.5; the first one of a user never is. */
  readonly share: number;
}

/**
 * The rows of a slice without what is held out, or only that.
 *
 * @param rowStart row of the side that the slice begins with: an interaction is held out by (seed, user, item) alone.
 */
export function splitRows(
  csr: Csr,
  rowStart: number,
  { seed, share }: ValidationSplit,
  part: 'training' | 'validation',
): Csr {
  if (share === 0 && part === 'training') return csr;
  const entries = csr.ptr[csr.rows]!;
  const ptr = new Int32Array(new SharedArrayBuffer((csr.rows + 1) * 4));
  const idx = new Int32Array(new SharedArrayBuffer(entries * 4));
  const values = csr.values && new Float32Array(new SharedArrayBuffer(entries * 4));
  let count = 0;
  for (let row = 0; row < csr.rows; row++) {
    const counter = new DrawCounter({ seed, epoch: 0, block: rowStart + row });
    for (let e = csr.ptr[row]!; e < csr.ptr[row + 1]!; e++) {
      const isHeldOut = e > csr.ptr[row]! && unitOf(counter, csr.idx[e]!) < share;
      if (isHeldOut !== (part === 'validation')) continue;
      idx[count] = csr.idx[e]!;
      if (values !== undefined) values[count] = csr.values![e]!;
      count++;
    }
    ptr[row + 1] = count;
  }
  return { ...csr, ptr, idx: idx.subarray(0, count), values: values?.subarray(0, count) };
}

/**
 * Sum of the losses of held-out interactions: −ln σ against one item the user did not take, or the squared error.
 *
 * @param heldOut rows of the slice; @param all what the users took, held out or not, for the negatives.
 * @param users   [rows, columns] of the slice; @param items [items, columns].
 */
export function validationLoss(
  heldOut: Csr,
  all: Csr,
  rowStart: number,
  tables: { users: Float32Array; items: Float32Array },
  { settings, sampler }: { settings: SgdSettings; sampler: NegativeSampler },
): { loss: number; samples: number } {
  const { model, factors, mean, seed } = settings;
  const columns = sgdColumns(model, factors);
  let loss = 0;
  let samples = 0;
  for (let row = 0; row < heldOut.rows; row++) {
    const counter = new DrawCounter({ seed, epoch: VALIDATION_EPOCH, block: rowStart + row });
    const score = (item: number) => {
      let sum = 0;
      for (let k = 0; k < columns; k++) {
        sum += tables.users[row * columns + k]! * tables.items[item * columns + k]!;
      }
      return sum;
    };
    for (let e = heldOut.ptr[row]!; e < heldOut.ptr[row + 1]!; e++) {
      const item = heldOut.idx[e]!;
      if (model === 'mf') loss += ((heldOut.values?.[e] ?? 1) - mean - score(item)) ** 2;
      else {
        const negative = sampler.draw(counter, item, all, row);
        if (negative < 0) continue;
        loss += logisticLoss(score(item) - score(negative));
      }
      samples++;
    }
  }
  return { loss, samples };
}

/** True when the last `patience` losses are all no better than one before them. */
export function shouldStop(losses: readonly number[], patience: number): boolean {
  if (patience === 0 || losses.length <= patience) return false;
  const best = Math.min(...losses.slice(0, -patience));
  return losses.slice(-patience).every((loss) => loss >= best);
}

/** The first of the least losses; -1 when there are none. */
export function bestEpoch(losses: readonly number[]): number {
  return losses.indexOf(Math.min(...losses));
}

/** No run has so many epochs. */
const VALIDATION_EPOCH = 0xffff_ffff;

function unitOf(counter: DrawCounter, item: number): number {
  counter.draw(DRAW_PURPOSE.validation, item);
  return counter.words[0]! / 0x1_0000_0000;
}
