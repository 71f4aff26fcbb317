// A ComputeDevice on TensorFlow.js. Tables live in shared memory, from where the thread uploads them when they are
// first used at a version; all computing is the thread's.

import { DeviceError, messageOf } from '../../common/errors.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceCapabilities,
  DeviceInfo,
  FactorTable,
  ScoreTask,
  TopNResult,
  TopNTask,
} from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { checkBlock, checkRange, checkScore, checkTopN } from './tfjs-checks.js';
import type { TfjsLink } from './tfjs-link.js';
import type { TableVersion, TfjsMemory } from './tfjs-messages.js';
import { shareArray, shareCsr } from './tfjs-share.js';

/** Heaps of more items than this are no longer the small part of a ranking's cost. */
const TOP_N_MAX = 10_000;

/** The same bound as the setting `ials.factors`. */
const FACTORS_MAX = 1024;

/** One that computes and one that waits: the thread takes them one after the other. */
const BLOCKS_IN_FLIGHT = 2;

export class TfjsDevice implements ComputeDevice {
  readonly info: DeviceInfo;
  readonly capabilities: DeviceCapabilities;
  readonly lost: Promise<{ reason: 'disposed' | 'lost'; message: string }>;
  readonly #link: TfjsLink;
  readonly #tables = new WeakMap<FactorTable, { -readonly [P in keyof TableVersion]: TableVersion[P] }>();
  #lastTable = 0;
  #isDisposed = false;

  /** @param info what is said of the link's provider. @default its own words */
  constructor(link: TfjsLink, info: DeviceInfo = link.info) {
    this.#link = link;
    this.info = info;
    this.capabilities = {
      solvers: new Set(['cholesky', 'cg', 'ials++']),
      gathers: new Set(['f32']),
      factorsMax: FACTORS_MAX,
      topNMax: TOP_N_MAX,
      blocksInFlight: BLOCKS_IN_FLIGHT,
      tableBytesMax: link.tensorBytesMax,
      // How sums are split is the provider's matter, and may differ from version to version.
      determinism: 'tolerance',
    };
    this.lost = link.lost.then((message) =>
      this.#isDisposed
        ? { reason: 'disposed', message: 'the tfjs device was disposed of' }
        : { reason: 'lost', message },
    );
  }

  async createTable(rows: number, factors: number): Promise<FactorTable> {
    // The row of zeros that padding points to counts too.
    if ((rows + 1) * factors * 4 > this.capabilities.tableBytesMax) throw this.#tooLarge(rows, factors);
    let data: Float32Array;
    try {
      data = sharedFloat32(rows * factors);
    } catch (error) {
      throw this.#tooLarge(rows, factors, error);
    }
    const id = ++this.#lastTable;
    const table = {
      rows,
      factors,
      dispose: () => {
        if (this.#tables.delete(table)) this.#link.free(id);
      },
    } as unknown as FactorTable;
    this.#tables.set(table, { id, version: 0, rows, factors, data });
    return table;
  }

  async write(table: FactorTable, rowStart: number, data: Float32Array): Promise<void> {
    checkRange(table, rowStart, rowStart + data.length / table.factors);
    const written = this.#versionOf(table);
    written.data.set(data, rowStart * table.factors);
    written.version++;
  }

  async read(table: FactorTable, rowStart: number, rowEnd: number): Promise<Float32Array> {
    checkRange(table, rowStart, rowEnd);
    const out = sharedFloat32((rowEnd - rowStart) * table.factors);
    out.set(this.#versionOf(table).data.subarray(rowStart * table.factors, rowEnd * table.factors));
    return out;
  }

  async solveBlock(task: BlockTask): Promise<BlockResult> {
    const { factors } = task.fixed;
    const fixed = { ...this.#versionOf(task.fixed) };
    checkBlock(task);
    const rows = sharedFloat32(task.block.rows * factors);
    const gram = new Float64Array(new SharedArrayBuffer(packedGramLength(factors) * 8));
    const { ms, loss } = await this.#link.run(
      {
        kind: 'solve',
        block: shareCsr(task.block),
        fixed,
        gram: shareArray(task.gram),
        prior: task.prior === undefined ? undefined : shareArray(task.prior),
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
    const items = { ...this.#versionOf(task.items) };
    const { n } = task;
    const count = checkTopN(task, TOP_N_MAX);
    const out = { ids: sharedInt32(count * n), scores: sharedFloat32(count * n) };
    const exclude = task.exclude === undefined ? undefined : shareCsr(task.exclude);
    const queries = shareArray(task.queries);
    await this.#link.run({ kind: 'rank', queries, count, items, n, exclude, out }, task.signal);
    return out;
  }

  async score(task: ScoreTask): Promise<Float32Array> {
    const items = { ...this.#versionOf(task.items) };
    checkScore(task);
    const out = sharedFloat32(task.pairs.idx.length);
    const queries = shareArray(task.queries);
    await this.#link.run({ kind: 'score', queries, items, pairs: shareCsr(task.pairs), out }, task.signal);
    return out;
  }

  /** Tensors that the provider holds, once the tasks before are through: what must not grow from epoch to epoch. */
  memory(): Promise<TfjsMemory> {
    return this.#link.memory();
  }

  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#link.close();
  }

  #versionOf(table: FactorTable): { -readonly [P in keyof TableVersion]: TableVersion[P] } {
    const found = this.#tables.get(table);
    if (this.#isDisposed || found === undefined) {
      throw new DeviceError('STOA_DEVICE', 'the table or its device was disposed of, or belongs to another');
    }
    return found;
  }

  #tooLarge(rows: number, factors: number, cause?: unknown): DeviceError {
    const reason = cause === undefined ? '' : ` (${messageOf(cause)})`;
    return new DeviceError(
      'STOA_DEVICE',
      `a table of ${rows} rows and ${factors} factors does not fit ${this.info.name}${reason}; use fewer factors or another device`,
      { fields: { rows, factors }, cause },
    );
  }
}
