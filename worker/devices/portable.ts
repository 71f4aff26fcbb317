// The portable device: the kernels of models/ in threads. It runs wherever Node runs, and is the reference that
// faster devices are held against.

import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { DeviceError, messageOf, ShapeError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceCapabilities,
  DeviceFactory,
  DeviceInfo,
  FactorTable,
  ScoreTask,
  TopNResult,
  TopNTask,
} from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { PORTABLE_SOLVERS } from '../../models/ials/solve-block.js';
import { portableInfo } from './portable-info.js';
import { PortablePool } from './portable-pool.js';

/** Heaps of more items than this are no longer the small part of a ranking's cost. */
const TOP_N_MAX = 10_000;

/** Node's typed arrays hold at most 2^32 elements; a table stays one array. */
const TABLE_BYTES_MAX = 2 ** 34 - 4;

/** The same bound as the setting `ials.factors`. */
const FACTORS_MAX = 1024;

/** Queries that a thread takes at least: a tile of the ranking kernel. */
const QUERIES_PER_TASK_MIN = 32;

class PortableDevice implements ComputeDevice {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  readonly lost: Promise<{ reason: 'disposed' | 'lost'; message: string }>;
  readonly #pool: PortablePool;
  readonly #tables = new WeakMap<FactorTable, Float32Array>();
  #resolveLost: (why: { reason: 'disposed'; message: string }) => void = () => {};
  #isDisposed = false;

  constructor(threads: number) {
    this.info = portableInfo(threads);
    this.capabilities = {
      solvers: PORTABLE_SOLVERS,
      gathers: new Set(['f32']),
      factorsMax: FACTORS_MAX,
      topNMax: TOP_N_MAX,
      // One more than there are threads, so that a thread that ends finds the next block waiting.
      blocksInFlight: threads + 1,
      tableBytesMax: TABLE_BYTES_MAX,
      determinism: 'bitwise',
    };
    this.lost = new Promise((resolve) => {
      this.#resolveLost = resolve;
    });
    this.#pool = new PortablePool(threads);
  }

  async createTable(rows: number, factors: number): Promise<FactorTable> {
    const bytes = rows * factors * 4;
    if (bytes > TABLE_BYTES_MAX) throw tableTooLarge(rows, factors);
    let data: Float32Array;
    try {
      data = sharedFloat32(rows * factors);
    } catch (error) {
      throw tableTooLarge(rows, factors, error);
    }
    const table = {
      rows,
      factors,
      dispose: () => {
        this.#tables.delete(table);
      },
    } as unknown as FactorTable;
    this.#tables.set(table, data);
    return table;
  }

  async write(table: FactorTable, rowStart: number, data: Float32Array): Promise<void> {
    const rows = data.length / table.factors;
    checkRange(table, rowStart, rowStart + rows);
    this.#dataOf(table).set(data, rowStart * table.factors);
  }

  async read(table: FactorTable, rowStart: number, rowEnd: number): Promise<Float32Array> {
    checkRange(table, rowStart, rowEnd);
    const out = sharedFloat32((rowEnd - rowStart) * table.factors);
    out.set(this.#dataOf(table).subarray(rowStart * table.factors, rowEnd * table.factors));
    return out;
  }

  async solveBlock(task: BlockTask): Promise<BlockResult> {
    const { factors, rows: fixedRows } = task.fixed;
    const rows = sharedFloat32(task.block.rows * factors);
    const gram = new Float64Array(new SharedArrayBuffer(packedGramLength(factors) * 8));
    const { ms, loss } = await this.#pool.run(
      {
        kind: 'solve',
        block: shareCsr(task.block),
        fixed: this.#dataOf(task.fixed),
        fixedRows,
        factors,
        gram: share(task.gram),
        prior: task.prior === undefined ? undefined : share(task.prior),
        objective: task.objective,
        solver: task.solver,
        wantLoss: task.wantLoss,
        out: rows,
        outGram: gram,
      },
      task.signal,
    );
    return { rows, gram, loss, ms };
  }

  async topN(task: TopNTask): Promise<TopNResult> {
    const { items, n } = task;
    const count = task.queries.length / items.factors;
    checkTopN(task, count);
    const queries = share(task.queries);
    const exclude = task.exclude === undefined ? undefined : shareCsr(task.exclude);
    const ids = sharedInt32(count * n);
    const scores = sharedFloat32(count * n);
    const perTask = Math.max(QUERIES_PER_TASK_MIN, Math.ceil(count / this.info.threads));
    const parts: Promise<unknown>[] = [];
    for (let start = 0; start < count; start += perTask) {
      const end = Math.min(start + perTask, count);
      const part = {
        kind: 'rank' as const,
        queries: queries.subarray(start * items.factors, end * items.factors),
        count: end - start,
        queryStart: start,
        items: this.#dataOf(items),
        itemCount: items.rows,
        factors: items.factors,
        n,
        exclude: exclude === undefined ? undefined : csrSlice(exclude, start, end),
        out: { ids: ids.subarray(start * n, end * n), scores: scores.subarray(start * n, end * n) },
      };
      parts.push(this.#pool.run(part, task.signal));
    }
    await Promise.all(parts);
    return { ids, scores };
  }

  async score(task: ScoreTask): Promise<Float32Array> {
    const { items } = task;
    const count = task.queries.length / items.factors;
    checkPairs(task, count);
    const queries = share(task.queries);
    const pairs = shareCsr({ ...task.pairs, values: undefined });
    const scores = sharedFloat32(pairs.idx.length);
    const perTask = Math.max(QUERIES_PER_TASK_MIN, Math.ceil(count / this.info.threads));
    const parts: Promise<unknown>[] = [];
    for (let start = 0; start < count; start += perTask) {
      const end = Math.min(start + perTask, count);
      const part = {
        kind: 'score' as const,
        queries: queries.subarray(start * items.factors, end * items.factors),
        count: end - start,
        queryStart: start,
        items: this.#dataOf(items),
        itemCount: items.rows,
        factors: items.factors,
        pairs: csrSlice(pairs, start, end),
        out: scores.subarray(pairs.ptr[start]!, pairs.ptr[end]!),
      };
      parts.push(this.#pool.run(part, task.signal));
    }
    await Promise.all(parts);
    return scores;
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#pool.close();
    this.#resolveLost({ reason: 'disposed', message: 'the portable device was disposed of' });
  }

  #dataOf(table: FactorTable): Float32Array {
    const data = this.#tables.get(table);
    if (this.#isDisposed || data === undefined) {
      throw new DeviceError('STOA_DEVICE', 'the table or its device was disposed of, or belongs to another');
    }
    return data;
  }
}

export const portableDevice: DeviceFactory = {
  kind: 'portable',
  async probe() {
    if (!existsSync(fileURLToPath(builtEntry('worker/devices/portable-thread.js')))) {
      return { ok: false, reason: 'its threads are not built', remedy: 'run "npm run build"' };
    }
    return { ok: true, info: portableInfo(availableParallelism()) };
  },
  async open({ threads }) {
    return new PortableDevice(threads);
  },
};

/** The same numbers where threads see them; a copy only when they are not there already. */
function share<T extends Float32Array | Float64Array | Int32Array>(array: T): T {
  if (array.buffer instanceof SharedArrayBuffer) return array;
  const copy = new (array.constructor as new (buffer: SharedArrayBuffer) => T)(
    new SharedArrayBuffer(array.byteLength),
  );
  copy.set(array);
  return copy;
}

function shareCsr(csr: Csr): Csr {
  return {
    rows: csr.rows,
    cols: csr.cols,
    ptr: share(csr.ptr),
    idx: share(csr.idx),
    values: csr.values === undefined ? undefined : share(csr.values),
  };
}

function checkRange(table: FactorTable, rowStart: number, rowEnd: number): void {
  const isRange =
    Number.isInteger(rowStart) && Number.isInteger(rowEnd) && rowStart >= 0 && rowStart <= rowEnd;
  if (isRange && rowEnd <= table.rows) return;
  throw new ShapeError(
    'STOA_SHAPE',
    `rows ${rowStart} to ${rowEnd} are not a range of a table of ${table.rows} rows`,
    { fields: { rowStart, rowEnd, rows: table.rows } },
  );
}

function checkQueries({ queries, items }: TopNTask | ScoreTask, count: number): void {
  if (Number.isInteger(count)) return;
  throw new ShapeError(
    'STOA_SHAPE',
    `${queries.length} numbers are not whole queries of ${items.factors} factors`,
  );
}

function checkPairs(task: ScoreTask, count: number): void {
  checkQueries(task, count);
  const { rows, cols, ptr, idx } = task.pairs;
  if (rows !== count) throw new ShapeError('STOA_SHAPE', `pairs has ${rows} rows for ${count} queries`);
  if (cols !== task.items.rows) {
    throw new ShapeError('STOA_SHAPE', `pairs has ${cols} columns for ${task.items.rows} items`);
  }
  if (ptr.length !== rows + 1 || idx.length !== ptr[rows]) {
    throw new ShapeError('STOA_SHAPE', `pairs has ${idx.length} entries where its ptr says ${ptr[rows]}`);
  }
}

function checkTopN(task: TopNTask, count: number): void {
  checkQueries(task, count);
  if (!Number.isInteger(task.n) || task.n < 1 || task.n > TOP_N_MAX) {
    throw new ShapeError('STOA_SHAPE', `n is ${task.n} where 1 to ${TOP_N_MAX} was expected`);
  }
  if (task.exclude !== undefined && task.exclude.rows !== count) {
    throw new ShapeError('STOA_SHAPE', `exclude has ${task.exclude.rows} rows for ${count} queries`);
  }
}

function tableTooLarge(rows: number, factors: number, cause?: unknown): DeviceError {
  const reason = cause === undefined ? '' : ` (${messageOf(cause)})`;
  return new DeviceError(
    'STOA_DEVICE',
    `a table of ${rows} rows and ${factors} factors does not fit the portable device${reason}; use fewer factors`,
    { fields: { rows, factors }, cause },
  );
}
