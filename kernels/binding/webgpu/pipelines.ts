/// <reference types="@webgpu/types" />
// Compiled kernels. A kernel is a file of kernels/wgsl with its constants; it is compiled when it is first used.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { DeviceError, messageOf } from '../../../common/errors.js';
import { packageRoot } from '../../../common/package-root.js';
import { describeAdapter } from './gpu-adapter.js';
import type { GpuDevice } from './gpu-device.js';

export type KernelName =
  | 'conjugate-gradients'
  | 'gram'
  | 'loss'
  | 'pair-scores'
  | 'score-tiles'
  | 'select-top'
  | 'solve-rows';

/** Values of a kernel's `override` constants; absent ones have their default. */
export type KernelConstants = Readonly<Record<string, number>>;

/** A part of a buffer that a kernel sees as one of its bindings. */
export interface Binding {
  readonly buffer: GPUBuffer;
  readonly offset?: number;
  readonly size?: number;
}

/** One dispatch: which kernel, over what. */
export interface Step {
  readonly pipeline: GPUComputePipeline;
  /** In the order of the kernel's bindings. */
  readonly bindings: readonly Binding[];
  /** Workgroups in x and y. */
  readonly groups: readonly [number, number];
}

export class Pipelines {
  readonly #gpu: GpuDevice;
  readonly #modules = new Map<KernelName, Promise<GPUShaderModule>>();
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>();

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
  }

  /** @throws {DeviceError} the driver does not compile it. */
  get(name: KernelName, constants: KernelConstants): Promise<GPUComputePipeline> {
    const key = `${name} ${JSON.stringify(constants)}`;
    let pipeline = this.#pipelines.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(name, constants);
      this.#pipelines.set(key, pipeline);
      pipeline.catch(() => this.#pipelines.delete(key));
    }
    return pipeline;
  }

  async #compile(name: KernelName, constants: KernelConstants): Promise<GPUComputePipeline> {
    this.#gpu.checkLost();
    try {
      const module = await this.#moduleOf(name);
      return await this.#gpu.raw.createComputePipelineAsync({
        label: name,
        layout: 'auto',
        compute: { module, entryPoint: 'main', constants: { ...constants } },
      });
    } catch (error) {
      this.#gpu.checkLost();
      throw new DeviceError(
        'STOA_DEVICE',
        `${describeAdapter(this.#gpu.adapter.facts)} does not compile the kernel ${name}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  #moduleOf(name: KernelName): Promise<GPUShaderModule> {
    let module = this.#modules.get(name);
    if (module === undefined) {
      module = this.#load(name);
      this.#modules.set(name, module);
      module.catch(() => this.#modules.delete(name));
    }
    return module;
  }

  async #load(name: KernelName): Promise<GPUShaderModule> {
    const code = await readFile(path.join(packageRoot, 'kernels/wgsl', `${name}.wgsl`), 'utf8');
    let module: GPUShaderModule | undefined;
    await this.#gpu.scoped(() => {
      module = this.#gpu.raw.createShaderModule({ label: name, code });
    });
    return module!;
  }
}

/** Records one dispatch. */
export function recordStep(gpu: GpuDevice, pass: GPUComputePassEncoder, step: Step): void {
  const [x, y] = step.groups;
  if (x === 0 || y === 0) return;
  pass.setPipeline(step.pipeline);
  pass.setBindGroup(
    0,
    gpu.raw.createBindGroup({
      layout: step.pipeline.getBindGroupLayout(0),
      entries: step.bindings.map((resource, binding) => ({ binding, resource })),
    }),
  );
  pass.dispatchWorkgroups(x, y);
}
