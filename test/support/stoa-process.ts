// Runs the real command line in a process of its own, as a user does.

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';

export interface StoaOptions {
  cwd?: string;
  env?: Readonly<Record<string, string>>;
  /** Ended with SIGKILL after this long. @default 50_000 for `stoa`; `startStoa` leaves it to whoever started it */
  timeoutMs?: number;
}

export interface StoaOutcome {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface StoaProcess {
  child: ChildProcess;
  /** What it has said so far. */
  said: () => { stdout: string; stderr: string };
  /** Resolves when it has ended and all it said was read. */
  ended: Promise<StoaOutcome>;
  /** Resolves when a stream has matched; rejects when the process ends before. */
  saying: (pattern: RegExp, stream?: 'stdout' | 'stderr') => Promise<RegExpExecArray>;
}

/** Runs `stoa …` to its end. */
export function stoa(args: readonly string[], options: StoaOptions = {}): Promise<StoaOutcome> {
  return startStoa(args, { timeoutMs: 50_000, ...options }).ended;
}

/** Starts `stoa …`; whoever starts it sees to its end. */
export function startStoa(args: readonly string[], options: StoaOptions = {}): StoaProcess {
  const child = spawn(process.execPath, [fileURLToPath(builtEntry('cli/main.js')), ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: '1', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8');
    child[name].on('data', (text: string) => {
      texts[name] += text;
      for (const listener of listeners) listener();
    });
  }
  const { timeoutMs } = options;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const ended = new Promise<StoaOutcome>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ exitCode, signal, ...texts });
    });
  });
  const saying: StoaProcess['saying'] = (pattern, stream = 'stderr') =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(texts[stream]);
        if (match === null) return;
        listeners.delete(look);
        resolve(match);
      };
      listeners.add(look);
      look();
      ended.then(({ stderr }) => reject(new Error(`ended without saying ${pattern}: ${stderr}`)), reject);
    });
  return { child, said: () => ({ ...texts }), ended, saying };
}
