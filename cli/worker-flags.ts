import os from 'node:os';
import type { Command } from 'commander';
import type { InstructionSet } from '../models/device.js';
import { addDeviceFlags, type DeviceFlags } from './device-flags.js';
import { wholeNumber } from './verb.js';

export interface WorkerFlags extends DeviceFlags {
  workers?: number;
  threads?: number;
}

/** The workers of a run on this machine. */
export interface WorkerSettings {
  workers: number;
  /** Threads of each. */
  threads: number;
  device: string;
  isa?: InstructionSet;
  isGpuRequired: boolean;
}

const WORKERS_DEFAULT = 2;

/** Processes on one machine; more than cores bring nothing, and each takes memory. */
const WORKERS_MAX = 256;

export function addWorkerFlags(command: Command): void {
  command
    .option(
      '--workers <n>',
      `worker processes (default: ${WORKERS_DEFAULT})`,
      wholeNumber('--workers', 1, WORKERS_MAX),
    )
    .option(
      '--threads <n>',
      'threads of each worker (default: the cores, shared evenly)',
      wholeNumber('--threads', 1, 1024),
    );
  addDeviceFlags(command);
}

/** The flags with their defaults. */
export function workersOf(flags: WorkerFlags): WorkerSettings {
  const workers = flags.workers ?? WORKERS_DEFAULT;
  const threads = flags.threads ?? Math.max(1, Math.floor(os.availableParallelism() / workers));
  const { device = 'auto', isa, requireGpu = false } = flags;
  return { workers, threads, device, isa, isGpuRequired: requireGpu };
}
