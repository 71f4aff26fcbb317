// Worker processes of a run on this machine: started together, watched, and gone before the run's process ends.

import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { HostPort } from '../common/addresses.js';
import { SystemError } from '../common/errors.js';
import { builtEntry } from '../common/package-root.js';
import type { InstructionSet } from '../models/device.js';
import { deviceArguments } from './device-flags.js';
import { FROM_PARENT, tellAddress } from './parent-address.js';

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

export interface LocalWorkers {
  /** Rejects when no worker is left and none may be started again; never resolves. */
  readonly failed: Promise<never>;
  readonly pids: () => number[];
  /** Where they ask for work; until they are told they wait. */
  connect(coordinator: HostPort): void;
  /** Asks all to leave, ends those that do not within the grace, and resolves when all are gone. */
  stop(graceMs?: number): Promise<void>;
}

/** A worker that dies is started again so many times; more often, and something is wrong that a restart won't mend. */
const RESTARTS_MAX = 3;

/** How long a worker may take to hand its leases back and leave. */
const GRACE_MS = 3000;

/**
 * Starts the workers. Each is a process of its own, `stoa worker`, tied to this one by an IPC channel: when this
 * process is gone, however it went, the channel breaks and the worker leaves.
 */
export function startLocalWorkers(options: LocalWorkersOptions): LocalWorkers {
  const pool = new WorkerPool(options);
  pool.start();
  return pool;
}

class WorkerPool implements LocalWorkers {
  readonly failed: Promise<never>;
  private readonly children = new Set<ChildProcess>();
  private coordinator: HostPort | undefined;
  private restartsLeft = RESTARTS_MAX;
  private isStopping = false;
  private lastWords = '';
  private fail: (error: Error) => void = () => {};
  private readonly killAll = (): void => {
    for (const child of this.children) child.kill('SIGKILL');
  };

  constructor(private readonly options: LocalWorkersOptions) {
    this.failed = new Promise<never>((_, reject) => {
      this.fail = reject;
    });
    // Whoever waits for the run hears of it; nobody may wait any more.
    this.failed.catch(() => {});
  }

  start(): void {
    process.on('exit', this.killAll);
    for (let index = 1; index <= this.options.count; index++) this.startOne(`worker-${index}`);
  }

  pids(): number[] {
    return [...this.children].map((child) => child.pid).filter((pid) => pid !== undefined);
  }

  connect(coordinator: HostPort): void {
    this.coordinator = coordinator;
    for (const child of this.children) tellAddress(child, coordinator);
  }

  async stop(graceMs = GRACE_MS): Promise<void> {
    this.isStopping = true;
    const gone = [...this.children].map((child) => endChild(child, graceMs));
    await Promise.all(gone);
    process.off('exit', this.killAll);
  }

  private startOne(name: string): void {
    const child = fork(fileURLToPath(builtEntry('cli/main.js')), workerArguments(name, this.options), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.children.add(child);
    if (this.coordinator !== undefined) tellAddress(child, this.coordinator);
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.lastWords = line;
      this.options.onLine(name, line);
    });
    child.on('error', (error) => this.onGone(child, name, error.message));
    child.on('exit', (code, signal) => this.onGone(child, name, signal ?? `exit code ${code}`));
  }

  private onGone(child: ChildProcess, name: string, how: string): void {
    if (!this.children.delete(child) || this.isStopping) return;
    if (this.restartsLeft > 0) {
      this.restartsLeft--;
      this.options.onLine(name, `${name} is gone (${how}); starting another in its place`);
      this.startOne(name);
    } else if (this.children.size === 0) {
      const said = this.lastWords === '' ? '' : `; the last thing one said: ${this.lastWords}`;
      this.fail(
        new SystemError('STOA_RUN_FAILED', `all worker processes are gone (the last: ${how})${said}`, {
          fields: { worker: name },
        }),
      );
    }
  }
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

/** SIGTERM, then SIGKILL after the grace; resolves when the process is gone. */
export async function endChild(child: ChildProcess, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(timer);
}
