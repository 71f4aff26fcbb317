import { BUFFER_USAGE } from '../../kernels/binding/webgpu/buffer-usage.js';
import { openAdapter } from '../../kernels/binding/webgpu/gpu-adapter.js';
import { GpuDevice } from '../../kernels/binding/webgpu/gpu-device.js';

const COPIES = 16;
const ROUNDS = 5;

/** Gigabytes a second that the GPU copies from its memory to its memory: the median of some rounds. */
export async function copyRate(): Promise<number> {
  const isSoftwareAllowed = process.env['STOA_WEBGPU_ALLOW_SOFTWARE'] === '1';
  const gpu = await GpuDevice.open(await openAdapter({ isSoftwareAllowed }));
  const bytes = gpu.adapter.facts.isSoftware ? 2 ** 24 : Math.min(2 ** 28, gpu.limits.bufferBytesMax);
  const usage = BUFFER_USAGE.copySource | BUFFER_USAGE.copyTarget;
  const source = await gpu.createBuffer({ label: 'the source of copies', bytes, usage });
  const target = await gpu.createBuffer({ label: 'the target of copies', bytes, usage });
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startMs = performance.now();
    await gpu.submit('copies', (encoder) => {
      for (let i = 0; i < COPIES; i++) encoder.copyBufferToBuffer(source, 0, target, 0, bytes);
    });
    await gpu.idle();
    rates.push((COPIES * bytes) / (performance.now() - startMs) / 1e6);
  }
  await gpu.destroy();
  return rates.sort((a, b) => a - b)[ROUNDS >> 1]!;
}
