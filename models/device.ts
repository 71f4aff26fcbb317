// The kernel contract: what a device of any kind does for a worker, an evaluation or a server.
// Only typed arrays, opaque factor tables and AbortSignals cross it; padding, tiles, staging and threads stay
// inside. All arrays may lie over SharedArrayBuffers. Implementations: worker/devices/, one file each.

import type { Csr } from './csr.js';
import type { RowSumsTask } from './ials/row-sums.js';
import type { BlockDescent } from './sgd/block-descent.js';

export type DeviceKind = 'portable' | 'native' | 'webgpu' | 'tfjs';
export type InstructionSet = 'avx2' | 'avx512' | 'neon' | 'baseline';
export type SolverName = 'cholesky' | 'cg' | 'ials++';
/** Precision of the copy of the fixed side that rows are gathered from. */
export type GatherPrecision = 'f32' | 'f16';

/** The objective of iALS, with its penalty; see models/ials/objective.ts for the equations. */
export interface IalsObjective {
  readonly objective: 'ials' | 'hu2008';
  /** `binary`: every interaction weighs the same (w = 1); `value`: w = alpha × value. */
  readonly weights: 'binary' | 'value';
  /** Weight of the unobserved pairs (`ials`), >= 0. */
  readonly alpha0: number;
  /** Scale of the values, > 0: w = alpha·value (`ials`), c = 1 + alpha·value (`hu2008`). */
  readonly alpha: number;
  /** λ >= 0. */
  readonly regularization: number;
  /** Exponent of the penalty's frequency scaling (`ials`), 0 to 1. */
  readonly nu: number;
}

export interface SolverOptions {
  readonly name: SolverName;
  /** Steps of conjugate gradients, >= 1. */
  readonly cgSteps: number;
  /** Dimensions of an iALS++ block, >= 1; more than K means K. */
  readonly block: number;
  /**
   * Precision of the copy of the fixed side that a row's entries are gathered from. The tables, the Gram and all sums
   * stay as they are. @default f32
   */
  readonly gather?: GatherPrecision;
}

export interface DeviceInfo {
  readonly kind: DeviceKind;
  /** For people: "portable TypeScript", "NVIDIA H200 via Dawn". */
  readonly name: string;
  /** True for an emulated GPU; such a device never counts as one. */
  readonly isSoftware: boolean;
  /** Threads that compute at once. */
  readonly threads: number;
  /** Provider, driver, instruction set, precision: part of a run's reproducibility key. */
  readonly detail: Readonly<Record<string, string | number | boolean>>;
}

export interface DeviceCapabilities {
  readonly solvers: ReadonlySet<SolverName>;
  /** Values of `SolverOptions.gather`; every device has f32. */
  readonly gathers: ReadonlySet<GatherPrecision>;
  /** Greatest K. */
  readonly factorsMax: number;
  /** Greatest n of `topN`. */
  readonly topNMax: number;
  /** How many `solveBlock` calls it is worth having in flight. */
  readonly blocksInFlight: number;
  /** Most bytes one factor table may have. */
  readonly tableBytesMax: number;
  /** `bitwise`: same device, driver and build give the same bits whatever the partition into blocks. */
  readonly determinism: 'bitwise' | 'tolerance';
}

declare const factorTableBrand: unique symbol;

/** A table of factors on the device: f32, [rows, factors], row-major. Made by `createTable`, freed by `dispose`. */
export interface FactorTable {
  readonly [factorTableBrand]: true;
  readonly rows: number;
  readonly factors: number;
  /** Frees the memory; safe to call twice. */
  dispose(): void;
}

/** One block task: a pure function of what is named here. */
export interface BlockTask {
  /** The block's rows; `cols` is the number of rows of `fixed`. */
  readonly block: Csr;
  /** The other side's factors Y at the clock of the phase. */
  readonly fixed: FactorTable;
  /** G = YᵀY at the same clock: f64, [K, K], symmetric, both triangles filled. */
  readonly gram: Float64Array;
  /** The block's rows at the clock before, [block.rows, K]: where `cg` and `ials++` start. Absent: zeros. */
  readonly prior?: Float32Array;
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
  /** Compute `BlockResult.loss`. */
  readonly wantLoss: boolean;
  /**
   * Memory for the result's rows, [block.rows, K]: a device that can writes them there, and `BlockResult.rows` is this
   * array. It is the device's until the call resolves; after a rejection it must not be used again.
   */
  readonly out?: Float32Array;
  readonly signal?: AbortSignal;
}

export interface BlockResult {
  /** [block.rows, K]. A row without entries is exactly zero. */
  readonly rows: Float32Array;
  /** Gram of `rows`: f64, lower triangle by rows, K(K+1)/2: entry (r, c <= r) at r(r+1)/2 + c. */
  readonly gram: Float64Array;
  readonly loss?: BlockLoss;
  /** Time spent solving. */
  readonly ms: number;
}

/** What a block's rows add to the objective, in f64; see models/ials/loss.ts for how it is put together. */
export interface BlockLoss {
  /** Sum over the block's interactions. */
  readonly observed: number;
  /** Σ λ_row ‖x_row‖², λ included. */
  readonly penalty: number;
}

export interface TopNTask {
  /** Query rows Q, f32 [queries, K], row-major. */
  readonly queries: Float32Array;
  readonly items: FactorTable;
  /** How many items for each query, 1 to `topNMax`. */
  readonly n: number;
  /** Items that must not be answered, one row for each query. */
  readonly exclude?: Csr;
  readonly signal?: AbortSignal;
}

/** Scores of given pairs: for each query its own list of item rows. */
export interface ScoreTask {
  /** Query rows Q, f32 [queries, K], row-major. */
  readonly queries: Float32Array;
  readonly items: FactorTable;
  /** One row of item rows for each query; `cols` is the number of rows of `items`. Values are not read. */
  readonly pairs: Csr;
  readonly signal?: AbortSignal;
}

/** Best first; equal scores by lower item row. Rows with fewer items than n are filled with -1 and -Infinity. */
export interface TopNResult {
  /** [queries, n] item rows. */
  readonly ids: Int32Array;
  /** [queries, n] inner products. */
  readonly scores: Float32Array;
}

/**
 * A device that computes. Calls may overlap up to `capabilities.blocksInFlight`.
 *
 * Errors: `ShapeError` when lengths disagree (nothing was computed), `NumericError` `STOA_NUMERIC_PIVOT` or
 * `STOA_NUMERIC_NOT_FINITE`, `DeviceError` when the device is lost or out of memory. An aborted call rejects with the
 * signal's reason.
 */
export interface ComputeDevice {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  /**
   * Kernels for models by stochastic gradient descent; as many calls at once as the device has threads are worth having.
   * Absent: their steps are done by threads of the worker (worker/steps/step-pool.ts).
   */
  readonly descent?: BlockDescent;
  /** Settles when the device can no longer be used; never rejects. */
  readonly lost: Promise<{ reason: 'disposed' | 'lost'; message: string }>;
  /** A table of zeros. */
  createTable(rows: number, factors: number): Promise<FactorTable>;
  /** Writes whole rows, `data.length / factors` of them, from `rowStart`. */
  write(table: FactorTable, rowStart: number, data: Float32Array): Promise<void>;
  /**
   * Reads rows `rowStart` (in) to `rowEnd` (out).
   *
   * @param into memory for them, [rowEnd − rowStart, K]: a device that can writes them there and answers this array.
   */
  read(table: FactorTable, rowStart: number, rowEnd: number, into?: Float32Array): Promise<Float32Array>;
  /** Solves the rows of one block, holding the other side fixed. */
  solveBlock(task: BlockTask): Promise<BlockResult>;
  topN(task: TopNTask): Promise<TopNResult>;
  /** Inner products of the pairs, f32, in the order of `pairs.idx`. */
  score(task: ScoreTask): Promise<Float32Array>;
  /**
   * Sums over the entries of rows, f64 [rows, numbers of the sum]: row after row, zeros where a row has no entries. Same
   * rows, same bits, whatever the block they are in and however many threads there are. Absent: they are summed by
   * federation/ials/item-sums.ts.
   */
  sumRows?(task: RowSumsTask): Promise<Float64Array>;
  /** Frees threads and tables. */
  dispose(): Promise<void>;
}

/** How a device is to be opened. A device does not read what does not concern it. */
export interface DeviceOpenOptions {
  /** Threads that compute at once, >= 1. */
  readonly threads: number;
  /** One of the factory's `providers`. @default the best that works */
  readonly provider?: string;
  /** Instruction set of the kernels of `native`. @default the widest that the processor has */
  readonly isa?: InstructionSet;
}

/** What a factory found: `reason` is why the device does not work here, `remedy` what to do about it. */
export type DeviceProbe = { ok: true; info: DeviceInfo } | { ok: false; reason: string; remedy: string };

/** Finds out whether a device works here, and opens it. */
export interface DeviceFactory {
  readonly kind: DeviceKind;
  /** What `DeviceOpenOptions.provider` can be, best first. Absent: there is nothing to choose. */
  readonly providers?: readonly string[];
  /** Of `providers`, those that `auto` tries, best first: others are for who names them. */
  readonly autoProviders?: readonly string[];
  /** @param options `provider`: that one alone counts. @default any */
  probe(options?: { provider?: string }): Promise<DeviceProbe>;
  /** @throws {DeviceError} the device, the provider or the instruction set does not work here; says what to do. */
  open(options: DeviceOpenOptions): Promise<ComputeDevice>;
}
