// What does the steps of push/pull runs for a worker, and what it is called: the device where it has kernels for them,
// the native kernels beside a GPU, else threads of TypeScript.

import type { ComputeDevice, DeviceInfo } from '../../models/device.js';
import type { BlockDescent } from '../../models/sgd/block-descent.js';
import { nativeDevice } from '../devices/native.js';
import { portableInfo } from '../devices/portable-info.js';

export interface StepDevice {
  /** Absent: threads of TypeScript. */
  readonly descent?: BlockDescent;
  /** What computes, for people and for the run's bits. */
  readonly info: DeviceInfo;
  /** Frees what was opened for it; the device stays. */
  dispose(): Promise<void>;
}

/** @param device that the worker computes on; it may have no threads. @param threads of the worker. */
export async function openStepDevice({ descent, info }: ComputeDevice, threads: number): Promise<StepDevice> {
  const nothing = async () => {};
  if (descent !== undefined) return { descent, info, dispose: nothing };
  // Who names the portable device wants its bits.
  if (info.kind !== 'portable' && (await nativeDevice.probe()).ok) {
    const native = await nativeDevice.open({ threads });
    return { descent: native.descent, info: native.info, dispose: () => native.dispose() };
  }
  return { info: portableInfo(threads), dispose: nothing };
}
