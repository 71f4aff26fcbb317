// The device suite on tfjs-node, which is no dependency: run by scripts/tfjs-node-check.mjs alone.

import { tfjsDeviceOf } from '../../worker/devices/tfjs.js';
import { describeComputeDevice } from './compute-device.js';

describeComputeDevice(tfjsDeviceOf('node'), 2, { arithmetic: 'f32' });
