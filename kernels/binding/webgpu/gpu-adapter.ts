/// <reference types="@webgpu/types" />
// Finds a GPU through Dawn, the `webgpu` package, which is loaded when it is first wanted.

import { DeviceError, messageOf } from '../../../common/errors.js';

/** What an adapter says of itself. */
export interface AdapterFacts {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  /** On most systems with the driver's name and version. */
  readonly description: string;
  /** Emulated on the CPU: never to be counted as a GPU. */
  readonly isSoftware: boolean;
}

/**
 * An adapter and what must live as long as anything made of it: when Dawn's root object is collected while a device is
 * in use, the process crashes.
 */
export interface GpuAdapter {
  readonly root: GPU;
  /** Good for one device only. */
  readonly adapter: GPUAdapter;
  readonly facts: AdapterFacts;
}

/** A step that failed, and what a person can do about it. */
export class NoAdapterError extends DeviceError {
  readonly reason: string;
  readonly remedy: string;

  constructor(reason: string, remedy: string, cause?: unknown) {
    super('STOA_DEVICE', `device "webgpu" does not work here: ${reason}; ${remedy}`, { cause });
    this.reason = reason;
    this.remedy = remedy;
  }
}

/** Not a literal in `import()`: the package is optional, and the compiler must not look for it. */
const PACKAGE: string = 'webgpu';

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|basic render|\bwarp\b/i;

/** Dawn's adapter that computes nothing; it does not call itself a fallback. */
const NULL_BACKEND = /null.?backend|null vulkan/i;

/**
 * Takes the adapter that Dawn prefers.
 *
 * @param options `isSoftwareAllowed`: an emulated GPU will do. @default false
 * @throws {NoAdapterError} with a reason and a remedy.
 */
export async function openAdapter(options: { isSoftwareAllowed: boolean }): Promise<GpuAdapter> {
  const root = await loadDawn();
  const adapter = await root
    .requestAdapter({ powerPreference: 'high-performance' })
    .catch((error: unknown) => {
      throw new NoAdapterError(`no GPU adapter could be opened (${messageOf(error)})`, DRIVER_REMEDY, error);
    });
  if (adapter === null) throw new NoAdapterError('no GPU adapter was found', DRIVER_REMEDY);
  const facts = factsOf(adapter);
  if (NULL_BACKEND.test(`${facts.device} ${facts.description}`)) {
    throw new NoAdapterError('the only adapter is a stand-in that computes nothing', DRIVER_REMEDY);
  }
  if (facts.isSoftware && !options.isSoftwareAllowed) {
    throw new NoAdapterError(
      `the only adapter is emulated on the CPU (${describeAdapter(facts)}), which is slower than the other devices`,
      `${DRIVER_REMEDY}, or set STOA_WEBGPU_ALLOW_SOFTWARE=1 to try it all the same`,
    );
  }
  return { root, adapter, facts };
}

const DRIVER_REMEDY =
  process.platform === 'linux'
    ? "install the card's Vulkan driver and the loader (Debian: libvulkan1); docs/gpu.md lists drivers"
    : "install the card's driver; docs/gpu.md lists drivers";

/** "NVIDIA H100 (hopper)", as far as the adapter says. */
export function describeAdapter({ vendor, architecture, device, description }: AdapterFacts): string {
  const name = description !== '' ? description : device !== '' ? device : vendor;
  return architecture === '' || name.toLowerCase().includes(architecture)
    ? name
    : `${name} (${architecture})`;
}

/** Whether what an adapter says of itself are words of an emulated GPU. */
export function isSoftwareAdapter(info: {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter?: boolean;
}): boolean {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  return info.isFallbackAdapter === true || SOFTWARE.test(text) || NULL_BACKEND.test(text);
}

async function loadDawn(): Promise<GPU> {
  let dawn: { create(flags: string[]): GPU };
  try {
    dawn = (await import(PACKAGE)) as typeof dawn;
  } catch (error) {
    const isMissing = (error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    throw isMissing && messageOf(error).includes(`'${PACKAGE}'`)
      ? new NoAdapterError('the package "webgpu" is not installed', 'run "npm install webgpu"', error)
      : new NoAdapterError(
          `the package "webgpu" cannot be loaded (${messageOf(error)})`,
          'see whether it has a build for this platform',
          error,
        );
  }
  try {
    return dawn.create([]);
  } catch (error) {
    throw new NoAdapterError(`Dawn does not start (${messageOf(error)})`, DRIVER_REMEDY, error);
  }
}

function factsOf(adapter: GPUAdapter): AdapterFacts {
  const { info } = adapter;
  const { vendor, architecture, device, description } = info;
  return { vendor, architecture, device, description, isSoftware: isSoftwareAdapter(info) };
}
