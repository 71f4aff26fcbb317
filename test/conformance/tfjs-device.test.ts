import { tfjsDeviceOf } from '../../worker/devices/tfjs.js';
import { type DeviceLimits, describeComputeDevice } from './compute-device.js';

/** Rows of `ials++` are not solved by their dual: few entries with large weights leave a block badly conditioned. */
const SINGLE: DeviceLimits = { isSingle: true, tolerances: { subspaces: 5e-3, subspaceBackward: 2e-6 } };

describeComputeDevice(tfjsDeviceOf('wasm'), 1, SINGLE);
