// The native device passes the device suite with any number of threads and with every instruction set of this machine.

import { describe, it } from 'vitest';
import type { DeviceFactory } from '../../models/device.js';
import { nativeDevice, nativeInstructionSets } from '../../worker/devices/native.js';
import { describeComputeDevice, type SuiteOptions } from './compute-device.js';

const f32: SuiteOptions = { arithmetic: 'f32', lagSteps: 4 };
const probe = await nativeDevice.probe();

if (probe.ok) {
  for (const threads of [1, 2, 3]) describeComputeDevice(nativeDevice, threads, f32);
  for (const isa of (await nativeInstructionSets()).slice(1)) {
    const pinned: DeviceFactory = {
      kind: 'native',
      probe: () => nativeDevice.probe(),
      open: ({ threads }) => nativeDevice.open({ threads, isa }),
    };
    describe(`with ${isa}`, () => describeComputeDevice(pinned, 2, f32));
  }
} else {
  describe('the native device', () => {
    it.skip(`passes the device suite (${probe.reason})`, () => {});
  });
}
