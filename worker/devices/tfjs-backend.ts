// Loads one provider of TensorFlow.js into this thread. Packages are found at run time and through names that are not
// literals: all of them are optional.

import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DeviceInfo } from '../../models/device.js';
import { TFJS_PACKAGES, type TfjsProvider } from './tfjs-provider.js';
import { notInstalled, TfjsUnavailableError } from './tfjs-unavailable.js';
import { openTfjsWebgpu } from './tfjs-webgpu.js';

/** The operations of tfjs-core. */
export type Tf = typeof import('@tensorflow/tfjs-core');

/** A provider that is loaded and computes. */
export interface TfjsBackend {
  readonly tf: Tf;
  readonly provider: TfjsProvider;
  readonly info: DeviceInfo;
  /** Most bytes of one tensor. */
  readonly tensorBytesMax: number;
  /** Settles with the reason when the provider can no longer compute. */
  readonly lost: Promise<string>;
  /** Frees what the provider holds besides tensors. */
  dispose(): void;
}

/** Node's resolution from this file on, and from the folders of NODE_PATH. */
const requirePackage = createRequire(import.meta.url);

/** WebAssembly memory ends at 2 GiB; a table, its rotated copy and the buckets must fit beside each other. */
const WASM_TENSOR_BYTES_MAX = 2 ** 29;
/** Typed arrays of one upload; also what libtensorflow's 32-bit kernels index. */
const TENSOR_BYTES_MAX = 2 ** 31;

/**
 * Loads a provider and makes its backend the one that computes.
 *
 * @param threads for `node`: threads of its pool. The others take one thread, or the GPU.
 * @throws whatever the packages throw; `explainTfjsFailure` puts it into words.
 */
export async function loadTfjs(provider: TfjsProvider, threads: number): Promise<TfjsBackend> {
  for (const name of TFJS_PACKAGES[provider]) {
    if (packagePath(name) === undefined) throw new TfjsUnavailableError(notInstalled(provider, name));
  }
  switch (provider) {
    case 'node-gpu':
    case 'node':
      return loadNode(provider, threads);
    case 'webgpu':
      return loadWebgpu();
    case 'wasm':
      return loadWasm();
    case 'cpu':
      return loadCpu();
  }
}

/** Where a package's entry is, or undefined when it is not installed. */
export function packagePath(name: string): string | undefined {
  try {
    return requirePackage.resolve(name);
  } catch {
    return undefined;
  }
}

/** What tfjs-node's backend says of itself, of which tfjs-core's types know nothing. */
interface NodeBackend {
  readonly isUsingGpuDevice: boolean;
  readonly binding: { readonly TF_Version: string };
}

async function loadNode(provider: 'node' | 'node-gpu', threads: number): Promise<TfjsBackend> {
  // Read by libtensorflow when it starts. TF32 would round the inputs of every product to 10 bits.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['NVIDIA_TF32_OVERRIDE'] ??= '0';
  process.env['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  process.env['TF_NUM_INTRAOP_THREADS'] ??= String(threads);
  const name = TFJS_PACKAGES[provider][0]!;
  const tf = requirePackage(name) as Tf & { version: Record<string, string> };
  await tf.ready();
  const backend = tf.backend() as unknown as NodeBackend;
  const version = tf.version['tfjs-node'] ?? 'unknown';
  if (provider === 'node-gpu' && !backend.isUsingGpuDevice) {
    throw new TfjsUnavailableError({
      code: 'NO_ADAPTER',
      reason: `${name} ${version} is installed, but its TensorFlow ${backend.binding.TF_Version} finds no GPU that it can use`,
      remedy: 'install the driver, CUDA and cuDNN that docs/gpu.md names, or use tfjs:node',
    });
  }
  const device = backend.isUsingGpuDevice ? 'CUDA GPU' : 'CPU';
  return {
    ...describe(tf, provider, {
      name: `TensorFlow ${backend.binding.TF_Version} on ${device} via tfjs-node`,
      isSoftware: false,
      threads: backend.isUsingGpuDevice ? 1 : Number(process.env['TF_NUM_INTRAOP_THREADS']),
      detail: {
        'tfjs-node': version,
        libtensorflow: backend.binding.TF_Version,
        adapter: device,
        isGpu: backend.isUsingGpuDevice,
      },
    }),
    tensorBytesMax: TENSOR_BYTES_MAX,
  };
}

async function loadWebgpu(): Promise<TfjsBackend> {
  const gpu = await openTfjsWebgpu(
    // `webgpu` is an ES module, which `require` may not load.
    () => import(pathToFileURL(packagePath('webgpu')!).href),
  );
  const tf = requirePackage('@tensorflow/tfjs-core') as Tf;
  requirePackage('@tensorflow/tfjs-backend-webgpu');
  // Its default product splits long sums over workgroups and adds them in order of arrival.
  tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', 3);
  // Small tensors would be computed by the CPU backend, with other roundings.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  await select(tf, 'webgpu');
  const { device } = tf.backend() as unknown as { device: Parameters<typeof gpu.watch>[0] };
  return {
    ...describe(tf, 'webgpu', {
      name: `${gpu.adapter} via tfjs WebGPU`,
      isSoftware: gpu.isSoftware,
      threads: 1,
      detail: {
        webgpu: packageVersion('webgpu'),
        adapter: gpu.adapter,
        driver: gpu.driver,
        isGpu: !gpu.isSoftware,
      },
    }),
    tensorBytesMax: Math.min(TENSOR_BYTES_MAX, Math.floor(0.9 * device.limits.maxStorageBufferBindingSize)),
    lost: gpu.watch(device),
    dispose: () => device.destroy(),
  };
}

async function loadWasm(): Promise<TfjsBackend> {
  const tf = requirePackage('@tensorflow/tfjs-core') as Tf;
  const entry = packagePath('@tensorflow/tfjs-backend-wasm')!;
  const wasm = requirePackage(entry) as { setWasmPaths(folder: string): void };
  wasm.setWasmPaths(`${path.dirname(entry)}${path.sep}`);
  await select(tf, 'wasm');
  return {
    ...describe(tf, 'wasm', {
      name: 'TensorFlow.js WebAssembly',
      isSoftware: false,
      threads: 1,
      detail: {
        adapter: 'CPU',
        simd: (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')) === true,
        isGpu: false,
      },
    }),
    tensorBytesMax: WASM_TENSOR_BYTES_MAX,
  };
}

async function loadCpu(): Promise<TfjsBackend> {
  const tf = requirePackage('@tensorflow/tfjs-core') as Tf;
  requirePackage('@tensorflow/tfjs-backend-cpu');
  await select(tf, 'cpu');
  return {
    ...describe(tf, 'cpu', {
      name: 'TensorFlow.js JavaScript',
      isSoftware: false,
      threads: 1,
      detail: { adapter: 'CPU', isGpu: false },
    }),
    tensorBytesMax: TENSOR_BYTES_MAX,
  };
}

async function select(tf: Tf, backend: string): Promise<void> {
  // Without it a banner is printed that recommends another provider.
  tf.enableProdMode();
  const isUsable = await tf.setBackend(backend);
  await tf.ready();
  if (!isUsable || tf.getBackend() !== backend) throw new Error(`the backend "${backend}" did not start`);
}

/** What all providers say alike. */
function describe(
  tf: Tf,
  provider: TfjsProvider,
  info: Omit<DeviceInfo, 'kind'>,
): Pick<TfjsBackend, 'tf' | 'provider' | 'info' | 'lost' | 'dispose'> {
  return {
    tf,
    provider,
    info: {
      kind: 'tfjs',
      ...info,
      detail: {
        provider,
        backend: tf.getBackend(),
        'tfjs-core': tf.version_core,
        precision: 'f32',
        node: process.versions.node,
        ...info.detail,
      },
    },
    lost: new Promise(() => {}),
    dispose: () => {},
  };
}

function packageVersion(name: string): string {
  try {
    const folder = path.dirname(packagePath(name)!);
    return (requirePackage(path.join(folder, 'package.json')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}
