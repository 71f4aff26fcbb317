/// <reference types="@webgpu/types" />
// A GPU device whose failures are seen: every allocation and every submit stands in error scopes, since Dawn reports
// errors late or never (memory that could not be had reads as zeros), and a lost device is remembered.

import { DeviceError, messageOf } from '../../../common/errors.js';
import { describeAdapter, type GpuAdapter } from './gpu-adapter.js';

/** Scopes in the order in which they are opened; they close in the reverse. */
const SCOPES = ['internal', 'out-of-memory', 'validation'] as const;

/** What the kernels need, and the specification grants everywhere. */
const WORKGROUP_BYTES = 16_384;
const THREADS_OF_GROUP = 256;

export interface GpuLimits {
  /** Of one buffer that a kernel reads or writes. */
  readonly bufferBytesMax: number;
  /** Of a place in a buffer that is bound to a kernel. */
  readonly alignment: number;
  /** Workgroups in one direction of a dispatch. */
  readonly groupsMax: number;
}

export class GpuDevice {
  readonly limits: GpuLimits;
  readonly adapter: GpuAdapter;
  /** Settles with a sentence when the device is lost or destroyed; never rejects. */
  readonly lost: Promise<string>;
  readonly raw: GPUDevice;
  #lostMessage: string | undefined;

  private constructor(adapter: GpuAdapter, raw: GPUDevice) {
    this.adapter = adapter;
    this.raw = raw;
    const { maxBufferSize, maxStorageBufferBindingSize } = raw.limits;
    this.limits = {
      // Close to their own limit drivers fail for want of memory; bindings are in units of 4 bytes.
      bufferBytesMax: Math.floor((0.9 * Math.min(maxBufferSize, maxStorageBufferBindingSize)) / 256) * 256,
      alignment: Math.max(
        raw.limits.minStorageBufferOffsetAlignment,
        raw.limits.minUniformBufferOffsetAlignment,
      ),
      groupsMax: raw.limits.maxComputeWorkgroupsPerDimension,
    };
    this.lost = raw.lost.then(({ reason, message }) => {
      this.#lostMessage ??=
        reason === 'destroyed'
          ? `${describeAdapter(adapter.facts)} was closed`
          : `${describeAdapter(adapter.facts)} was lost: ${message === '' ? 'its driver gave no reason' : message}`;
      return this.#lostMessage;
    });
    // What no scope caught is a bug of ours, after which no result can be trusted; Dawn would print it and go on.
    raw.onuncapturederror = ({ error }) => {
      this.#lostMessage ??= `an error of the GPU went unseen: ${error.message.split('\n')[0]}`;
      raw.destroy();
    };
  }

  /** @throws {DeviceError} the adapter makes no device with the limits that the kernels need. */
  static async open(adapter: GpuAdapter): Promise<GpuDevice> {
    const { limits } = adapter.adapter;
    try {
      const raw = await adapter.adapter.requestDevice({
        requiredLimits: {
          maxBufferSize: limits.maxBufferSize,
          maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
          maxComputeWorkgroupStorageSize: WORKGROUP_BYTES,
          maxComputeInvocationsPerWorkgroup: THREADS_OF_GROUP,
          maxComputeWorkgroupSizeX: THREADS_OF_GROUP,
        },
      });
      return new GpuDevice(adapter, raw);
    } catch (error) {
      throw new DeviceError(
        'STOA_DEVICE',
        `${describeAdapter(adapter.facts)} opens no device: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  /** @throws {DeviceError} the device was lost. */
  checkLost(): void {
    if (this.#lostMessage === undefined) return;
    throw new DeviceError('STOA_DEVICE', `${this.#lostMessage}; open the device again, or choose another`);
  }

  /**
   * Allocates a buffer of zeros.
   *
   * @param o `bytes`: any number; the buffer is as large as that rounded up to 16.
   * @throws {DeviceError} no memory, too large for this device, or lost.
   */
  async createBuffer(o: {
    label: string;
    bytes: number;
    usage: number;
    isMapped?: boolean;
  }): Promise<GPUBuffer> {
    this.checkLost();
    const size = Math.max(16, Math.ceil(o.bytes / 16) * 16);
    let buffer: GPUBuffer | undefined;
    try {
      await this.scoped(() => {
        buffer = this.raw.createBuffer({
          label: o.label,
          size,
          usage: o.usage,
          mappedAtCreation: o.isMapped === true,
        });
      });
    } catch (error) {
      buffer?.destroy();
      this.checkLost();
      throw new DeviceError(
        'STOA_DEVICE',
        `${describeAdapter(this.adapter.facts)} has no ${Math.ceil(size / 2 ** 20)} MiB for ${o.label} (${messageOf(error)}); use smaller blocks or fewer factors, or another device`,
        { fields: { bytes: size }, cause: error },
      );
    }
    this.checkLost();
    return buffer!;
  }

  /**
   * Records commands and hands them to the GPU, in one go: nothing else gets between.
   *
   * @returns when the driver has accepted them, which is long before they are done.
   * @throws {DeviceError} they were not accepted.
   */
  async submit(label: string, record: (encoder: GPUCommandEncoder) => void): Promise<void> {
    this.checkLost();
    try {
      await this.scoped(() => {
        const encoder = this.raw.createCommandEncoder({ label });
        record(encoder);
        this.raw.queue.submit([encoder.finish()]);
      });
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      this.checkLost();
      throw new DeviceError(
        'STOA_DEVICE',
        `${describeAdapter(this.adapter.facts)} did not take the step "${label}": ${messageOf(error)}`,
        { cause: error },
      );
    }
    this.checkLost();
  }

  /** Waits for all that was submitted. @throws {DeviceError} the device was lost meanwhile. */
  async idle(): Promise<void> {
    await this.raw.queue.onSubmittedWorkDone().catch(() => {});
    this.checkLost();
  }

  /** Maps a buffer when the GPU is done with it. @throws {DeviceError} the device was lost meanwhile. */
  async map(buffer: GPUBuffer, mode: number, bytes?: number): Promise<ArrayBuffer> {
    try {
      await buffer.mapAsync(mode, 0, bytes);
    } catch (error) {
      // The loss is announced after the map has failed.
      await Promise.race([this.lost, new Promise((resolve) => setTimeout(resolve, LOST_NOTICE_MS))]);
      this.checkLost();
      throw new DeviceError('STOA_DEVICE', `memory of the GPU cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    }
    this.checkLost();
    return buffer.getMappedRange(0, bytes);
  }

  /** Ends the device. Waits first: destroying it with work under way blocks the thread until that work is done. */
  async destroy(): Promise<void> {
    await this.raw.queue.onSubmittedWorkDone().catch(() => {});
    this.raw.destroy();
    await this.lost;
  }

  /**
   * Does something in error scopes; nothing else gets between.
   *
   * @throws {Error} with Dawn's words, where it was refused.
   */
  async scoped(act: () => void): Promise<void> {
    for (const scope of SCOPES) this.raw.pushErrorScope(scope);
    let thrown: unknown;
    try {
      act();
    } catch (error) {
      thrown = error;
    }
    const errors = await Promise.all(SCOPES.map(() => this.raw.popErrorScope().catch(() => null)));
    if (thrown !== undefined) throw thrown;
    const error = errors.find((found) => found !== null);
    if (error !== undefined && error !== null) throw new Error(error.message.split('\n')[0]);
  }
}

/** Longer than Dawn takes to announce a loss. */
const LOST_NOTICE_MS = 1000;
