import type { DeviceInfo } from '../../models/device.js';

/** Whether a device is a real GPU: an emulated one never counts. A device of several providers says it in its detail. */
export function isGpu({ kind, isSoftware, detail }: DeviceInfo): boolean {
  return !isSoftware && (kind === 'webgpu' || detail['isGpu'] === true);
}
