// Scores of given pairs on the GPU, batch after batch of queries.

import { NumericError } from '../../../common/errors.js';
import { sharedFloat32 } from '../../../common/shared-memory.js';
import { MAP_MODE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import { InputLayout } from '../../../kernels/binding/webgpu/input-layout.js';
import { GROUP } from '../../../kernels/binding/webgpu/kernel-shapes.js';
import { recordStep } from '../../../kernels/binding/webgpu/pipelines.js';
import type { ScoreTask } from '../../../models/device.js';
import { cutBatch, type RowBatch } from './cut-batches.js';
import type { DeviceTable } from './device-table.js';
import { CHUNK_WORDS, writeChunks } from './entry-chunks.js';
import { GatheredRows } from './gathered-rows.js';
import type { GpuSession, Lane } from './gpu-session.js';
import { notFiniteAt } from './not-finite.js';

/** Pairs of one batch; their packed rows, where the table is in the host's memory, take `stride` numbers each. */
const PAIRS_MAX = 2_000_000;
const ROWS_MAX = 65_535;

/** Scores the pairs; the task was checked. Errors as `ComputeDevice.score`. */
export async function scorePairs(
  session: GpuSession,
  table: DeviceTable,
  task: ScoreTask,
): Promise<Float32Array> {
  const { pairs, queries, signal } = task;
  const out = sharedFloat32(pairs.idx.length);
  const pipeline = await session.pipelines.get('pair-scores', { GROUP });
  const gathered = table.resident === undefined ? new GatheredRows(table) : undefined;
  const pairsMax = pairsOfBatch(session, table, task);
  await session.withLane(async (lane) => {
    for (let row = 0; row < pairs.rows; ) {
      signal?.throwIfAborted();
      const cost = (entries: number): number => 2 * entries * table.factors;
      const limits = { entriesMax: pairsMax, chunksMax: ROWS_MAX, rowsMax: ROWS_MAX };
      const batch = cutBatch(pairs.ptr, row, pairs.rows, cost, session.pace.operations, limits);
      await scoreBatch({ session, lane, table, gathered, task, pipeline, batch, out });
      row = batch.rowEnd;
    }
  });
  const bad = notFiniteAt(out);
  if (bad >= 0) throw await explainScore(table, queries, pairs, bad);
  return out;
}

function pairsOfBatch(session: GpuSession, table: DeviceTable, { pairs }: ScoreTask): number {
  let longest = 0;
  for (let row = 0; row < pairs.rows; row++)
    longest = Math.max(longest, pairs.ptr[row + 1]! - pairs.ptr[row]!);
  const isGathered = table.resident === undefined;
  const usual = isGathered ? Math.floor(PAIRS_MAX / table.stride) : PAIRS_MAX;
  const bytesOfPair = 8 + (isGathered ? 4 * table.stride : 0);
  return Math.min(
    Math.max(usual, longest, 1),
    Math.floor(session.gpu.limits.bufferBytesMax / (2 * bytesOfPair)),
  );
}

async function scoreBatch(o: {
  session: GpuSession;
  lane: Lane;
  table: DeviceTable;
  gathered: GatheredRows | undefined;
  task: ScoreTask;
  pipeline: GPUComputePipeline;
  batch: RowBatch;
  out: Float32Array;
}): Promise<void> {
  const { session, table, gathered, task, batch, pipeline } = o;
  const { gpu } = session;
  const { ptr, idx } = task.pairs;
  const { factors, stride } = table;
  const entryStart = ptr[batch.rowStart]!;
  const entries = idx.subarray(entryStart, ptr[batch.rowEnd]!);
  if (entries.length === 0) return;
  const layout = new InputLayout(gpu.limits.alignment);
  const params = layout.add(32);
  const chunks = layout.add(batch.chunks * CHUNK_WORDS * 4);
  const indices = layout.add(entries.length * 4);
  const queries = layout.add((batch.rowEnd - batch.rowStart) * factors * 4);
  gathered?.begin(entries);
  const packed = layout.add((gathered?.rows ?? 0) * stride * 4);
  const bytes = entries.length * 4;
  const scores = await o.lane.results.ensure(bytes);
  const readback = await o.lane.readback.ensure(bytes);
  const { finished } = await session.run({
    label: 'score pairs',
    bytes: layout.bytes,
    operations: batch.operations,
    fill: (memory) => {
      new Uint32Array(memory, params.offset, 5).set([factors, stride, factors, factors, factors]);
      const list = new Uint32Array(memory, chunks.offset, chunks.size / 4);
      let count = 0;
      for (let row = batch.rowStart; row < batch.rowEnd; row++) {
        const begin = ptr[row]! - entryStart;
        const end = ptr[row + 1]! - entryStart;
        count += writeChunks(list, count, { begin, end, slot: 0, row: row - batch.rowStart });
      }
      const places = new Int32Array(memory, indices.offset, entries.length);
      if (gathered === undefined) places.set(entries);
      else {
        gathered.writePlaces(entries, places);
        gathered.writeRows(new Float32Array(memory, packed.offset, packed.size / 4));
      }
      const rows = task.queries.subarray(batch.rowStart * factors, batch.rowEnd * factors);
      new Float32Array(memory, queries.offset, rows.length).set(rows);
    },
    record: (encoder, input) => {
      const part = (of: { offset: number; size: number }) => ({ buffer: input, ...of });
      const fixed = table.resident === undefined ? part(packed) : { buffer: table.resident };
      const pass = encoder.beginComputePass();
      recordStep(gpu, pass, {
        pipeline,
        bindings: [part(params), fixed, part(chunks), part(indices), part(queries), { buffer: scores }],
        groups: [batch.chunks, 1],
      });
      pass.end();
      encoder.copyBufferToBuffer(scores, 0, readback, 0, bytes);
    },
  });
  await finished;
  const found = new Float32Array(
    await gpu.map(readback, MAP_MODE.read, Math.ceil(bytes / 8) * 8),
    0,
    entries.length,
  );
  o.out.set(found, entryStart);
  readback.unmap();
}

async function explainScore(
  table: DeviceTable,
  queries: Float32Array,
  { ptr, idx }: ScoreTask['pairs'],
  entry: number,
): Promise<NumericError> {
  const { factors } = table;
  let row = 0;
  while (ptr[row + 1]! <= entry) row++;
  const item = idx[entry]!;
  const isBadQuery = notFiniteAt(queries.subarray(row * factors, (row + 1) * factors)) >= 0;
  const isBadItem = notFiniteAt(await table.read(item, item + 1)) >= 0;
  const why = isBadQuery
    ? `query row ${row} has a factor that is not finite`
    : isBadItem
      ? `item row ${item} has a factor that is not finite`
      : `the score of query row ${row} and item row ${item} is too large for f32`;
  return new NumericError('STOA_NUMERIC_NOT_FINITE', `${why}; the model cannot score`, {
    fields: { row: isBadQuery || !isBadItem ? row : item },
  });
}
