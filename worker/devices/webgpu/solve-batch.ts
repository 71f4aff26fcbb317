// One batch of a block: its input is laid out, filled and read by the kernels of the plan.

import type { GpuDevice } from '../../../kernels/binding/webgpu/gpu-device.js';
import type { GrowingBuffer } from '../../../kernels/binding/webgpu/growing-buffer.js';
import { InputLayout, type InputPart } from '../../../kernels/binding/webgpu/input-layout.js';
import { type Binding, recordStep } from '../../../kernels/binding/webgpu/pipelines.js';
import type { UploadCopy } from '../../../kernels/binding/webgpu/upload-ring.js';
import type { Csr } from '../../../models/csr.js';
import type { IalsObjective } from '../../../models/device.js';
import { entryTarget, entryWeight, rowPenalty } from '../../../models/ials/objective.js';
import type { RowBatch } from './cut-batches.js';
import { copyRows, type DeviceTable } from './device-table.js';
import { CHUNK_WORDS, chunksOf, writeChunks } from './entry-chunks.js';
import type { GatheredRows } from './gathered-rows.js';
import type { SubspaceConstants, Whitening } from './phase-constants.js';
import type { SolvePlan } from './solve-plan.js';

/** What all batches of a segment have in common. */
export interface SegmentContext {
  readonly gpu: GpuDevice;
  readonly plan: SolvePlan;
  readonly block: Csr;
  readonly table: DeviceTable;
  /** For a table in the host's memory. */
  readonly gathered: GatheredRows | undefined;
  readonly objective: IalsObjective;
  /** Undefined where rows start at zero. */
  readonly prior: Float32Array | undefined;
  readonly wantLoss: boolean;
  /** Of the plan's subspaces, one each. */
  readonly constants: readonly SubspaceConstants[];
  /** λ̄ of a row of so many entries, with its matrices; for the plan's steps. */
  readonly whiteningOf: (entries: number) => Whitening;
  /** First row of the segment: row 0 of `x`. */
  readonly segmentStart: number;
  readonly x: GPUBuffer;
  readonly status: GPUBuffer;
  readonly losses: GPUBuffer;
  /** Scratch, shared with other calls. */
  readonly slots: GrowingBuffer;
  readonly scores: GrowingBuffer;
}

/** Words of a `Row` in the kernels. */
const ROW_WORDS = 7;
/** Bytes of the largest `Params`. */
const PARAMS_BYTES = 48;

/** Rows that one dispatch solves, with what they share. */
interface RowGroup {
  readonly part: InputPart;
  readonly rows: readonly number[];
  readonly whitening: Whitening | undefined;
}

export class SolveBatch {
  readonly operations: number;
  readonly #c: SegmentContext;
  readonly #batch: RowBatch;
  readonly #entryStart: number;
  readonly #entryEnd: number;
  readonly #layout: InputLayout;
  readonly #chunks: InputPart;
  readonly #indices: InputPart;
  readonly #values: InputPart;
  readonly #table: InputPart | undefined;
  readonly #prior: InputPart | undefined;
  readonly #inputBytes: number;
  readonly #params: InputPart[] = [];
  readonly #groups: RowGroup[];
  readonly #firstLoss: number;
  readonly #usesValues: boolean;

  constructor(context: SegmentContext, batch: RowBatch, firstLoss: number) {
    this.#c = context;
    this.#batch = batch;
    this.#firstLoss = firstLoss;
    this.operations = batch.operations;
    const { block, plan, table, gathered, prior, objective, gpu } = context;
    this.#entryStart = block.ptr[batch.rowStart]!;
    this.#entryEnd = block.ptr[batch.rowEnd]!;
    this.#usesValues = objective.weights === 'value' && block.values !== undefined;
    const layout = new InputLayout(gpu.limits.alignment);
    this.#layout = layout;
    const entries = this.#entryEnd - this.#entryStart;
    this.#chunks = layout.add(batch.chunks * CHUNK_WORDS * 4);
    this.#indices = layout.add(entries * 4);
    this.#values = layout.add(this.#usesValues ? entries * 4 : 0);
    if (gathered !== undefined) {
      gathered.begin(block.idx.subarray(this.#entryStart, this.#entryEnd));
      this.#table = layout.add(gathered.rows * table.stride * 4);
    }
    const params = 3 * plan.subspaces.length + 3;
    for (let i = 0; i < params; i++) this.#params.push(layout.add(PARAMS_BYTES));
    this.#groups = this.#groupRows();
    this.#inputBytes = layout.bytes;
    if (prior !== undefined) this.#prior = layout.add((batch.rowEnd - batch.rowStart) * table.stride * 4);
  }

  get bytes(): number {
    return this.#layout.bytes;
  }

  /** The prior goes straight to where rows are solved, everything else to the input. */
  copies(input: GPUBuffer): UploadCopy[] {
    const { x, segmentStart, table } = this.#c;
    const { rowStart, rowEnd } = this.#batch;
    const copies = [{ from: 0, target: input, at: 0, bytes: this.#inputBytes }];
    if (this.#prior !== undefined) {
      const bytes = (rowEnd - rowStart) * table.stride * 4;
      const at = (rowStart - segmentStart) * table.stride * 4;
      copies.push({ from: this.#prior.offset, target: x, at, bytes });
    }
    return copies;
  }

  fill(memory: ArrayBuffer): void {
    const { block, gathered } = this.#c;
    const { rowStart, rowEnd } = this.#batch;
    const chunks = wordsOf(memory, this.#chunks);
    let count = 0;
    const slots = new Map<number, number>();
    for (let row = rowStart; row < rowEnd; row++) {
      const begin = block.ptr[row]! - this.#entryStart;
      const end = block.ptr[row + 1]! - this.#entryStart;
      slots.set(row, count);
      count += writeChunks(chunks, count, { begin, end, slot: count, row: row - this.#c.segmentStart });
    }
    for (const group of this.#groups) this.#fillRows(memory, group, slots);
    const idx = block.idx.subarray(this.#entryStart, this.#entryEnd);
    const indices = new Int32Array(memory, this.#indices.offset, idx.length);
    if (gathered === undefined) indices.set(idx);
    else {
      gathered.writePlaces(idx, indices);
      gathered.writeRows(floatsOf(memory, this.#table!));
    }
    if (this.#usesValues) {
      floatsOf(memory, this.#values).set(block.values!.subarray(this.#entryStart, this.#entryEnd));
    }
    this.#fillPrior(memory);
    this.#fillParams(memory);
  }

  record(encoder: GPUCommandEncoder, input: GPUBuffer): void {
    const { gpu, plan, wantLoss, constants } = this.#c;
    const pass = encoder.beginComputePass();
    let param = 0;
    const params = (): Binding => ({ buffer: input, ...this.#params[param++]! });
    const part = (of: InputPart): Binding => ({ buffer: input, ...of });
    const bind = (buffer: GPUBuffer): Binding => ({ buffer });
    const { x, status, losses, table } = this.#c;
    const slots = this.#c.slots.current;
    const scores = this.#c.scores.current;
    const fixed = table.resident === undefined ? part(this.#table!) : bind(table.resident);
    const chunks = part(this.#chunks);
    const indices = part(this.#indices);
    const values = part(this.#values);
    const perChunk = this.#batch.chunks;
    const score = (): void => {
      const bindings = [params(), fixed, chunks, indices, bind(x), bind(scores)];
      recordStep(gpu, pass, { pipeline: plan.scores, bindings, groups: [perChunk, 1] });
    };
    for (const [i, subspace] of plan.subspaces.entries()) {
      // Of all other columns each time: sums of increments would add their rounding up.
      if (plan.kind === 'subspaces') score();
      recordStep(gpu, pass, {
        pipeline: subspace.gram,
        bindings: [params(), fixed, chunks, indices, values, bind(scores), bind(slots)],
        groups: [perChunk, subspace.groupsOfChunk],
      });
      const { shared, cross } = constants[i]!;
      const rows = this.#groups[0]!;
      recordStep(gpu, pass, {
        pipeline: subspace.solve,
        bindings: [params(), part(rows.part), bind(shared), bind(cross), bind(slots), bind(x), bind(status)],
        groups: [rows.rows.length, 1],
      });
    }
    if (plan.steps !== undefined) {
      const stepParams = params();
      for (const { part: rows, rows: list, whitening } of this.#groups) {
        if (list.length === 0) continue;
        recordStep(gpu, pass, {
          pipeline: plan.steps.pipeline,
          bindings: [stepParams, fixed, part(rows), indices, values, bind(whitening!.matrices!), bind(x)],
          groups: [list.length, 1],
        });
      }
    }
    if (wantLoss) {
      recordStep(gpu, pass, {
        pipeline: plan.loss,
        bindings: [params(), fixed, chunks, indices, values, bind(x), bind(losses)],
        groups: [perChunk, 1],
      });
    }
    pass.end();
  }

  #groupRows(): RowGroup[] {
    const { block, plan, whiteningOf } = this.#c;
    const { rowStart, rowEnd } = this.#batch;
    const lists = new Map<Whitening | undefined, number[]>();
    for (let row = rowStart; row < rowEnd; row++) {
      const entries = block.ptr[row + 1]! - block.ptr[row]!;
      if (entries === 0) continue;
      const whitening = plan.steps === undefined ? undefined : whiteningOf(entries);
      const list = lists.get(whitening);
      if (list === undefined) lists.set(whitening, [row]);
      else list.push(row);
    }
    if (lists.size === 0) lists.set(undefined, []);
    return [...lists].map(([whitening, rows]) => ({
      whitening,
      rows,
      part: this.#layout.add(rows.length * ROW_WORDS * 4),
    }));
  }

  #fillRows(memory: ArrayBuffer, { part, rows, whitening }: RowGroup, slots: Map<number, number>): void {
    const { block, objective, table, segmentStart } = this.#c;
    const words = wordsOf(memory, part);
    const floats = floatsOf(memory, part);
    for (const [i, row] of rows.entries()) {
      const begin = block.ptr[row]!;
      const end = block.ptr[row + 1]!;
      const penalty = rowPenalty(objective, end - begin, table.rows);
      const at = i * ROW_WORDS;
      words[at] = begin - this.#entryStart;
      words[at + 1] = end - this.#entryStart;
      words[at + 2] = slots.get(row)!;
      words[at + 3] = chunksOf(end - begin);
      words[at + 4] = row - segmentStart;
      floats[at + 5] = penalty;
      floats[at + 6] = penalty - (whitening?.penalty ?? 0);
    }
  }

  #fillPrior(memory: ArrayBuffer): void {
    if (this.#prior === undefined) return;
    const { block, prior, table } = this.#c;
    const { rowStart, rowEnd } = this.#batch;
    const target = floatsOf(memory, this.#prior);
    copyRows(prior!, rowStart, rowEnd - rowStart, table.factors, target, table.stride);
    for (let row = rowStart; row < rowEnd; row++) {
      if (block.ptr[row] !== block.ptr[row + 1]) continue;
      const at = (row - rowStart) * table.stride;
      target.fill(0, at, at + table.stride);
    }
  }

  /** In the order in which `record` binds them. */
  #fillParams(memory: ArrayBuffer): void {
    const { plan, table, objective, prior, wantLoss } = this.#c;
    const { factors, stride } = table;
    const weight = entryWeight(objective, 1);
    const shift = entryTarget(objective, 0);
    const usesValues = Number(this.#usesValues);
    let param = 0;
    const next = (
      integers: readonly number[],
      numbers: readonly number[],
      last: readonly number[] = [],
    ): void => {
      const part = this.#params[param++]!;
      wordsOf(memory, part).set(integers);
      floatsOf(memory, part).set(numbers, integers.length);
      wordsOf(memory, part).set(last, integers.length + numbers.length);
    };
    const hasScores = plan.kind === 'subspaces' ? 1 : 0;
    for (const { column, columns } of plan.subspaces) {
      if (hasScores === 1) next([factors, stride, stride, column, column + columns], []);
      next([columns, stride, column, 0, usesValues, hasScores], [weight, objective.alpha, shift]);
      next([columns, stride, column, factors], []);
    }
    if (plan.steps !== undefined) {
      const isWarm = Number(prior !== undefined);
      next([factors, stride, usesValues, isWarm], [weight, objective.alpha, shift], [plan.steps.count]);
    }
    if (wantLoss) {
      next([factors, stride, stride, usesValues], [weight, objective.alpha, shift], [this.#firstLoss]);
    }
  }
}

function wordsOf(memory: ArrayBuffer, part: InputPart): Uint32Array {
  return new Uint32Array(memory, part.offset, part.size / 4);
}

function floatsOf(memory: ArrayBuffer, part: InputPart): Float32Array {
  return new Float32Array(memory, part.offset, part.size / 4);
}
