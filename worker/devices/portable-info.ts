import type { DeviceInfo } from '../../models/device.js';

/** What the TypeScript of this process is, as a device. */
export function portableInfo(threads: number): DeviceInfo {
  return {
    kind: 'portable',
    name: 'portable TypeScript',
    isSoftware: false,
    threads,
    detail: { precision: 'f64', node: process.versions.node, v8: process.versions.v8 },
  };
}
