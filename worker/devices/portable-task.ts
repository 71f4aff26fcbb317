// What a thread of the portable device does with one task. All arrays lie over SharedArrayBuffers: inputs are read
// and outputs written in place, and only a few numbers travel back.

import { StoaError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import type { BlockLoss, IalsObjective, SolverOptions } from '../../models/device.js';
import { SolveAborted, solveBlock } from '../../models/ials/solve-block.js';
import type { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { ScoringAborted, scorePairs } from '../../models/rank/score-pairs.js';
import { RankAborted, topN } from '../../models/rank/top-n.js';

export interface SolveTask {
  readonly kind: 'solve';
  readonly block: Csr;
  readonly fixed: Float32Array;
  readonly fixedRows: number;
  readonly factors: number;
  readonly gram: Float64Array;
  readonly prior: Float32Array | undefined;
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
  readonly wantLoss: boolean;
  /** Written: the rows, [block.rows, factors]. */
  readonly out: Float32Array;
  /** Written: their packed Gram. */
  readonly outGram: Float64Array;
  /** One word; anything but 0 ends the task at the next row. */
  readonly abort: Int32Array;
}

export interface RankTask {
  readonly kind: 'rank';
  readonly queries: Float32Array;
  readonly count: number;
  /** Row of the caller's queries that the first one here is: for messages. */
  readonly queryStart: number;
  readonly items: Float32Array;
  readonly itemCount: number;
  readonly factors: number;
  readonly n: number;
  readonly exclude: Csr | undefined;
  /** Written: [count, n] each. */
  readonly out: { readonly ids: Int32Array; readonly scores: Float32Array };
  readonly abort: Int32Array;
}

export interface ScorePairsTask {
  readonly kind: 'score';
  readonly queries: Float32Array;
  readonly count: number;
  /** As in `RankTask`. */
  readonly queryStart: number;
  readonly items: Float32Array;
  readonly itemCount: number;
  readonly factors: number;
  readonly pairs: Csr;
  /** Written, one score a pair. */
  readonly out: Float32Array;
  readonly abort: Int32Array;
}

export type PortableTask = SolveTask | RankTask | ScorePairsTask;

export type PortableAnswer =
  | { readonly kind: 'done'; readonly ms: number; readonly loss?: BlockLoss }
  | { readonly kind: 'aborted' }
  /** A `StoaError` in parts: errors lose their class between threads. */
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code: StoaError['code'];
      readonly message: string;
      readonly fields: StoaError['fields'];
    };

/** Runs one task. Answers errors that a user can meet; throws only on a bug of ours. */
export function runPortableTask(task: PortableTask, workspace: SolveWorkspace): PortableAnswer {
  const startMs = performance.now();
  const isAborted = (): boolean => Atomics.load(task.abort, 0) !== 0;
  try {
    let loss: BlockLoss | undefined;
    if (task.kind === 'solve') loss = solveBlock({ ...task, workspace, isAborted }).loss;
    else if (task.kind === 'rank') topN({ ...task, isAborted });
    else scorePairs({ ...task, isAborted });
    return { kind: 'done', ms: performance.now() - startMs, loss };
  } catch (error) {
    if (isAbort(error)) return { kind: 'aborted' };
    if (!(error instanceof StoaError)) throw error;
    const { name, code, message, fields } = error;
    return { kind: 'failed', name, code, message, fields };
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof SolveAborted || error instanceof RankAborted || error instanceof ScoringAborted;
}
