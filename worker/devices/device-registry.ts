// The devices of this build.

import type { ComputeDevice, DeviceFactory } from '../../models/device.js';
import { chooseAmong, type DeviceChoice, type DeviceRequest } from './choose-device.js';
import { deviceNames } from './device-names.js';
import { nativeDevice } from './native.js';
import { portableDevice } from './portable.js';
import { tfjsDevice } from './tfjs.js';
import { webgpuDevice } from './webgpu.js';

/** Fastest first, as a rule; `auto` measures those that work. */
export const DEVICE_FACTORIES: readonly DeviceFactory[] = [
  nativeDevice,
  webgpuDevice,
  tfjsDevice,
  portableDevice,
];

/** Names that `--device` takes. */
export const DEVICE_NAMES: readonly string[] = deviceNames(DEVICE_FACTORIES);

/** What `auto` came to, by request: measured once in a process. */
const chosen = new Map<string, Omit<DeviceChoice, 'device'>>();

/** As `chooseAmong` the devices of this build. What `auto` measured is kept for the process. */
export async function chooseDevice(name: string, request: DeviceRequest): Promise<DeviceChoice> {
  const key = JSON.stringify(request);
  const before = name === 'auto' ? chosen.get(key) : undefined;
  if (before !== undefined) {
    const { device } = await chooseAmong(DEVICE_FACTORIES, before.name, request);
    return { ...before, device };
  }
  const choice = await chooseAmong(DEVICE_FACTORIES, name, request);
  const { device: _, ...kept } = choice;
  if (name === 'auto') chosen.set(key, kept);
  return choice;
}

/** As `chooseDevice`, for those who do not ask why. */
export async function openDevice(name: string, request: DeviceRequest): Promise<ComputeDevice> {
  return (await chooseDevice(name, request)).device;
}
