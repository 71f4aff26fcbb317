// How much of the deltas that several blocks computed from the same rows is added to the table.
//
// A row that a block changed n times has moved the share 1 − (1 − q)^n ≈ 1 − e^(−qn) of its way to where the block's
// samples pull it, with q = η × curvature. Deltas of rows with few changes just add up. But the deltas of a popular
// row are each nearly the whole way: their plain sum overshoots by as many times as there are blocks, and the descent
// runs away. So the sum is scaled to the way that all changes, done one after the other, would have gone.

import { learningRate } from './learning-rate.js';
import type { SgdSettings } from './sgd-settings.js';

/** The share of its way that a row has gone after n changes. */
export function wayGone(rate: number, changes: number): number {
  return -Math.expm1(-rate * changes);
}

/**
 * The weight of the deltas of one row at a barrier: 1 for few changes, 1 / blocks for many.
 *
 * @param rate     q, >= 0.
 * @param changes  of the row by all blocks.
 * @param waysGone Σ over the blocks of `wayGone` of the block's own changes.
 */
export function barrierWeight(rate: number, changes: number, waysGone: number): number {
  return waysGone > 0 ? wayGone(rate, changes) / waysGone : 1;
}

/**
 * The weight of a delta that arrives alone: what is left of the way after the changes of others since the row was read.
 *
 * @param others changes of the row since then.
 */
export function arrivalWeight(rate: number, others: number): number {
  return Math.exp(-rate * others);
}

/** Greatest curvature of a sample's loss along a row of unit length: σ' <= 1/4, and 1 for half a squared error. */
const CURVATURE: Readonly<Record<SgdSettings['model'], number>> = { bpr: 0.25, mf: 1 };

/** q of the changes of a step. */
export function mergeRate(settings: SgdSettings, step: number): number {
  return CURVATURE[settings.model] * learningRate(settings, step);
}
