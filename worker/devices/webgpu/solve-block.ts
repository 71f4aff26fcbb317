// A block task on the GPU: the block is cut into segments whose results fit the device, a segment into batches.

import { sharedFloat32 } from '../../../common/shared-memory.js';
import { MAP_MODE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import { tileSizes } from '../../../kernels/binding/webgpu/tile-layout.js';
import type { BlockResult, BlockTask } from '../../../models/device.js';
import { packedGramLength } from '../../../models/gram.js';
import { rowPenalty } from '../../../models/ials/objective.js';
import { readsPrior } from '../../../models/ials/reads-prior.js';
import { addBlockGram, GRAM_CHUNK_ROWS, type GramRun, startBlockGram } from './block-gram.js';
import { cutBatch } from './cut-batches.js';
import { type DeviceTable, takeRows } from './device-table.js';
import { chunksOf, PARTS_MAX } from './entry-chunks.js';
import { explainRow } from './explain-row.js';
import { GatheredRows } from './gathered-rows.js';
import type { GpuSession, Lane } from './gpu-session.js';
import { notFiniteAt } from './not-finite.js';
import type { PhaseConstants, SubspaceConstants, Whitening } from './phase-constants.js';
import { type SegmentContext, SolveBatch } from './solve-batch.js';
import { planSolve, type SolvePlan } from './solve-plan.js';

/** Workgroups of one dispatch, in one direction. */
const GROUPS_MAX = 65_535;

/** Entries of one batch: their indices and values take a place of the upload ring. */
const ENTRIES_MAX = 2_000_000;

/** Solves one block; the task was checked. Errors as `ComputeDevice.solveBlock`. */
export async function solveBlock(
  session: GpuSession,
  table: DeviceTable,
  constants: PhaseConstants,
  task: BlockTask,
): Promise<BlockResult> {
  const startMs = performance.now();
  const { factors } = table;
  const plan = await planSolve(session.pipelines, factors, task.solver);
  const rows = sharedFloat32(task.block.rows * factors);
  const gram = new Float64Array(new SharedArrayBuffer(packedGramLength(factors) * 8));
  let observed = 0;
  await session.withLane(async (lane) => {
    const solver = new SegmentSolver(session, lane, table, constants, task, plan);
    const rowsOfSegment = segmentRows(session, table);
    for (let start = 0; start < task.block.rows; start += rowsOfSegment) {
      const end = Math.min(start + rowsOfSegment, task.block.rows);
      observed += await solver.solve(start, end, rows, gram);
    }
  });
  const loss = task.wantLoss ? { observed, penalty: penaltyOf(task, table, rows) } : undefined;
  return { rows, gram, loss, ms: performance.now() - startMs };
}

/** Whole chunks of the block's Gram, so that its sums do not depend on where segments end. */
function segmentRows(session: GpuSession, table: DeviceTable): number {
  const fitting = Math.floor(session.resultBytesMax / (table.stride * 4));
  return Math.max(1, Math.floor(fitting / GRAM_CHUNK_ROWS)) * GRAM_CHUNK_ROWS;
}

/** Σ λ_row ‖x_row‖², in f64 of the rows as they are stored. */
function penaltyOf(
  { block, objective }: BlockTask,
  { rows: otherSize, factors }: DeviceTable,
  rows: Float32Array,
): number {
  let penalty = 0;
  for (let row = 0; row < block.rows; row++) {
    let square = 0;
    for (let k = row * factors; k < (row + 1) * factors; k++) square += rows[k]! * rows[k]!;
    if (square > 0)
      penalty += rowPenalty(objective, block.ptr[row + 1]! - block.ptr[row]!, otherSize) * square;
  }
  return penalty;
}

class SegmentSolver {
  readonly #session: GpuSession;
  readonly #lane: Lane;
  readonly #table: DeviceTable;
  readonly #constants: PhaseConstants;
  readonly #task: BlockTask;
  readonly #plan: SolvePlan;
  readonly #gathered: GatheredRows | undefined;
  readonly #prior: Float32Array | undefined;

  constructor(
    session: GpuSession,
    lane: Lane,
    table: DeviceTable,
    constants: PhaseConstants,
    task: BlockTask,
    plan: SolvePlan,
  ) {
    this.#session = session;
    this.#lane = lane;
    this.#table = table;
    this.#constants = constants;
    this.#task = task;
    this.#plan = plan;
    this.#gathered = table.resident === undefined ? new GatheredRows(table) : undefined;
    this.#prior = readsPrior(task.solver, table.factors) ? task.prior : undefined;
  }

  /** Solves rows `start` to `end`, adds their Gram to `gram`. @returns their part of the loss on interactions. */
  async solve(start: number, end: number, rows: Float32Array, gram: Float64Array): Promise<number> {
    const { gpu } = this.#session;
    const { stride, factors } = this.#table;
    const { ptr } = this.#task.block;
    let chunks = 0;
    for (let row = start; row < end; row++) chunks += chunksOf(ptr[row + 1]! - ptr[row]!);
    const context = await this.#prepare(start, end, chunks);
    const underWay: Promise<void>[] = [];
    try {
      await gpu.submit('clear results', (encoder) => {
        encoder.clearBuffer(context.x, 0, (end - start) * stride * 4);
        encoder.clearBuffer(context.status, 0, (end - start) * 4);
      });
      await this.#runBatches(context, start, end, underWay);
      this.#task.signal?.throwIfAborted();
      const run = startBlockGram({
        session: this.#session,
        x: context.x,
        rows: end - start,
        table: this.#table,
        plan: this.#plan,
        signal: this.#task.signal,
      });
      const readback = await this.#readBack(context, start, end, chunks, run, underWay);
      const x = new Float32Array(readback.memory, 0, (end - start) * stride);
      const status = new Uint32Array(readback.memory, readback.statusAt, end - start);
      takeRows(x, stride, end - start, rows, start * factors, factors);
      const failed = this.#failedRow(start, end, rows, status);
      let observed = 0;
      if (failed < 0) {
        addBlockGram(gram, new Float32Array(readback.memory, readback.gramAt), run.chunks, factors);
        if (this.#task.wantLoss) {
          for (const loss of new Float32Array(readback.memory, readback.lossesAt, chunks)) observed += loss;
        }
      }
      const pivot = failed < 0 ? 0 : status[failed - start]!;
      readback.unmap();
      if (failed >= 0) {
        throw await explainRow(this.#table, this.#task, failed, pivot > 0 ? pivot - 1 : undefined);
      }
      return observed;
    } finally {
      // The lane must not be used again while the GPU still writes to it.
      await Promise.allSettled(underWay);
    }
  }

  async #prepare(start: number, end: number, chunks: number): Promise<SegmentContext> {
    const { slots, scores, gpu, slotBytesMax } = this.#session;
    const { stride, factors } = this.#table;
    const { block, objective, wantLoss, signal } = this.#task;
    const plan = this.#plan;
    const constants: SubspaceConstants[] = [];
    for (const { column, columns } of plan.subspaces) {
      constants.push(await this.#constants.subspace(column, columns));
    }
    const whitenings = plan.steps === undefined ? new Map() : await this.#whitenings(start, end);
    signal?.throwIfAborted();
    const gramSlot = 4 * tileSizes(factors).slotLength;
    const slotBytes = Math.min(
      Math.max(plan.kind === 'steps' ? 0 : chunks * plan.slotBytes, gramSlot),
      Math.max(slotBytesMax, PARTS_MAX * plan.slotBytes, gramSlot),
    );
    await slots.ensure(slotBytes);
    await scores.ensure(
      plan.kind === 'subspaces' ? 4 * Math.min(this.#entriesMax(), block.ptr[block.rows]!) : 0,
    );
    return {
      gpu,
      plan,
      block,
      table: this.#table,
      gathered: this.#gathered,
      objective,
      prior: this.#prior,
      wantLoss,
      constants,
      whiteningOf: (entries) => whitenings.get(octaveOf(entries))!,
      segmentStart: start,
      x: await this.#lane.results.ensure((end - start) * stride * 4),
      status: await this.#lane.status.ensure((end - start) * 4),
      losses: await this.#lane.losses.ensure(wantLoss ? chunks * 4 : 0),
      slots,
      scores,
    };
  }

  async #whitenings(start: number, end: number): Promise<Map<number, Whitening>> {
    const { block, objective } = this.#task;
    const made = new Map<number, Whitening>();
    for (let row = start; row < end; row++) {
      const entries = block.ptr[row + 1]! - block.ptr[row]!;
      if (entries === 0 || made.has(octaveOf(entries))) continue;
      const penalty = rowPenalty(objective, 2 ** octaveOf(entries), this.#table.rows);
      const whitening = await this.#constants.whitening(penalty);
      if (whitening.matrices === undefined) throw await explainRow(this.#table, this.#task, row, undefined);
      made.set(octaveOf(entries), whitening);
    }
    return made;
  }

  async #runBatches(
    context: SegmentContext,
    start: number,
    end: number,
    underWay: Promise<void>[],
  ): Promise<void> {
    const { ptr } = this.#task.block;
    const limits = {
      entriesMax: this.#entriesMax(),
      chunksMax:
        this.#plan.kind === 'steps'
          ? GROUPS_MAX
          : Math.min(GROUPS_MAX, Math.floor(context.slots.current.size / this.#plan.slotBytes)),
      rowsMax: GROUPS_MAX,
    };
    let firstLoss = 0;
    for (let row = start; row < end; ) {
      this.#task.signal?.throwIfAborted();
      const cost = this.#plan.operationsOf;
      const batch = cutBatch(ptr, row, end, cost, this.#session.pace.operations, limits);
      const work = new SolveBatch(context, batch, firstLoss);
      const { finished } = await this.#session.run({
        label: 'solve rows',
        bytes: work.bytes,
        operations: work.operations,
        fill: (memory) => work.fill(memory),
        copies: (input) => work.copies(input),
        record: (encoder, input) => work.record(encoder, input),
      });
      underWay.push(finished);
      firstLoss += batch.chunks;
      row = batch.rowEnd;
    }
  }

  /** Entries that a batch may have; a longer row grows the ring, up to what one binding may be. */
  #entriesMax(): number {
    const { gpu } = this.#session;
    const bytesOfEntry = this.#gathered === undefined ? 4 : 4 * this.#table.stride;
    const { block } = this.#task;
    let longest = 0;
    for (let row = 0; row < block.rows; row++)
      longest = Math.max(longest, block.ptr[row + 1]! - block.ptr[row]!);
    const usual =
      this.#gathered === undefined ? ENTRIES_MAX : Math.max(1, Math.floor(ENTRIES_MAX / this.#table.stride));
    // Indices, values and gathered rows share one buffer with the rest of the input.
    const most = Math.floor(gpu.limits.bufferBytesMax / (2 * (bytesOfEntry + 8)));
    return Math.min(Math.max(usual, longest), most);
  }

  async #readBack(
    context: SegmentContext,
    start: number,
    end: number,
    chunks: number,
    run: GramRun,
    underWay: Promise<void>[],
  ): Promise<{ memory: ArrayBuffer; statusAt: number; lossesAt: number; gramAt: number; unmap(): void }> {
    const { gpu } = this.#session;
    const rows = end - start;
    const statusAt = rows * this.#table.stride * 4;
    const lossesAt = statusAt + rows * 4;
    const gramAt = lossesAt + (this.#task.wantLoss ? chunks * 4 : 0);
    const bytes = gramAt + run.bytes;
    const buffer = await this.#lane.readback.ensure(Math.ceil(bytes / 8) * 8);
    await run.into(buffer, gramAt, underWay);
    await gpu.submit('read results', (encoder) => {
      encoder.copyBufferToBuffer(context.x, 0, buffer, 0, statusAt);
      encoder.copyBufferToBuffer(context.status, 0, buffer, statusAt, rows * 4);
      if (gramAt > lossesAt) {
        encoder.copyBufferToBuffer(context.losses, 0, buffer, lossesAt, gramAt - lossesAt);
      }
    });
    const memory = await gpu.map(buffer, MAP_MODE.read, Math.ceil(bytes / 8) * 8);
    return { memory, statusAt, lossesAt, gramAt, unmap: () => buffer.unmap() };
  }

  /** The first row with a bad pivot or a number that is not finite, or -1. */
  #failedRow(start: number, end: number, rows: Float32Array, status: Uint32Array): number {
    const { factors } = this.#table;
    const bad = notFiniteAt(rows.subarray(start * factors, end * factors));
    const failed = status.findIndex((pivot) => pivot !== 0);
    const badRow = bad < 0 ? end : start + Math.floor(bad / factors);
    const failedRow = failed < 0 ? end : start + failed;
    const first = Math.min(badRow, failedRow);
    return first === end ? -1 : first;
  }
}

function octaveOf(entries: number): number {
  return 31 - Math.clz32(entries);
}
