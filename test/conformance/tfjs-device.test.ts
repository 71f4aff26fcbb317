import { tfjsDeviceOf } from '../../worker/devices/tfjs.js';
import { describeComputeDevice } from './compute-device.js';

describeComputeDevice(tfjsDeviceOf('wasm'), 1, { arithmetic: 'f32' });
