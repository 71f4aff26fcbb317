// The Gram of a block's rows: sums over fixed chunks of rows on the GPU in f32, added in order here in f64.

import { InputLayout } from '../../../kernels/binding/webgpu/input-layout.js';
import { recordStep } from '../../../kernels/binding/webgpu/pipelines.js';
import { tilePlace, tileSizes } from '../../../kernels/binding/webgpu/tile-layout.js';
import type { DeviceTable } from './device-table.js';
import { CHUNK_WORDS } from './entry-chunks.js';
import type { GpuSession } from './gpu-session.js';
import type { SolvePlan } from './solve-plan.js';

/** Rows of one chunk, counted from the block's first row. */
export const GRAM_CHUNK_ROWS = 1024;

export interface GramRun {
  readonly chunks: number;
  /** Bytes of all slots. */
  readonly bytes: number;
  /** Computes the slots and copies them to `target` from byte `at`. */
  into(target: GPUBuffer, at: number, underWay: Promise<void>[]): Promise<void>;
}

/** Prepares the Gram of rows 0 to `rows` of `x`. */
export function startBlockGram(o: {
  session: GpuSession;
  x: GPUBuffer;
  rows: number;
  table: DeviceTable;
  plan: SolvePlan;
  signal: AbortSignal | undefined;
}): GramRun {
  const { session, rows, table } = o;
  const chunks = Math.ceil(rows / GRAM_CHUNK_ROWS);
  const slotBytes = 4 * tileSizes(table.factors).slotLength;
  const operationsOfChunk = GRAM_CHUNK_ROWS * table.factors * (table.factors + 1);
  return {
    chunks,
    bytes: chunks * slotBytes,
    into: async (target, at, underWay) => {
      const fitting = Math.floor(session.slots.current.size / slotBytes);
      for (let first = 0; first < chunks; ) {
        o.signal?.throwIfAborted();
        const affordable = Math.max(1, Math.floor(session.pace.operations / operationsOfChunk));
        const count = Math.min(chunks - first, fitting, affordable);
        const { finished } = await gramBatch(o, first, count, target, at + first * slotBytes);
        underWay.push(finished);
        first += count;
      }
    },
  };
}

async function gramBatch(
  o: Parameters<typeof startBlockGram>[0],
  first: number,
  count: number,
  target: GPUBuffer,
  at: number,
): Promise<{ finished: Promise<void> }> {
  const { session, table, plan, x, rows } = o;
  const { gpu } = session;
  const layout = new InputLayout(gpu.limits.alignment);
  const params = layout.add(48);
  const chunks = layout.add(count * CHUNK_WORDS * 4);
  const unused = layout.add(0);
  return session.run({
    label: 'Gram of the rows',
    bytes: layout.bytes,
    operations: count * GRAM_CHUNK_ROWS * table.factors * (table.factors + 1),
    fill: (memory) => {
      const words = new Uint32Array(memory, params.offset, params.size / 4);
      words.set([table.factors, table.stride, 0, 1, 0, 0]);
      new Float32Array(memory, params.offset, params.size / 4).set([1, 0, 0], 6);
      const list = new Uint32Array(memory, chunks.offset, chunks.size / 4);
      for (let chunk = 0; chunk < count; chunk++) {
        const begin = (first + chunk) * GRAM_CHUNK_ROWS;
        list.set([begin, Math.min(begin + GRAM_CHUNK_ROWS, rows), chunk, 0], chunk * CHUNK_WORDS);
      }
    },
    record: (encoder, input) => {
      const pass = encoder.beginComputePass();
      const none = { buffer: input, ...unused };
      recordStep(gpu, pass, {
        pipeline: plan.blockGram.pipeline,
        bindings: [
          { buffer: input, ...params },
          { buffer: x },
          { buffer: input, ...chunks },
          none,
          none,
          none,
          { buffer: session.slots.current },
        ],
        groups: [count, plan.blockGram.groupsOfChunk],
      });
      pass.end();
      encoder.copyBufferToBuffer(
        session.slots.current,
        0,
        target,
        at,
        count * 4 * tileSizes(table.factors).slotLength,
      );
    },
  });
}

/** sum += the slots, in order; `sum` is the lower triangle by rows. */
export function addBlockGram(sum: Float64Array, slots: Float32Array, chunks: number, factors: number): void {
  const { slotLength } = tileSizes(factors);
  for (let chunk = 0; chunk < chunks; chunk++) {
    const base = chunk * slotLength;
    for (let r = 0, at = 0; r < factors; r++) {
      for (let c = 0; c <= r; c++, at++) sum[at] = sum[at]! + slots[base + tilePlace(r, c)]!;
    }
  }
}
