// Processes of a run on this machine: started together, watched, and gone before the run's process ends.

import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { HostPort } from '../common/addresses.js';
import { SystemError } from '../common/errors.js';
import { builtEntry } from '../common/package-root.js';
import { tellAddress } from './parent-address.js';

export interface LocalProcessesOptions {
  /** What they are, in words: "worker". Their names are this and a number. */
  kind: string;
  count: number;
  /** The command line of one, without `stoa`. */
  argumentsOf: (name: string) => string[];
  /** Lines that one writes to stderr, with its name. */
  onLine: (name: string, line: string) => void;
  /** One that ends with exit code 0 has done its work, and no other is started in its place. @default false */
  endsByItself?: boolean;
}

export interface LocalProcesses {
  /** Rejects when none is left and none may be started again; never resolves. */
  readonly failed: Promise<never>;
  /** Resolves when none is left, all having ended by themselves. */
  readonly ended: Promise<void>;
  readonly pids: () => number[];
  /** Those that were started with `--coordinator parent` are told where it is; until then they wait. */
  connect(coordinator: HostPort): void;
  /** Asks all to leave, ends those that do not within the grace, and resolves when all are gone. */
  stop(graceMs?: number): Promise<void>;
}

/** One that dies is started again so many times; more often, and something is wrong that a restart won't mend. */
const RESTARTS_MAX = 3;

/** How long one may take to hand back what it has and leave. */
const GRACE_MS = 3000;

/**
 * Starts them. Each is a process of its own, `stoa …`, tied to this one by an IPC channel: when this process is gone,
 * however it went, the channel breaks and it leaves.
 */
export function startLocalProcesses(options: LocalProcessesOptions): LocalProcesses {
  const pool = new ProcessPool(options);
  pool.start();
  return pool;
}

class ProcessPool implements LocalProcesses {
  readonly failed: Promise<never>;
  readonly ended: Promise<void>;
  private readonly children = new Set<ChildProcess>();
  private coordinator: HostPort | undefined;
  private restartsLeft = RESTARTS_MAX;
  private isStopping = false;
  private lastWords = '';
  private fail: (error: Error) => void = () => {};
  private end: () => void = () => {};
  private readonly killAll = (): void => {
    for (const child of this.children) child.kill('SIGKILL');
  };

  constructor(private readonly options: LocalProcessesOptions) {
    this.failed = new Promise<never>((_, reject) => {
      this.fail = reject;
    });
    // Whoever waits for the run hears of it; nobody may wait any more.
    this.failed.catch(() => {});
    this.ended = new Promise<void>((resolve) => {
      this.end = resolve;
    });
  }

  start(): void {
    process.on('exit', this.killAll);
    const { kind, count } = this.options;
    for (let index = 1; index <= count; index++) this.startOne(`${kind}-${index}`);
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
    const child = fork(fileURLToPath(builtEntry('cli/main.js')), this.options.argumentsOf(name), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.children.add(child);
    if (this.coordinator !== undefined) tellAddress(child, this.coordinator);
    createInterface({ input: child.stderr! }).on('line', (line) => {
      this.lastWords = line;
      this.options.onLine(name, line);
    });
    child.on('error', (error) => this.onGone(child, name, error.message));
    child.on('exit', (code, signal) => {
      if (code === 0 && this.options.endsByItself === true) this.onDone(child);
      else this.onGone(child, name, signal ?? `exit code ${code}`);
    });
  }

  private onDone(child: ChildProcess): void {
    this.children.delete(child);
    if (this.children.size === 0) this.end();
  }

  private onGone(child: ChildProcess, name: string, how: string): void {
    if (!this.children.delete(child) || this.isStopping) return;
    if (this.restartsLeft > 0) {
      this.restartsLeft--;
      this.options.onLine(name, `${name} is gone (${how}); starting another in its place`);
      this.startOne(name);
    } else if (this.children.size === 0) {
      const { kind } = this.options;
      const said = this.lastWords === '' ? '' : `; the last thing one said: ${this.lastWords}`;
      this.fail(
        new SystemError('STOA_RUN_FAILED', `all ${kind} processes are gone (the last: ${how})${said}`, {
          fields: { [kind]: name },
        }),
      );
    }
  }
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
