// The flags that say what computes: the same on every verb that opens a device.

import { type Command, Option } from 'commander';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import type { InstructionSet } from '../models/device.js';
import type { DeviceNeeds } from '../worker/devices/device-needs.js';

export interface DeviceFlags {
  device?: string;
  isa?: InstructionSet;
  requireGpu?: boolean;
}

/** Names are checked by the registry of devices, which --help does not load. */
const NAMES = 'auto, native, webgpu, tfjs, tfjs:PROVIDER, portable';

const ISAS: readonly InstructionSet[] = ['avx2', 'avx512', 'neon', 'baseline'];

export function addDeviceFlags(command: Command): void {
  command
    .option('--device <device>', `what computes: ${NAMES} (default: auto, the fastest that works)`)
    .addOption(isaOption())
    .option('--require-gpu', 'fail rather than compute on what is no real GPU');
}

export function isaOption(): Option {
  return new Option('--isa <isa>', 'instruction set of the native device (default: the widest)').choices(
    ISAS,
  );
}

/** What a run asks of the device that computes it. */
export function needsOf(config: RunConfig): DeviceNeeds {
  if (config.model !== 'ials') {
    return { solver: 'sgd', gather: 'f32', factors: config[`${config.model}.factors`] };
  }
  return {
    solver: config['ials.solver'],
    gather: config['ials.gather'],
    factors: config['ials.factors'],
  };
}

/** The flags as arguments of another `stoa`. */
export function deviceArguments(o: {
  device: string;
  isa?: InstructionSet;
  isGpuRequired?: boolean;
}): string[] {
  return [
    '--device',
    o.device,
    ...(o.isa === undefined ? [] : ['--isa', o.isa]),
    ...(o.isGpuRequired === true ? ['--require-gpu'] : []),
  ];
}
