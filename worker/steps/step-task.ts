// What a thread does with one clock of a block: first the samples are drawn, which say what rows to pull; then the
// descent over them.

import { StoaError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import { drawSamples, type TaskSamples } from '../../models/sgd/draw-samples.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { type SgdBlockResult, sgdBlock } from '../../models/sgd/sgd-block.js';
import type { SgdSettings } from '../../models/sgd/sgd-settings.js';
import { splitRows } from '../../models/sgd/validation.js';

export interface DrawTask {
  readonly kind: 'draw';
  /** Of one run everywhere; threads keep by it what they make of `settings` and `itemCounts`. */
  readonly runId: string;
  readonly settings: SgdSettings;
  /** Over shared memory. */
  readonly itemCounts: Int32Array;
  /** The block's interactions, over shared memory. */
  readonly interactions: Csr;
  /** Row of the side that the block begins with. */
  readonly rowStart: number;
  readonly validationShare: number;
  readonly block: number;
  readonly stepStart: number;
  readonly stepEnd: number;
}

export interface DescendTask {
  readonly kind: 'descend';
  readonly settings: SgdSettings;
  readonly samples: TaskSamples;
  readonly users: Float32Array;
  readonly items: Float32Array;
}

export type StepTask = DrawTask | DescendTask;

export type StepAnswer =
  | { readonly kind: 'drawn'; readonly samples: TaskSamples; readonly ms: number }
  | { readonly kind: 'descended'; readonly result: SgdBlockResult; readonly ms: number }
  /** A `StoaError` in parts: errors lose their class between threads. */
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code: StoaError['code'];
      readonly message: string;
      readonly fields: StoaError['fields'];
    };

let kept: { runId: string; sampler: NegativeSampler } | undefined;

/** Runs one task. Answers errors that a user can meet; throws only on a bug of ours. */
export default function runStepTask(task: StepTask): StepAnswer {
  const startMs = performance.now();
  try {
    if (task.kind === 'draw') return { kind: 'drawn', samples: draw(task), ms: performance.now() - startMs };
    return { kind: 'descended', result: sgdBlock(task), ms: performance.now() - startMs };
  } catch (error) {
    if (!(error instanceof StoaError)) throw error;
    const { name, code, message, fields } = error;
    return { kind: 'failed', name, code, message, fields };
  }
}

function draw(task: DrawTask): TaskSamples {
  const { runId, settings, block, rowStart, validationShare: share } = task;
  if (kept?.runId !== runId) kept = { runId, sampler: new NegativeSampler(task.itemCounts, settings) };
  const interactions = splitRows(task.interactions, rowStart, { seed: settings.seed, share }, 'training');
  const source = { interactions, block, settings, sampler: kept.sampler };
  return drawSamples(source, task.stepStart, task.stepEnd);
}
