// A process of its own that opens the GPU and says what it found, as one line of JSON: a driver or Dawn may crash, and
// then only this process is gone.

import { messageOf } from '../../../common/errors.js';
import { NoAdapterError, openAdapter } from '../../../kernels/binding/webgpu/gpu-adapter.js';
import { GpuDevice } from '../../../kernels/binding/webgpu/gpu-device.js';
import { webgpuInfo } from './webgpu-device.js';

const isSoftwareAllowed = process.argv[2] === 'software';
try {
  const gpu = await GpuDevice.open(await openAdapter({ isSoftwareAllowed }));
  console.log(JSON.stringify({ ok: true, info: webgpuInfo(gpu.adapter.facts) }));
  await gpu.destroy();
} catch (error) {
  const found =
    error instanceof NoAdapterError
      ? { reason: error.reason, remedy: error.remedy }
      : { reason: messageOf(error), remedy: 'see docs/gpu.md' };
  console.log(JSON.stringify({ ok: false, ...found }));
}
