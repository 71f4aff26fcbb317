// What all calls of one device share: the GPU, its compiled kernels, the ring of uploads, scratch memory, and two
// lanes, so that one call's rows are read back while the next one computes.

import { Slots } from '../../../common/slots.js';
import { BUFFER_USAGE } from '../../../kernels/binding/webgpu/buffer-usage.js';
import type { GpuDevice } from '../../../kernels/binding/webgpu/gpu-device.js';
import { GrowingBuffer } from '../../../kernels/binding/webgpu/growing-buffer.js';
import { Pipelines } from '../../../kernels/binding/webgpu/pipelines.js';
import { type UploadCopy, UploadRing } from '../../../kernels/binding/webgpu/upload-ring.js';
import { Pace } from './pace.js';

/** Calls that compute at once. */
export const LANES = 2;

/** A place of the upload ring to begin with: two million entries with values. */
const UPLOAD_BYTES = 16 * 2 ** 20;

/** Scratch for the sums of a batch's rows: with K = 64 seven thousand rows, with K = 256 four hundred and eighty. */
const SLOT_BYTES = 64 * 2 ** 20;

/** Results that a call keeps on the device before it reads them back. */
const RESULT_BYTES = 64 * 2 ** 20;

/** Memory for the results of one call. */
export interface Lane {
  readonly results: GrowingBuffer;
  readonly status: GrowingBuffer;
  readonly losses: GrowingBuffer;
  readonly readback: GrowingBuffer;
}

export interface BatchRun {
  readonly label: string;
  /** Of the upload. */
  readonly bytes: number;
  readonly operations: number;
  /** Writes the input. */
  fill(memory: ArrayBuffer): void;
  /** What is copied besides or instead of the whole upload to the input. */
  readonly copies?: readonly UploadCopy[] | ((input: GPUBuffer) => readonly UploadCopy[]);
  /** Records the work on it. */
  record(encoder: GPUCommandEncoder, input: GPUBuffer): void;
}

export class GpuSession {
  readonly gpu: GpuDevice;
  readonly pipelines: Pipelines;
  readonly pace = new Pace();
  /** Sums of rows: slots of gram.wgsl. Used within one submit only, as are scores. */
  readonly slots: GrowingBuffer;
  readonly scores: GrowingBuffer;
  readonly slotBytesMax: number;
  readonly resultBytesMax: number;
  /** For rows of tables on their way back, one call at a time. */
  readonly reading = new Slots(1);
  readonly tableReadback: GrowingBuffer;
  readonly #ring: UploadRing;
  readonly #freeLanes: Lane[] = [];
  readonly #lanes: Lane[] = [];
  readonly #waiting: ((lane: Lane) => void)[] = [];

  constructor(gpu: GpuDevice) {
    this.gpu = gpu;
    this.pipelines = new Pipelines(gpu);
    const scratch = BUFFER_USAGE.storage | BUFFER_USAGE.copySource | BUFFER_USAGE.copyTarget;
    this.slots = new GrowingBuffer(gpu, 'sums of rows', scratch);
    this.scores = new GrowingBuffer(gpu, 'scores', scratch);
    this.slotBytesMax = Math.min(SLOT_BYTES, gpu.limits.bufferBytesMax);
    this.resultBytesMax = Math.min(RESULT_BYTES, gpu.limits.bufferBytesMax);
    const mapped = BUFFER_USAGE.mapRead | BUFFER_USAGE.copyTarget;
    this.tableReadback = new GrowingBuffer(gpu, 'rows on their way back', mapped);
    this.#ring = new UploadRing(gpu, UPLOAD_BYTES);
    for (let i = 0; i < LANES; i++) {
      this.#lanes.push({
        results: new GrowingBuffer(gpu, 'results', scratch),
        status: new GrowingBuffer(gpu, 'the status of rows', scratch),
        losses: new GrowingBuffer(gpu, 'losses', scratch),
        readback: new GrowingBuffer(gpu, 'results on their way back', mapped),
      });
    }
    this.#freeLanes.push(...this.#lanes);
  }

  /** Runs `work` with a lane of its own, when one is free. */
  async withLane<T>(work: (lane: Lane) => Promise<T>): Promise<T> {
    const lane = this.#freeLanes.pop() ?? (await new Promise<Lane>((resolve) => this.#waiting.push(resolve)));
    try {
      return await work(lane);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#freeLanes.push(lane);
      else next(lane);
    }
  }

  /**
   * Uploads and submits a batch as soon as there is room for it.
   *
   * @returns when it is submitted; `finished` settles when it is done.
   * @throws {DeviceError}
   */
  async run(batch: BatchRun): Promise<{ finished: Promise<void> }> {
    const upload = await this.#ring.acquire(batch.bytes);
    let submittedMs = 0;
    try {
      batch.fill(upload.memory);
      const copies = typeof batch.copies === 'function' ? batch.copies(upload.input) : batch.copies;
      await upload.send(batch.bytes, copies);
      submittedMs = performance.now();
      await this.gpu.submit(batch.label, (encoder) => batch.record(encoder, upload.input));
    } catch (error) {
      await upload.release().catch(() => {});
      throw error;
    }
    const finished = upload.release().then(() => {
      if (batch.operations > 0) this.pace.learn(batch.operations, submittedMs, performance.now());
    });
    finished.catch(() => {});
    return { finished };
  }

  /** Ends the device; what is under way fails. */
  async destroy(): Promise<void> {
    await this.gpu.destroy();
    this.#ring.destroy();
    for (const { results, status, losses, readback } of this.#lanes) {
      for (const buffer of [results, status, losses, readback]) buffer.destroy();
    }
    this.tableReadback.destroy();
    this.slots.destroy();
    this.scores.destroy();
  }
}
