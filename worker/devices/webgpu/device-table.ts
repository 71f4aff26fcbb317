// Factor tables of the WebGPU device. A table lives in the GPU's memory while it fits there; one that does not stays in
// the host's, and each batch takes the rows along that it reads.

import { DeviceError, messageOf } from '../../../common/errors.js';
import { sharedFloat32 } from '../../../common/shared-memory.js';
import { BUFFER_USAGE, MAP_MODE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import { paddedFactors } from '../../../kernels/binding/webgpu/kernel-shapes.js';
import type { GpuSession } from './gpu-session.js';
import { untilAborted } from './until-aborted.js';

/** Node's typed arrays hold at most 2^32 elements. */
export const HOST_TABLE_BYTES_MAX = 2 ** 34 - 4;

/** Bytes that travel at once when a table is written or read. */
const PIECE_BYTES = 16 * 2 ** 20;

export interface TableShape {
  readonly rows: number;
  readonly factors: number;
}

export class DeviceTable {
  readonly rows: number;
  readonly factors: number;
  /** Numbers from one row to the next on the device. */
  readonly stride: number;
  /** On the device: f32 [rows, stride], or undefined for a table in the host's memory. */
  readonly resident: GPUBuffer | undefined;
  /** In the host's memory: f32 [rows, factors]. */
  readonly host: Float32Array | undefined;
  isDisposed = false;
  readonly #session: GpuSession;

  private constructor(session: GpuSession, { rows, factors }: TableShape, resident: GPUBuffer | undefined) {
    this.#session = session;
    this.rows = rows;
    this.factors = factors;
    this.stride = paddedFactors(factors);
    this.resident = resident;
    this.host = resident === undefined ? hostMemory(rows, factors) : undefined;
  }

  /**
   * @param o `residentBytesMax`: larger tables stay in the host's memory.
   * @throws {DeviceError} it fits neither.
   */
  static async create(
    session: GpuSession,
    shape: TableShape,
    o: { residentBytesMax: number },
  ): Promise<DeviceTable> {
    const bytes = shape.rows * paddedFactors(shape.factors) * 4;
    let resident: GPUBuffer | undefined;
    if (bytes <= o.residentBytesMax) {
      resident = await session.gpu
        .createBuffer({
          label: 'a table of factors',
          bytes,
          usage: BUFFER_USAGE.storage | BUFFER_USAGE.copySource | BUFFER_USAGE.copyTarget,
        })
        .catch((error: unknown) => {
          // No memory is no failure: the table is streamed then. A lost device is.
          session.gpu.checkLost();
          if (!(error instanceof DeviceError)) throw error;
          return undefined;
        });
    }
    return new DeviceTable(session, shape, resident);
  }

  dispose(): void {
    if (this.isDisposed) return;
    this.isDisposed = true;
    this.resident?.destroy();
  }

  /** Writes whole rows from `rowStart`; the caller has checked the range. */
  async write(rowStart: number, data: Float32Array): Promise<void> {
    const { factors, stride, resident, host } = this;
    if (resident === undefined) {
      host!.set(data, rowStart * factors);
      return;
    }
    const count = data.length / factors;
    const rowsOfPiece = Math.max(1, Math.floor(PIECE_BYTES / (stride * 4)));
    for (let first = 0; first < count; first += rowsOfPiece) {
      const rows = Math.min(rowsOfPiece, count - first);
      const bytes = rows * stride * 4;
      // Submitted is enough: whatever reads the table comes later in the same queue.
      await this.#session.run({
        label: 'write a table',
        bytes,
        operations: 0,
        fill: (memory) => {
          const target = new Float32Array(memory, 0, rows * stride);
          copyRows(data, first, rows, factors, target, stride);
        },
        copies: [{ from: 0, target: resident, at: (rowStart + first) * stride * 4, bytes }],
        record: () => {},
      });
    }
  }

  /** Reads rows into shared memory; the caller has checked the range. */
  async read(rowStart: number, rowEnd: number, signal?: AbortSignal): Promise<Float32Array> {
    const { factors, stride, resident, host } = this;
    const out = sharedFloat32((rowEnd - rowStart) * factors);
    if (resident === undefined) {
      out.set(host!.subarray(rowStart * factors, rowEnd * factors));
      return out;
    }
    const { gpu, reading, tableReadback } = this.#session;
    const rowsOfPiece = Math.max(1, Math.floor(PIECE_BYTES / (stride * 4)));
    const work = reading.hold(async () => {
      for (let row = rowStart; row < rowEnd; row += rowsOfPiece) {
        const rows = Math.min(rowsOfPiece, rowEnd - row);
        const bytes = rows * stride * 4;
        const buffer = await tableReadback.ensure(bytes);
        await gpu.submit('read a table', (encoder) => {
          encoder.copyBufferToBuffer(resident, row * stride * 4, buffer, 0, bytes);
        });
        const source = new Float32Array(await gpu.map(buffer, MAP_MODE.read, bytes));
        takeRows(source, stride, rows, out, (row - rowStart) * factors, factors);
        buffer.unmap();
      }
      return out;
    });
    return untilAborted(work, signal);
  }
}

/** Copies rows of `factors` numbers to rows of `stride`, zeros between. */
export function copyRows(
  source: Float32Array,
  rowStart: number,
  rows: number,
  factors: number,
  target: Float32Array,
  stride: number,
): void {
  if (stride === factors) {
    target.set(source.subarray(rowStart * factors, (rowStart + rows) * factors));
    return;
  }
  for (let row = 0; row < rows; row++) {
    const from = (rowStart + row) * factors;
    const to = row * stride;
    for (let k = 0; k < factors; k++) target[to + k] = source[from + k]!;
    for (let k = factors; k < stride; k++) target[to + k] = 0;
  }
}

/** Copies rows of `stride` numbers to rows of `factors`, from place `at` of `target`. */
export function takeRows(
  source: Float32Array,
  stride: number,
  rows: number,
  target: Float32Array,
  at: number,
  factors: number,
): void {
  if (stride === factors) {
    target.set(source.subarray(0, rows * stride), at);
    return;
  }
  for (let row = 0; row < rows; row++) {
    const from = row * stride;
    const to = at + row * factors;
    for (let k = 0; k < factors; k++) target[to + k] = source[from + k]!;
  }
}

function hostMemory(rows: number, factors: number): Float32Array {
  try {
    if (rows * factors * 4 > HOST_TABLE_BYTES_MAX) throw new RangeError('more than an array can hold');
    return sharedFloat32(rows * factors);
  } catch (error) {
    throw new DeviceError(
      'STOA_DEVICE',
      `a table of ${rows} rows and ${factors} factors fits neither the GPU nor this process (${messageOf(error)}); use fewer factors`,
      { fields: { rows, factors }, cause: error },
    );
  }
}
