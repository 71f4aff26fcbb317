// The WebGPU device: our WGSL kernels on any GPU that Dawn reaches. The package `webgpu` is optional; nothing of it is
// loaded before a device of this kind is asked for.

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';
import type { ComputeDevice, DeviceFactory } from '../../models/device.js';

/** A driver that has not answered by then hangs. */
const PROBE_MS = 30_000;

type Probe = Awaited<ReturnType<DeviceFactory['probe']>>;

export interface WebgpuOptions {
  readonly threads: number;
  /** Take a GPU that is emulated on the CPU. @default whether STOA_WEBGPU_ALLOW_SOFTWARE is 1 */
  readonly allowSoftware?: boolean;
  /** Larger tables stay in the host's memory and are streamed, bytes. @default what the GPU can bind at once */
  readonly residentBytesMax?: number;
}

export interface WebgpuFactory extends DeviceFactory {
  open(options: WebgpuOptions): Promise<ComputeDevice>;
}

export const webgpuDevice: WebgpuFactory = {
  kind: 'webgpu',
  probe: () => probeProcess(),
  async open({ allowSoftware = isSoftwareAllowed(), residentBytesMax }) {
    const { openAdapter } = await import('../../kernels/binding/webgpu/gpu-adapter.js');
    const { GpuDevice } = await import('../../kernels/binding/webgpu/gpu-device.js');
    const { WebgpuDevice } = await import('./webgpu/webgpu-device.js');
    const adapter = await openAdapter({ isSoftwareAllowed: allowSoftware });
    return new WebgpuDevice(await GpuDevice.open(adapter), { residentBytesMax });
  },
};

function isSoftwareAllowed(): boolean {
  return process.env['STOA_WEBGPU_ALLOW_SOFTWARE'] === '1';
}

/** Opens the GPU in a process of its own, which may crash. */
function probeProcess(): Promise<Probe> {
  const entry = fileURLToPath(builtEntry('worker/devices/webgpu/probe-process.js'));
  if (!existsSync(entry)) {
    return Promise.resolve({ ok: false, reason: 'its probe is not built', remedy: 'run "npm run build"' });
  }
  const args = [entry, isSoftwareAllowed() ? 'software' : 'hardware'];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: PROBE_MS, killSignal: 'SIGKILL' }, (error, stdout) => {
      resolve(parseProbe(stdout) ?? crashed(error));
    });
  });
}

/** The last line that is an answer, whatever drivers have printed before. */
function parseProbe(stdout: string): Probe | undefined {
  for (const line of stdout.trimEnd().split('\n').reverse()) {
    try {
      const found = JSON.parse(line) as Probe;
      if (typeof found.ok === 'boolean') return found;
    } catch {}
  }
  return undefined;
}

function crashed(error: (Error & { signal?: unknown; killed?: boolean }) | null): Probe {
  const why =
    error?.killed === true
      ? `its driver gave no answer in ${PROBE_MS / 1000} seconds`
      : `its driver crashed (${String(error?.signal ?? error?.message ?? 'no answer')})`;
  return { ok: false, reason: why, remedy: 'update the driver of the card; docs/gpu.md lists drivers' };
}
