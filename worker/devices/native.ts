// The native device: C++ kernels in threads of their own, off the event loop; kernels/ has them.

import { availableParallelism } from 'node:os';
import { DeviceError, ShapeError } from '../../common/errors.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import {
  ADDON_SOLVERS,
  ADDON_SUMS,
  type Addon,
  type AddonAnswer,
  type AddonCall,
  type AddonDevice,
  type AddonTable,
  FAILURE,
  type InstructionSet,
} from '../../kernels/binding/addon.js';
import { loadAddon, requireAddon } from '../../kernels/binding/load-addon.js';
import type { Csr } from '../../models/csr.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceCapabilities,
  DeviceFactory,
  DeviceInfo,
  FactorTable,
  IalsObjective,
  ScoreTask,
  TopNResult,
  TopNTask,
} from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { entryTarget, entryWeight, gramScale } from '../../models/ials/objective.js';
import { type RowSumsTask, rowSumLength } from '../../models/ials/row-sums.js';
import { held } from './held.js';
import { NativeDescent } from './native-descent.js';
import { explainBlock, explainException, explainRanking, explainSums } from './native-errors.js';

/** What the kernels' scratch memory and the eigenbasis are made for; the same bound as the setting `ials.factors`. */
const FACTORS_MAX = 1024;
/** Heaps of more items than this are no longer the small part of a ranking's cost. */
const TOP_N_MAX = 10_000;
/** Node's typed arrays hold at most 2^32 elements; a table can be read into one. */
const TABLE_BYTES_MAX = 2 ** 34 - 4;
/** Threads take units of whatever block has some: one more block than is being finished keeps them all busy. */
const BLOCKS_IN_FLIGHT = 3;

export interface NativeOptions {
  threads: number;
  /** @default `STOA_ISA` of the environment, else the fastest that the processor has */
  isa?: InstructionSet;
}

class NativeDevice implements ComputeDevice {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities = {
    solvers: new Set(['cholesky', 'cg', 'ials++']),
    gathers: new Set(['f32', 'f16']),
    factorsMax: FACTORS_MAX,
    topNMax: TOP_N_MAX,
    blocksInFlight: BLOCKS_IN_FLIGHT,
    tableBytesMax: TABLE_BYTES_MAX,
    determinism: 'bitwise',
  };
  readonly descent: NativeDescent;
  readonly lost: Promise<{ reason: 'disposed' | 'lost'; message: string }>;
  readonly #addon: Addon;
  readonly #device: AddonDevice;
  readonly #tables = new WeakMap<FactorTable, AddonTable>();
  readonly #calls = new Map<number, Promise<unknown>>();
  #resolveLost: (why: { reason: 'disposed'; message: string }) => void = () => {};
  #isDisposed = false;

  constructor(addon: Addon, threads: number, isa: InstructionSet) {
    this.#addon = addon;
    this.#device = addon.open({ threads, isa });
    this.info = nativeInfo(threads, isa);
    this.descent = new NativeDescent(addon, this.#device, (signal, start) => this.#run(signal, start));
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
  }

  async createTable(rows: number, factors: number): Promise<FactorTable> {
    this.#expectOpen();
    if (rows * factors * 4 > TABLE_BYTES_MAX) {
      throw new DeviceError(
        'STOA_DEVICE',
        `a table of ${rows} rows and ${factors} factors does not fit the native device; use fewer factors`,
        { fields: { rows, factors } },
      );
    }
    const made = this.#calling(() => this.#addon.createTable({ rows, factors }));
    const table = {
      rows,
      factors,
      dispose: () => {
        if (this.#tables.delete(table)) this.#addon.disposeTable(made);
      },
    } as unknown as FactorTable;
    this.#tables.set(table, made);
    return table;
  }

  async write(table: FactorTable, rowStart: number, data: Float32Array): Promise<void> {
    const count = data.length / table.factors;
    this.#calling(() => this.#addon.writeTable(this.#tableOf(table), { rowStart, count, data }));
  }

  async read(
    table: FactorTable,
    rowStart: number,
    rowEnd: number,
    into?: Float32Array,
  ): Promise<Float32Array> {
    const from = this.#tableOf(table);
    const isRange =
      Number.isInteger(rowStart) && Number.isInteger(rowEnd) && rowStart >= 0 && rowStart <= rowEnd;
    if (!isRange || rowEnd > table.rows) {
      throw new ShapeError(
        'STOA_SHAPE',
        `rows ${rowStart} to ${rowEnd} are not a range of a table of ${table.rows} rows`,
        { fields: { rowStart, rowEnd, rows: table.rows } },
      );
    }
    const count = rowEnd - rowStart;
    const data = roomFor(count * table.factors, into, 'into');
    this.#calling(() => this.#addon.readTable(from, { rowStart, count, data }));
    return data;
  }

  async solveBlock(task: BlockTask): Promise<BlockResult> {
    const { block, fixed, objective, solver, signal } = task;
    const table = this.#tableOf(fixed);
    checkColumns(block, 'block', fixed.rows);
    const out = roomFor(checkCount(block.rows, 'block.rows') * fixed.factors, task.out, 'out');
    const outGram = new Float64Array(new SharedArrayBuffer(packedGramLength(fixed.factors) * 8));
    const isCg = solver.name === 'cg';
    const answer = await this.#run(signal, () =>
      this.#addon.solveBlock(this.#device, table, {
        rows: block.rows,
        ptr: held(block.ptr),
        idx: held(block.idx),
        values: held(objective.weights === 'value' ? block.values : undefined),
        gram: held(task.gram),
        prior: held(task.prior),
        out,
        outGram,
        solver: ADDON_SOLVERS[solver.name],
        steps: isCg ? solver.cgSteps : 1,
        block: solver.name === 'ials++' ? Math.min(solver.block, fixed.factors) : 1,
        isHalf: isCg && solver.gather === 'f16',
        wantLoss: task.wantLoss,
        ...rowEquation(objective, fixed.rows),
      }),
    );
    if (answer.kind !== FAILURE.none) throw explainBlock(answer, task, () => this.#rowsOf(fixed, table));
    const { observed, penalty, ms } = answer;
    return { rows: out, gram: outGram, loss: task.wantLoss ? { observed, penalty } : undefined, ms };
  }

  async topN(task: TopNTask): Promise<TopNResult> {
    const { items, n, exclude } = task;
    const table = this.#tableOf(items);
    const count = checkQueries(task.queries, items.factors);
    if (!Number.isInteger(n) || n < 1 || n > TOP_N_MAX) {
      throw new ShapeError('STOA_SHAPE', `n is ${n} where 1 to ${TOP_N_MAX} was expected`);
    }
    if (exclude !== undefined && exclude.rows !== count) {
      throw new ShapeError('STOA_SHAPE', `exclude has ${exclude.rows} rows for ${count} queries`);
    }
    const ids = sharedInt32(count * n);
    const scores = sharedFloat32(count * n);
    const answer = await this.#run(task.signal, () =>
      this.#addon.topN(this.#device, table, {
        queries: held(task.queries),
        count,
        n,
        excludePtr: held(exclude?.ptr),
        excludeIdx: held(exclude?.idx),
        ids,
        scores,
      }),
    );
    if (answer.kind !== FAILURE.none) throw explainRanking(answer, items.rows);
    return { ids, scores };
  }

  async score(task: ScoreTask): Promise<Float32Array> {
    const { items, pairs } = task;
    const table = this.#tableOf(items);
    const count = checkQueries(task.queries, items.factors);
    checkColumns(pairs, 'pairs', items.rows);
    if (pairs.rows !== count) {
      throw new ShapeError('STOA_SHAPE', `pairs has ${pairs.rows} rows for ${count} queries`);
    }
    const scores = sharedFloat32(pairs.idx.length);
    const answer = await this.#run(task.signal, () =>
      this.#addon.score(this.#device, table, {
        queries: held(task.queries),
        count,
        ptr: held(pairs.ptr),
        idx: held(pairs.idx),
        scores,
      }),
    );
    if (answer.kind !== FAILURE.none) throw explainRanking(answer, items.rows);
    return scores;
  }

  async sumRows(task: RowSumsTask): Promise<Float64Array> {
    const { rows, fixed, objective, sum } = task;
    const table = this.#tableOf(fixed);
    checkColumns(rows, 'rows', fixed.rows);
    const length = checkCount(rows.rows, 'rows.rows') * rowSumLength(sum, fixed.factors);
    const out = new Float64Array(length);
    const answer = await this.#run(task.signal, () =>
      this.#addon.sumRows(this.#device, table, {
        rows: rows.rows,
        ptr: held(rows.ptr),
        idx: held(rows.idx),
        values: held(objective.weights === 'value' ? rows.values : undefined),
        operand: held(sum.kind === 'full' ? undefined : task.operand),
        kind: ADDON_SUMS[sum.kind],
        start: sum.kind === 'block' ? sum.start : 0,
        end: sum.kind === 'block' ? sum.end : fixed.factors,
        weightScale: entryWeight(objective, 1),
        targetShift: entryTarget(objective, 0),
        out,
      }),
    );
    if (answer.kind !== FAILURE.none) throw explainSums(answer, task);
    return out;
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    for (const call of this.#calls.keys()) this.#addon.cancel(this.#device, call);
    await Promise.allSettled(this.#calls.values());
    this.#addon.close(this.#device);
    this.#resolveLost({ reason: 'disposed', message: 'the native device was disposed of' });
  }

  /** Starts a call and waits for it; when the signal aborts, rejects with its reason at once. */
  async #run<T extends AddonAnswer>(signal: AbortSignal | undefined, start: () => AddonCall<T>): Promise<T> {
    signal?.throwIfAborted();
    this.#expectOpen();
    const { done, call } = this.#calling(start);
    this.#calls.set(call, done);
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        this.#addon.cancel(this.#device, call);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    const ended = done.finally(() => this.#calls.delete(call));
    try {
      const answer = await Promise.race([ended, aborted]);
      if (answer.isStopped === 1 && answer.kind === FAILURE.none) {
        throw new DeviceError('STOA_DEVICE', 'the native device was closed while it computed; open it again');
      }
      return answer;
    } finally {
      signal?.removeEventListener('abort', onAbort!);
    }
  }

  #calling<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw explainException(error);
    }
  }

  #rowsOf({ rows, factors }: FactorTable, table: AddonTable): Float32Array {
    const data = sharedFloat32(rows * factors);
    this.#calling(() => this.#addon.readTable(table, { rowStart: 0, count: rows, data }));
    return data;
  }

  #expectOpen(): void {
    if (this.#isDisposed) throw new DeviceError('STOA_DEVICE', 'the native device was disposed of');
  }

  #tableOf(table: FactorTable): AddonTable {
    const made = this.#tables.get(table);
    if (!this.#isDisposed && made !== undefined) return made;
    throw new DeviceError('STOA_DEVICE', 'the table or its device was disposed of, or belongs to another');
  }
}

export const nativeDevice: Omit<DeviceFactory, 'open'> & {
  open(options: NativeOptions): Promise<ComputeDevice>;
} = {
  kind: 'native',
  async probe() {
    const found = await loadAddon();
    if (!found.ok) return { ok: false, reason: found.reason, remedy: found.remedy };
    const isa = chosenIsa(found.addon, undefined);
    if (isa instanceof DeviceError) return { ok: false, reason: isa.message, remedy: 'unset STOA_ISA' };
    return { ok: true, info: nativeInfo(availableParallelism(), isa) };
  },
  async open({ threads, isa }) {
    const addon = await requireAddon();
    const chosen = chosenIsa(addon, isa);
    if (chosen instanceof DeviceError) throw chosen;
    try {
      return new NativeDevice(addon, threads, chosen);
    } catch (error) {
      throw explainException(error);
    }
  },
};

/** Instruction sets that the native device can use here, fastest first. @throws {DeviceError} when it does not work. */
export async function nativeInstructionSets(): Promise<InstructionSet[]> {
  return (await requireAddon()).instructionSets();
}

function chosenIsa(addon: Addon, isa: string | undefined): InstructionSet | DeviceError {
  const wanted = isa ?? process.env['STOA_ISA'];
  const usable = addon.instructionSets();
  const found = wanted ? usable.find((name) => name === wanted) : usable[0];
  if (found !== undefined) return found;
  const message = `this processor does not have the instruction set "${wanted}"; it has ${usable.join(', ')}`;
  return new DeviceError('STOA_DEVICE', message, { fields: { field: '--isa' } });
}

const ISA_NAMES: Record<InstructionSet, string> = {
  avx512: 'AVX-512',
  avx2: 'AVX2',
  neon: 'NEON',
  baseline: 'no vector extensions',
};

/**
 * The instruction sets that fuse a product and a sum give the same bits, so that what is part of a run's key is whether
 * one does, not which.
 */
function nativeInfo(threads: number, isa: InstructionSet): DeviceInfo {
  return {
    kind: 'native',
    name: `native C++ (${ISA_NAMES[isa]})`,
    isSoftware: false,
    threads,
    detail: { isa, precision: 'f32', arithmetic: isa === 'baseline' ? 'baseline' : 'fma' },
  };
}

/** The numbers of models/ials/objective.ts that make a row's equations. */
function rowEquation(objective: IalsObjective, fixedRows: number) {
  const isIals = objective.objective === 'ials';
  return {
    gramScale: gramScale(objective),
    weightScale: entryWeight(objective, 1),
    targetShift: entryTarget(objective, 0),
    regularization: objective.regularization,
    countShift: isIals ? objective.alpha0 * fixedRows : 0,
    exponent: isIals ? objective.nu : 0,
  };
}

function roomFor(length: number, given: Float32Array | undefined, what: string): Float32Array {
  if (given === undefined || (given.buffer as { resizable?: boolean }).resizable)
    return sharedFloat32(length);
  if (given.length === length) return given;
  throw new ShapeError(
    'STOA_SHAPE',
    `${what} has room for ${given.length} numbers where ${length} are needed`,
  );
}

function checkCount(count: number, what: string): number {
  if (Number.isInteger(count) && count >= 0) return count;
  throw new ShapeError('STOA_SHAPE', `${what} is ${count} where a whole number was expected`);
}

function checkColumns(csr: Csr, what: string, rows: number): void {
  if (csr.cols === rows) return;
  throw new ShapeError('STOA_SHAPE', `${what} has ${csr.cols} columns where the table has ${rows} rows`, {
    fields: { found: csr.cols, expected: rows },
  });
}

function checkQueries(queries: Float32Array, factors: number): number {
  const count = queries.length / factors;
  if (Number.isInteger(count)) return count;
  throw new ShapeError('STOA_SHAPE', `${queries.length} numbers are not whole queries of ${factors} factors`);
}
