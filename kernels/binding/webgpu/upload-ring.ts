/// <reference types="@webgpu/types" />
// Input on its way to the GPU: two places that are filled and used in turn, so that the host fills one while kernels
// read the other. A place is free again when the work that reads it is done: this is what holds the host back.

import { assert } from '../../../common/errors.js';
import { BUFFER_USAGE, MAP_MODE } from './buffer-usage.js';
import type { GpuDevice } from './gpu-device.js';

/** One is computed with while the other is filled; a third would only let more work queue up that an abort waits for. */
const PLACES = 2;

interface Place {
  bytes: number;
  staging: GPUBuffer | undefined;
  /** What is mapped of it, whenever the place is free; a mapping can be asked for once. */
  memory: ArrayBuffer | undefined;
  input: GPUBuffer | undefined;
}

/** A place that is ours: fill `memory`, then `send`, submit what reads `input`, and at last `release`. */
export interface Upload {
  /** Of the host; zeros and leftovers. */
  readonly memory: ArrayBuffer;
  /** What the kernels read, after `send`. */
  readonly input: GPUBuffer;
  /** Copies the first `bytes` to `input`, or to another buffer. */
  send(bytes: number, copies?: readonly UploadCopy[]): Promise<void>;
  /** Gives the place back when all that was submitted so far is done. */
  release(): Promise<void>;
}

export interface UploadCopy {
  readonly from: number;
  readonly target: GPUBuffer;
  readonly at: number;
  readonly bytes: number;
}

export class UploadRing {
  readonly #gpu: GpuDevice;
  readonly #bytes: number;
  readonly #free: Place[] = Array.from({ length: PLACES }, () => ({
    bytes: 0,
    staging: undefined,
    memory: undefined,
    input: undefined,
  }));
  readonly #waiting: ((place: Place) => void)[] = [];

  /** @param bytes of a place to begin with; it grows for a row that is longer. */
  constructor(gpu: GpuDevice, bytes: number) {
    this.#gpu = gpu;
    this.#bytes = bytes;
  }

  /**
   * Waits for a free place of at least `bytes`.
   *
   * @throws {DeviceError} no memory, or the device was lost.
   */
  async acquire(bytes: number): Promise<Upload> {
    const place = this.#free.pop() ?? (await new Promise<Place>((resolve) => this.#waiting.push(resolve)));
    try {
      this.#gpu.checkLost();
      if (place.bytes < bytes || place.staging === undefined)
        await this.#grow(place, Math.max(bytes, this.#bytes));
      return this.#uploadOf(place);
    } catch (error) {
      this.#drop(place);
      throw error;
    }
  }

  /** Only when no upload is under way. */
  destroy(): void {
    for (const place of this.#free) this.#destroyBuffers(place);
  }

  async #grow(place: Place, bytes: number): Promise<void> {
    this.#destroyBuffers(place);
    const size = Math.ceil(bytes / 65_536) * 65_536;
    place.input = await this.#gpu.createBuffer({
      label: 'the input of kernels',
      bytes: size,
      usage: BUFFER_USAGE.storage | BUFFER_USAGE.uniform | BUFFER_USAGE.copyTarget,
    });
    place.staging = await this.#gpu.createBuffer({
      label: 'the staging of input',
      bytes: size,
      usage: BUFFER_USAGE.mapWrite | BUFFER_USAGE.copySource,
      isMapped: true,
    });
    place.memory = place.staging.getMappedRange();
    place.bytes = size;
  }

  #uploadOf(place: Place): Upload {
    const { staging, memory, input } = place;
    assert(staging !== undefined && memory !== undefined && input !== undefined, 'a place without buffers');
    let isSent = false;
    return {
      memory,
      input,
      send: async (bytes, copies) => {
        isSent = true;
        staging.unmap();
        const all = copies ?? [{ from: 0, target: input, at: 0, bytes }];
        await this.#gpu.submit('upload', (encoder) => {
          for (const { from, target, at, bytes: size } of all) {
            encoder.copyBufferToBuffer(staging, from, target, at, Math.ceil(size / 4) * 4);
          }
        });
      },
      release: async () => {
        try {
          if (!isSent) staging.unmap();
          [place.memory] = await Promise.all([this.#gpu.map(staging, MAP_MODE.write), this.#gpu.idle()]);
        } catch (error) {
          this.#drop(place);
          throw error;
        }
        this.#give(place);
      },
    };
  }

  #give(place: Place): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(place);
    else next(place);
  }

  /** After a failure: the place goes on without buffers, and whoever takes it next makes new ones. */
  #drop(place: Place): void {
    this.#destroyBuffers(place);
    this.#give(place);
  }

  #destroyBuffers(place: Place): void {
    place.staging?.destroy();
    place.input?.destroy();
    place.staging = undefined;
    place.memory = undefined;
    place.input = undefined;
    place.bytes = 0;
  }
}
