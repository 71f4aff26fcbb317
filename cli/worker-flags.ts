import os from 'node:os';
import type { Command } from 'commander';
import { wholeNumber } from './verb.js';

export interface WorkerFlags {
  workers?: number;
  threads?: number;
  device?: string;
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
    )
    .option('--device <device>', 'what computes: auto, portable (default: auto)');
}

/** The flags with their defaults. */
export function workersOf(flags: WorkerFlags): { workers: number; threads: number; device: string } {
  const workers = flags.workers ?? WORKERS_DEFAULT;
  const threads = flags.threads ?? Math.max(1, Math.floor(os.availableParallelism() / workers));
  return { workers, threads, device: flags.device ?? 'auto' };
}
