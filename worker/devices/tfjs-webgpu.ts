// WebGPU in Node for TensorFlow.js: Dawn as `navigator.gpu`, which tfjs looks for when its backend is loaded.

import { TfjsUnavailableError } from './tfjs-unavailable.js';

/** The part of WebGPU's adapter that is read here. */
interface Adapter {
  readonly info: {
    readonly vendor: string;
    readonly architecture: string;
    readonly device: string;
    readonly description: string;
    readonly isFallbackAdapter?: boolean;
  };
}

/** The part of WebGPU's device that is read here. */
interface Device {
  readonly limits: { readonly maxStorageBufferBindingSize: number };
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  addEventListener(type: 'uncapturederror', listen: (event: { error: { message: string } }) => void): void;
  destroy(): void;
}

interface Gpu {
  requestAdapter(options?: object): Promise<Adapter | null>;
}

interface Dawn {
  create(flags: string[]): Gpu;
  readonly globals: object;
}

export interface TfjsWebgpu {
  readonly adapter: string;
  readonly driver: string;
  readonly isSoftware: boolean;
  /** Settles with the reason when the device is lost, out of memory, or was handed what it cannot do. */
  watch(device: Device): Promise<string>;
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b|null.?backend/i;

/** Dawn's root object: the process crashes when it is collected while a device lives. */
let root: Gpu | undefined;

/**
 * Makes Dawn this thread's `navigator.gpu`.
 *
 * @param load imports the package `webgpu`.
 * @throws {TfjsUnavailableError} there is no adapter.
 */
export async function openTfjsWebgpu(load: () => Promise<unknown>): Promise<TfjsWebgpu> {
  const { create, globals } = (await load()) as Dawn;
  Object.assign(globalThis, globals);
  root ??= create([]);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu: root }, configurable: true });
  // An adapter gives one device only, and tfjs asks for an adapter of its own, with the same options.
  const adapter = await root.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new TfjsUnavailableError({
      code: 'NO_ADAPTER',
      reason: 'WebGPU (Dawn) finds no adapter on this machine',
      remedy: 'install a driver for Vulkan, Metal or Direct3D 12, see docs/gpu.md',
    });
  }
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const all = [vendor, architecture, device, description].join(' ');
  return {
    adapter: device === '' ? `${vendor} ${architecture}`.trim() : device,
    driver: description,
    isSoftware: isFallbackAdapter === true || SOFTWARE.test(all),
    watch: (opened) =>
      new Promise((resolve) => {
        // Without this, what does not fit reads back as zeros.
        opened.addEventListener('uncapturederror', ({ error }) => resolve(error.message));
        void opened.lost.then(({ reason, message }) => resolve(message === '' ? reason : message));
      }),
  };
}
