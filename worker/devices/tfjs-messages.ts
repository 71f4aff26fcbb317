// What travels between a tfjs device and its thread. Arrays lie over SharedArrayBuffers: inputs are read and outputs
// written in place, and only a few numbers travel back.

import type { StoaError } from '../../common/errors.js';
import type { Csr } from '../../models/csr.js';
import type { BlockLoss, DeviceInfo, IalsObjective, SolverOptions } from '../../models/device.js';
import type { TfjsProvider } from './tfjs-provider.js';
import type { TfjsUnavailable } from './tfjs-unavailable.js';

/** A table as the thread needs it: what it uploaded of it is good for one version. */
export interface TableVersion {
  readonly id: number;
  /** Grows with every write. */
  readonly version: number;
  readonly rows: number;
  readonly factors: number;
  /** [rows, factors]. */
  readonly data: Float32Array;
}

interface TaskBase {
  /** One word; anything but 0 ends the task at the next step. */
  readonly abort: Int32Array;
}

export interface TfjsSolveTask extends TaskBase {
  readonly kind: 'solve';
  readonly block: Csr;
  readonly fixed: TableVersion;
  readonly gram: Float64Array;
  readonly prior: Float32Array | undefined;
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
  readonly wantLoss: boolean;
  /** Written: the rows, [block.rows, factors]. */
  readonly out: Float32Array;
  /** Written: their packed Gram. */
  readonly outGram: Float64Array;
}

export interface TfjsRankTask extends TaskBase {
  readonly kind: 'rank';
  readonly queries: Float32Array;
  readonly count: number;
  readonly items: TableVersion;
  readonly n: number;
  readonly exclude: Csr | undefined;
  /** Written: [count, n] each. */
  readonly out: { readonly ids: Int32Array; readonly scores: Float32Array };
}

export interface TfjsScoreTask extends TaskBase {
  readonly kind: 'score';
  readonly queries: Float32Array;
  readonly items: TableVersion;
  readonly pairs: Csr;
  /** Written: one score for each entry of `pairs`. */
  readonly out: Float32Array;
}

/** Tensors that are alive, and their bytes. */
export interface TfjsMemory {
  readonly tensors: number;
  readonly bytes: number;
}

export type TfjsTask = TfjsSolveTask | TfjsRankTask | TfjsScoreTask;

export type TfjsRequest =
  | { readonly id: number; readonly task: TfjsTask }
  | { readonly id: number; readonly task: { readonly kind: 'memory' } }
  /** Has no answer. */
  | { readonly free: number }
  /** Frees everything and ends the thread; has no answer. */
  | { readonly close: true };

export type TfjsAnswer =
  | { readonly kind: 'done'; readonly ms: number; readonly loss?: BlockLoss; readonly memory?: TfjsMemory }
  | { readonly kind: 'aborted' }
  /** A `StoaError` in parts: errors lose their class between threads. */
  | {
      readonly kind: 'failed';
      readonly name: string;
      readonly code: StoaError['code'];
      readonly message: string;
      readonly fields: StoaError['fields'];
    };

/** What the thread is started with. */
export interface TfjsThreadData {
  readonly provider: TfjsProvider;
  readonly threads: number;
}

export type TfjsThreadMessage =
  | { readonly kind: 'ready'; readonly info: DeviceInfo; readonly tensorBytesMax: number }
  | { readonly kind: 'unavailable'; readonly why: TfjsUnavailable }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: TfjsAnswer }
  | { readonly kind: 'lost'; readonly message: string };
