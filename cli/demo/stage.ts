// What the demo stands on: its folder, the commands it runs before one's eyes, the processes it keeps behind them.

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { StateError, SystemError } from '../../common/errors.js';
import { builtEntry } from '../../common/package-root.js';
import { endChild } from '../local-processes.js';
import type { Output } from '../output.js';

/** How long a process may take to say that it is ready; a cold disk makes the first start slow. */
const READY_MS = 20_000;
const GRACE_MS = 4000;
const INTERRUPTED = 130;

/** Runs `stoa` commands for the demo. All processes are gone after `close`. */
export class Stage {
  private readonly behind: ChildProcess[] = [];
  private foreground: ChildProcess | undefined;
  private step = 0;
  private readonly endAll = (): void => {
    for (const child of [...this.behind, this.foreground]) child?.kill('SIGKILL');
  };

  /** @param folder of the demo, as it is typed. */
  constructor(
    readonly folder: string,
    private readonly output: Output,
  ) {
    process.on('exit', this.endAll);
  }

  /** Path in the demo's folder, as it is typed. */
  file(name: string): string {
    return path.posix.join(this.folder, name);
  }

  /** Begins a numbered part of the story. */
  title(text: string): void {
    this.step++;
    this.output.print(`\n${this.output.bold(`${this.step}. ${text}`)}`);
  }

  say(text: string): void {
    this.output.print(text);
  }

  /** Shows a command and runs it to its end. @throws {SystemError} it failed; it has said why. */
  async run(args: readonly string[], how: 'quietly' | 'with progress'): Promise<void> {
    this.showCommand(args);
    const { json, quiet } = this.output.modes;
    const extra = quiet || how === 'quietly' ? ['--quiet'] : [];
    const child = spawn(process.execPath, [program(), ...args, ...extra], {
      stdio: ['ignore', json ? 'ignore' : 'inherit', 'inherit'],
    });
    this.foreground = child;
    const code = await exitOf(child);
    this.foreground = undefined;
    if (code === INTERRUPTED) throw new StateError('STOA_INTERRUPTED', 'the demo was stopped');
    if (code !== 0) {
      const verb = args.slice(0, 2).join(' ');
      throw new SystemError('STOA_RUN_FAILED', `"stoa ${verb}" failed; it says why above`);
    }
  }

  /** Shows and starts a role that stays behind the scene. Its log goes to a file in the folder. */
  start(name: string, args: readonly string[]): ChildProcess {
    this.showCommand(args);
    const log = openSync(this.file(`${name}.log`), 'w');
    const child = fork(program(), [...args, '--json'], { stdio: ['ignore', 'pipe', log, 'ipc'] });
    closeSync(log);
    this.behind.push(child);
    return child;
  }

  /** Starts a role and answers the JSON document that it prints when it is ready. */
  startAndWait(name: string, args: readonly string[]): Promise<Record<string, unknown>> {
    return firstDocument(this.start(name, args), `${name}, see ${this.file(`${name}.log`)}`);
  }

  pids(): number[] {
    return this.behind.map((child) => child.pid).filter((pid) => pid !== undefined);
  }

  /** Ends all processes, the last started first. */
  async close(): Promise<void> {
    this.foreground?.kill('SIGTERM');
    for (const child of this.behind.reverse()) await endChild(child, GRACE_MS);
    process.off('exit', this.endAll);
  }

  private showCommand(args: readonly string[]): void {
    this.output.print(this.output.dim(`$ npx stoa ${args.map(quoted).join(' ')}`));
  }
}

/** An argument as a shell takes it. */
export function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}

function program(): string {
  return fileURLToPath(builtEntry('cli/main.js'));
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => resolve(code));
  });
}

function firstDocument(child: ChildProcess, who: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new SystemError('STOA_RUN_FAILED', `${why}: ${who}`));
    const timer = setTimeout(() => fail('not ready in time'), READY_MS);
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      if (!text.includes('\n')) return;
      clearTimeout(timer);
      resolve(JSON.parse(text.slice(0, text.indexOf('\n'))) as Record<string, unknown>);
    });
    child.on('exit', () => {
      clearTimeout(timer);
      fail('ended before it was ready');
    });
  });
}
