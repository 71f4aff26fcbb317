// Exact top-N on the GPU: scores of a tile of queries and items, then the best of them joined to those of the tiles
// before, batch after batch of queries.

import { NumericError } from '../../../common/errors.js';
import { sharedFloat32, sharedInt32 } from '../../../common/shared-memory.js';
import { MAP_MODE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import { InputLayout } from '../../../kernels/binding/webgpu/input-layout.js';
import { recordStep } from '../../../kernels/binding/webgpu/pipelines.js';
import type { TopNResult, TopNTask } from '../../../models/device.js';
import type { DeviceTable } from './device-table.js';
import type { GpuSession, Lane } from './gpu-session.js';
import { notFiniteAt } from './not-finite.js';

/** What select-top.wgsl can keep: twice as many pairs take half of the workgroup memory that is granted everywhere. */
export const TOP_N_MAX = 512;

/** Scores of one batch: 32 MiB. */
const SCORES_MAX = 8 * 2 ** 20;
/** Items of one tile, at most: more queries in a batch then use a card better. */
const ITEMS_MAX = 65_536;
/** Numbers of a tile's rows that are uploaded, where the table is in the host's memory: 16 MiB. */
const UPLOAD_MAX = 4 * 2 ** 20;
/** Rows and columns of a tile of score-tiles.wgsl. */
const SIDE = 64;
/** No item. */
const NOTHING = -1;
/** The least number of candidates that is worth sorting at once. */
const KEPT_MIN = 64;
const THREADS = 64;

/** Ranks; the task was checked. Errors as `ComputeDevice.topN`. */
export async function topN(
  session: GpuSession,
  table: DeviceTable,
  task: TopNTask,
  count: number,
): Promise<TopNResult> {
  const { n } = task;
  const ids = sharedInt32(count * n);
  const scores = sharedFloat32(count * n);
  const kept = Math.max(KEPT_MIN, 2 ** Math.ceil(Math.log2(n)));
  const [score, select] = await Promise.all([
    session.pipelines.get('score-tiles', {}),
    session.pipelines.get('select-top', { KEPT: kept, GROUP: THREADS }),
  ]);
  const queriesOfSegment = Math.max(1, Math.floor(session.resultBytesMax / (8 * n)));
  await session.withLane(async (lane) => {
    for (let start = 0; start < count; start += queriesOfSegment) {
      const end = Math.min(start + queriesOfSegment, count);
      await new RankSegment({ session, lane, table, task, score, select }, start, end).rank(ids, scores);
    }
  });
  return { ids, scores };
}

interface RankContext {
  readonly session: GpuSession;
  readonly lane: Lane;
  readonly table: DeviceTable;
  readonly task: TopNTask;
  readonly score: GPUComputePipeline;
  readonly select: GPUComputePipeline;
}

class RankSegment {
  readonly #c: RankContext;
  readonly #start: number;
  readonly #end: number;

  constructor(context: RankContext, start: number, end: number) {
    this.#c = context;
    this.#start = start;
    this.#end = end;
  }

  async rank(ids: Int32Array, scores: Float32Array): Promise<void> {
    const { session, lane, table, task } = this.#c;
    const { gpu } = session;
    const { n } = task;
    const queries = this.#end - this.#start;
    const bestBytes = queries * n * 8;
    const best = await lane.results.ensure(bestBytes);
    const status = await lane.status.ensure(queries * 4);
    const readback = await lane.readback.ensure(bestBytes + queries * 4);
    const underWay: Promise<void>[] = [];
    try {
      await gpu.submit('clear results', (encoder) => encoder.clearBuffer(status, 0, queries * 4));
      await this.#runBatches(best, status, underWay);
      task.signal?.throwIfAborted();
      await gpu.submit('read results', (encoder) => {
        encoder.copyBufferToBuffer(best, 0, readback, 0, bestBytes);
        encoder.copyBufferToBuffer(status, 0, readback, bestBytes, queries * 4);
      });
      const bytes = Math.ceil((bestBytes + queries * 4) / 8) * 8;
      const memory = await gpu.map(readback, MAP_MODE.read, bytes);
      takeBest(new Float32Array(memory, 0, queries * n * 2), this.#start * n, ids, scores);
      const bad = new Uint32Array(memory, bestBytes, queries).findIndex((flag) => flag !== 0);
      readback.unmap();
      if (bad >= 0) throw await explainScores(table, task.queries, this.#start + bad);
    } finally {
      await Promise.allSettled(underWay);
    }
  }

  async #runBatches(best: GPUBuffer, status: GPUBuffer, underWay: Promise<void>[]): Promise<void> {
    const { session, table, task } = this.#c;
    const itemsOfTile = Math.max(
      1,
      Math.min(
        table.rows,
        ITEMS_MAX,
        table.resident === undefined ? Math.floor(UPLOAD_MAX / table.stride) : ITEMS_MAX,
      ),
    );
    for (let query = this.#start; query < this.#end; ) {
      const operationsOfQuery = itemsOfTile * (2 * table.factors + 8);
      const affordable = Math.floor(session.pace.operations / operationsOfQuery / SIDE) * SIDE;
      const fitting = Math.floor(SCORES_MAX / itemsOfTile);
      const queries = Math.max(1, Math.min(this.#end - query, Math.max(affordable, SIDE), fitting, 65_535));
      await session.scores.ensure(queries * itemsOfTile * 4);
      for (let item = 0; item < table.rows || item === 0; item += itemsOfTile) {
        task.signal?.throwIfAborted();
        const items = Math.min(itemsOfTile, table.rows - item);
        underWay.push((await this.#runTile(query, queries, item, items, best, status)).finished);
      }
      query += queries;
    }
  }

  async #runTile(
    query: number,
    queries: number,
    item: number,
    items: number,
    best: GPUBuffer,
    status: GPUBuffer,
  ): Promise<{ finished: Promise<void> }> {
    const { session, table, task, score, select } = this.#c;
    const { gpu } = session;
    const { factors, stride, resident, host } = table;
    const { exclude, n } = task;
    const excludeStart = exclude?.ptr[query] ?? 0;
    const excluded = (exclude?.ptr[query + queries] ?? 0) - excludeStart;
    const layout = new InputLayout(gpu.limits.alignment);
    const scoreParams = layout.add(32);
    const selectParams = layout.add(32);
    const queryRows = layout.add(queries * factors * 4);
    const offsets = layout.add((queries + 1) * 4);
    const list = layout.add(excluded * 4);
    const itemRows = layout.add(resident === undefined ? items * factors * 4 : 0);
    return session.run({
      label: 'rank',
      bytes: layout.bytes,
      operations: queries * items * (2 * factors + 8),
      fill: (memory) => {
        const isHosted = resident === undefined;
        const itemStride = isHosted ? factors : stride;
        new Uint32Array(memory, scoreParams.offset, 6).set([
          queries,
          items,
          factors,
          factors,
          itemStride,
          isHosted ? 0 : item,
        ]);
        new Uint32Array(memory, selectParams.offset, 6).set([
          items,
          item,
          n,
          Number(item === 0),
          Number(exclude !== undefined),
          query - this.#start,
        ]);
        const rows = task.queries.subarray(query * factors, (query + queries) * factors);
        new Float32Array(memory, queryRows.offset, rows.length).set(rows);
        const ptr = new Int32Array(memory, offsets.offset, queries + 1);
        if (exclude !== undefined) {
          for (let q = 0; q <= queries; q++) ptr[q] = exclude.ptr[query + q]! - excludeStart;
          const idx = exclude.idx.subarray(excludeStart, excludeStart + excluded);
          new Int32Array(memory, list.offset, excluded).set(idx);
        }
        if (isHosted) {
          new Float32Array(memory, itemRows.offset, items * factors).set(
            host!.subarray(item * factors, (item + items) * factors),
          );
        }
      },
      record: (encoder, input) => {
        const part = (of: { offset: number; size: number }) => ({ buffer: input, ...of });
        const scores = { buffer: session.scores.current };
        const fixed = resident === undefined ? part(itemRows) : { buffer: resident };
        const pass = encoder.beginComputePass();
        recordStep(gpu, pass, {
          pipeline: score,
          bindings: [part(scoreParams), part(queryRows), fixed, scores],
          groups: [Math.ceil(items / SIDE), Math.ceil(queries / SIDE)],
        });
        recordStep(gpu, pass, {
          pipeline: select,
          bindings: [
            part(selectParams),
            scores,
            part(offsets),
            part(list),
            { buffer: best },
            { buffer: status },
          ],
          groups: [queries, 1],
        });
        pass.end();
      },
    });
  }
}

/** Pairs of a score and the bits of an item to two arrays. */
function takeBest(pairs: Float32Array, at: number, ids: Int32Array, scores: Float32Array): void {
  const bits = new Int32Array(pairs.buffer, pairs.byteOffset, pairs.length);
  for (let i = 0; i < pairs.length / 2; i++) {
    const id = bits[2 * i + 1]!;
    ids[at + i] = id;
    scores[at + i] = id === NOTHING ? Number.NEGATIVE_INFINITY : pairs[2 * i]!;
  }
}

async function explainScores(
  table: DeviceTable,
  queries: Float32Array,
  query: number,
): Promise<NumericError> {
  const { factors, rows } = table;
  if (notFiniteAt(queries.subarray(query * factors, (query + 1) * factors)) >= 0) {
    return notFinite(`query row ${query} has a factor that is not finite`, query);
  }
  const bad = notFiniteAt(await table.read(0, rows));
  if (bad >= 0) {
    const item = Math.floor(bad / factors);
    return notFinite(`item row ${item} has a factor that is not finite`, item);
  }
  return notFinite(`a score of query row ${query} is too large for f32`, query);
}

function notFinite(message: string, row: number): NumericError {
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `${message}; the model cannot be ranked`, {
    fields: { row },
  });
}
