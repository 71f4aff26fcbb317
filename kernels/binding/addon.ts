// The compiled module as TypeScript sees it; addon.cc is the other side. Typed arrays are read and written in place:
// they must not be detached before the call is answered.

declare const deviceBrand: unique symbol;
declare const tableBrand: unique symbol;

export interface AddonDevice {
  readonly [deviceBrand]: true;
}
export interface AddonTable {
  readonly [tableBrand]: true;
}

export type InstructionSet = 'avx512' | 'avx2' | 'neon' | 'baseline';

/** Numbers of `Solver` in solve-job.h. */
export const ADDON_SOLVERS = { cholesky: 0, cg: 1, 'ials++': 2 } as const;

/** Numbers of `SumKind` in kernel-table.h. */
export const ADDON_SUMS = { full: 0, residual: 1, product: 2, block: 3 } as const;

/** Numbers of `FailureKind` in kernel-table.h. */
export const FAILURE = { none: 0, pivot: 1, notFinite: 2, column: 3, value: 4, memory: 5, item: 6 } as const;

/** `detail` of a `notFinite` failure that is the eigenbasis of the Gram's. */
export const EIGENBASIS_FAILED = -2;

/** How a call ended. */
export interface AddonAnswer {
  /** One of `FAILURE`. */
  readonly kind: number;
  readonly row: number;
  readonly detail: number;
  /** 1 when it was cancelled or has failed: nothing that was written counts. */
  readonly isStopped: 0 | 1;
}

export interface SolveAnswer extends AddonAnswer {
  readonly ms: number;
  readonly observed: number;
  readonly penalty: number;
}

export interface AddonCall<T> {
  readonly done: Promise<T>;
  /** What `cancel` takes. */
  readonly call: number;
}

export interface SolveArguments {
  rows: number;
  ptr: Int32Array;
  idx: Int32Array;
  values: Float32Array | undefined;
  gram: Float64Array;
  prior: Float32Array | undefined;
  out: Float32Array;
  outGram: Float64Array;
  solver: number;
  steps: number;
  block: number;
  isHalf: boolean;
  wantLoss: boolean;
  gramScale: number;
  weightScale: number;
  targetShift: number;
  regularization: number;
  countShift: number;
  exponent: number;
}

export interface TopNArguments {
  queries: Float32Array;
  count: number;
  n: number;
  excludePtr: Int32Array | undefined;
  excludeIdx: Int32Array | undefined;
  ids: Int32Array;
  scores: Float32Array;
}

export interface ScoreArguments {
  queries: Float32Array;
  count: number;
  ptr: Int32Array;
  idx: Int32Array;
  scores: Float32Array;
}

export interface DrawArguments {
  rows: number;
  cols: number;
  ptr: Int32Array;
  idx: Int32Array;
  /** Absent: all 1. */
  values: Float32Array | undefined;
  seed: number;
  block: number;
  steps: number;
  /** Of each step: its epoch, where it starts and ends in the epoch's order, [steps, 3]. */
  parts: Int32Array;
  hasNegatives: boolean;
  /** [cols], the items' weights added up; absent: every item alike. */
  cumulative: Float64Array | undefined;
  /** Written, [samples]; one of the last two is empty, by `hasNegatives`. */
  users: Int32Array;
  positives: Int32Array;
  negatives: Int32Array;
  sampleValues: Float32Array;
  /** Written, [cols]: the first `itemCount` of the answer. */
  items: Int32Array;
}

export interface DrawAnswer extends AddonAnswer {
  readonly ms: number;
  readonly itemCount: number;
}

export interface DescentArguments {
  /** Pairs of items, or else ratings. */
  hasPairs: boolean;
  rows: number;
  places: number;
  factors: number;
  steps: number;
  /** The sample after the last one of each step, [steps]. */
  stepEnds: Int32Array;
  /** Learning rates, [steps]. */
  rates: Float64Array;
  regularization: number;
  mean: number;
  /** [rows, columns] and [places, columns]; see `sgdColumns`. */
  users: Float32Array;
  items: Float32Array;
  /** [samples]; one of the last two is empty, by `hasPairs`. */
  sampleUsers: Int32Array;
  positives: Int32Array;
  negatives: Int32Array;
  values: Float32Array;
  /** Written: rows of the users, what is added to those of the items, how often each of these was changed. */
  outUsers: Float32Array;
  deltas: Float32Array;
  counts: Int32Array;
}

export interface DescentAnswer extends AddonAnswer {
  readonly ms: number;
  readonly loss: number;
  /** That counted. */
  readonly samples: number;
}

export interface SumArguments {
  rows: number;
  ptr: Int32Array;
  idx: Int32Array;
  values: Float32Array | undefined;
  /** [rows, K]; not read by `full`. */
  operand: Float32Array | undefined;
  /** One of `ADDON_SUMS`. */
  kind: number;
  /** Dimensions of a `block`; 0 and K otherwise. */
  start: number;
  end: number;
  weightScale: number;
  targetShift: number;
  /** Written, [rows, numbers of such a sum]. */
  out: Float64Array;
}

export interface RowsArguments {
  rowStart: number;
  count: number;
  data: Float32Array;
}

/** Exceptions have a `code` of common/errors.ts. */
export interface Addon {
  /** Those that this processor has, fastest first. */
  instructionSets(): InstructionSet[];
  /** @param o `isa`: empty for the fastest. */
  open(o: { threads: number; isa: string }): AddonDevice;
  /** Ends the threads. Calls under way are never answered. */
  close(device: AddonDevice): void;
  cancel(device: AddonDevice, call: number): void;
  createTable(o: { rows: number; factors: number }): AddonTable;
  disposeTable(table: AddonTable): void;
  writeTable(table: AddonTable, rows: RowsArguments): void;
  readTable(table: AddonTable, rows: RowsArguments): void;
  solveBlock(device: AddonDevice, fixed: AddonTable, task: SolveArguments): AddonCall<SolveAnswer>;
  topN(device: AddonDevice, items: AddonTable, task: TopNArguments): AddonCall<AddonAnswer>;
  score(device: AddonDevice, items: AddonTable, task: ScoreArguments): AddonCall<AddonAnswer>;
  drawSamples(device: AddonDevice, task: DrawArguments): AddonCall<DrawAnswer>;
  descend(device: AddonDevice, task: DescentArguments): AddonCall<DescentAnswer>;
  sumRows(device: AddonDevice, fixed: AddonTable, task: SumArguments): AddonCall<AddonAnswer>;
}
