// The webgpu device passes the device suite, on a Vulkan driver in software, and what is its own.

import { describe } from 'vitest';
import { webgpuDevice } from '../../worker/devices/webgpu.js';
import { swiftshaderMissing } from '../support/swiftshader.js';
import { describeComputeDevice } from './compute-device.js';

const reason = swiftshaderMissing === undefined ? '' : ` (skipped, no SwiftShader: ${swiftshaderMissing})`;

describe.skipIf(swiftshaderMissing !== undefined)(`on SwiftShader${reason}`, () => {
  describeComputeDevice(webgpuDevice, 1, { arithmetic: 'f32', factors: [1, 3, 8, 13, 22, 37] });
});
