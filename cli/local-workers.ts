// Worker processes of a run on this machine.

import type { InstructionSet } from '../models/device.js';
import { deviceArguments } from './device-flags.js';
import { type LocalProcesses, startLocalProcesses } from './local-processes.js';
import { FROM_PARENT } from './parent-address.js';

export interface LocalWorkersOptions {
  count: number;
  /** Threads of each worker. */
  threads: number;
  device: string;
  isa?: InstructionSet;
  isGpuRequired?: boolean;
  /** Where workers keep what they fetch. */
  cacheDir: string;
  /** Lines that a worker writes to stderr, with its name. */
  onLine: (name: string, line: string) => void;
  isVerbose?: boolean;
}

export function startLocalWorkers(options: LocalWorkersOptions): LocalProcesses {
  const { count, onLine } = options;
  const argumentsOf = (name: string) => workerArguments(name, options);
  return startLocalProcesses({ kind: 'worker', count, argumentsOf, onLine });
}

function workerArguments(name: string, options: LocalWorkersOptions): string[] {
  return [
    'worker',
    '--coordinator',
    FROM_PARENT,
    '--name',
    name,
    '--threads',
    String(options.threads),
    ...deviceArguments(options),
    '--cache',
    options.cacheDir,
    options.isVerbose === true ? '--verbose' : '--quiet',
  ];
}
