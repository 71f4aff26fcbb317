// Whoever does the steps of a block: threads of TypeScript, or a device with kernels for them.

import type { Csr } from '../csr.js';
import type { TaskSamples } from './draw-samples.js';
import type { SgdBlockResult } from './sgd-block.js';
import type { SgdSettings } from './sgd-settings.js';

export interface DrawTask {
  /** Of one run everywhere; by it is kept what is made of `settings` and `itemCounts`. */
  readonly runId: string;
  readonly settings: SgdSettings;
  /** Users of each item, [items], over shared memory. */
  readonly itemCounts: Int32Array;
  /** The block's interactions without those held out, over shared memory; columns are item rows. */
  readonly interactions: Csr;
  /** Index of the block in the plan. */
  readonly block: number;
  /** Steps, counted over the run: the first (in) and the last (out). */
  readonly stepStart: number;
  readonly stepEnd: number;
}

export interface DescendTask {
  readonly settings: SgdSettings;
  readonly samples: TaskSamples;
  /** The block's user rows, [rows, columns]; see `sgdColumns`. Columns that are to be 1 are. */
  readonly users: Float32Array;
  /** The item rows that the samples name, [samples.items.length, columns]. */
  readonly items: Float32Array;
}

/**
 * Draws the samples of a block's steps and descends over them. What is passed in is not changed. Samples are those of
 * `drawSamples`, number for number; a descent is that of `sgdBlock` but for rounding: who has the same reproducibility
 * key gives the same bits.
 *
 * Errors: {ShapeError} lengths or rows disagree; {NumericError} `STOA_NUMERIC_NOT_FINITE` the descent ran away;
 * {DeviceError} threads or memory are gone. An aborted call rejects with the signal's reason.
 */
export interface BlockDescent {
  /** @returns `ms` is the time spent drawing. */
  draw(task: DrawTask, signal?: AbortSignal): Promise<{ samples: TaskSamples; ms: number }>;
  /** @returns `ms` is the time spent descending. */
  descend(task: DescendTask, signal?: AbortSignal): Promise<{ result: SgdBlockResult; ms: number }>;
}
