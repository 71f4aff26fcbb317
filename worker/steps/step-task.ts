// What a thread does with one clock of a block: first the samples are drawn, which say what rows to pull; then the
// descent over them. Before the first clock it sets apart what is held out.

import { StoaError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import type { DescendTask, DrawTask } from '../../models/sgd/block-descent.js';
import { drawSamples, type TaskSamples } from '../../models/sgd/draw-samples.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { type SgdBlockResult, sgdBlock } from '../../models/sgd/sgd-block.js';
import { splitRows, type ValidationSplit } from '../../models/sgd/validation.js';

/** Sets the interactions apart that a block trains with. */
export interface SplitTask {
  readonly interactions: Csr;
  /** Row of the side that the block begins with. */
  readonly rowStart: number;
  readonly split: ValidationSplit;
}

export type StepTask =
  | ({ readonly kind: 'split' } & SplitTask)
  | ({ readonly kind: 'draw' } & DrawTask)
  | ({ readonly kind: 'descend' } & DescendTask);

export type StepAnswer =
  | { readonly kind: 'split'; readonly interactions: Csr }
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
    if (task.kind === 'split') {
      const { interactions, rowStart, split } = task;
      return { kind: 'split', interactions: splitRows(interactions, rowStart, split, 'training') };
    }
    if (task.kind === 'draw') return { kind: 'drawn', samples: draw(task), ms: performance.now() - startMs };
    return { kind: 'descended', result: sgdBlock(task), ms: performance.now() - startMs };
  } catch (error) {
    if (!(error instanceof StoaError)) throw error;
    const { name, code, message, fields } = error;
    return { kind: 'failed', name, code, message, fields };
  }
}

function draw(task: DrawTask): TaskSamples {
  const { runId, settings, block, interactions } = task;
  if (kept?.runId !== runId) kept = { runId, sampler: new NegativeSampler(task.itemCounts, settings) };
  const source = { interactions, block, settings, sampler: kept.sampler };
  return drawSamples(source, task.stepStart, task.stepEnd);
}
