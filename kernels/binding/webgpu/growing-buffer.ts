/// <reference types="@webgpu/types" />
import { assert } from '../../../common/errors.js';
import type { GpuDevice } from './gpu-device.js';

/** A buffer that is made again, twice as large or more, when it is too small; what it held is lost then. */
export class GrowingBuffer {
  readonly #gpu: GpuDevice;
  readonly #label: string;
  readonly #usage: number;
  #buffer: GPUBuffer | undefined;

  constructor(gpu: GpuDevice, label: string, usage: number) {
    this.#gpu = gpu;
    this.#label = label;
    this.#usage = usage;
  }

  /** The buffer as it is now; `ensure` came before. Ask again after every wait: someone may have grown it. */
  get current(): GPUBuffer {
    assert(this.#buffer !== undefined, `${this.#label}: a buffer that was never made`);
    return this.#buffer;
  }

  /** Makes it hold at least `bytes`. @throws {DeviceError} no memory. */
  async ensure(bytes: number): Promise<GPUBuffer> {
    const before = this.#buffer;
    if (before !== undefined && before.size >= bytes) return before;
    const doubled = Math.max(bytes, 2 * (before?.size ?? 0), SIZE_MIN);
    const size = Math.max(bytes, Math.min(doubled, this.#gpu.limits.bufferBytesMax));
    const made = await this.#gpu.createBuffer({ label: this.#label, bytes: size, usage: this.#usage });
    const now = this.#buffer;
    if (now !== undefined && now.size >= made.size) {
      // Someone else has grown it meanwhile.
      made.destroy();
      return now;
    }
    this.#buffer = made;
    // Work under way keeps the old one until it is done.
    now?.destroy();
    return made;
  }

  destroy(): void {
    this.#buffer?.destroy();
    this.#buffer = undefined;
  }
}

/** Small enough for any device, large enough that toy problems never grow it. */
const SIZE_MIN = 65_536;
