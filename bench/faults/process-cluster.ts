// A cluster of real processes on this machine, to be killed, frozen and started again.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';

export interface StoaChild {
  readonly child: ChildProcess;
  /** What it has said on stderr so far. */
  said(): string;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** SIGKILL, and waits until it is gone. */
  kill(): Promise<void>;
}

export class ProcessCluster {
  readonly #folder: string;
  readonly #children = new Set<StoaChild>();
  /** Nothing outlives the process that started it: one that is frozen would not even notice. */
  readonly #killAll = (): void => {
    for (const { child } of this.#children) child.kill('SIGKILL');
  };

  constructor(folder: string) {
    this.#folder = folder;
    process.on('exit', this.#killAll);
  }

  /** The state folder that all coordinators share. */
  get stateDir(): string {
    return path.join(this.#folder, 'state');
  }

  coordinator(port: number, ...flags: string[]): StoaChild {
    const listen = ['--listen', `127.0.0.1:${port}`, '--state', this.stateDir];
    return this.#start(['coordinator', ...listen, ...flags]);
  }

  /** @param ports of the coordinators. */
  worker(name: string, ports: readonly number[], env: NodeJS.ProcessEnv = {}): StoaChild {
    const addresses = ports.map((port) => `127.0.0.1:${port}`).join(',');
    const how = ['--threads', '1', '--device', 'portable', '--cache', path.join(this.#folder, 'cache')];
    return this.#start(['worker', '--coordinator', addresses, '--name', name, ...how], env);
  }

  /** @param port of the process itself. @param coordinator its port. */
  parameters(name: string, port: number, coordinator: number): StoaChild {
    const where = ['--coordinator', `127.0.0.1:${coordinator}`, '--listen', `127.0.0.1:${port}`];
    return this.#start(['parameters', ...where, '--name', name]);
  }

  /** Runs a verb of the command line to its end. @throws an Error with what it said: it failed. */
  async run(args: readonly string[]): Promise<void> {
    const { child, ended, said } = this.#start(args);
    await ended;
    if (child.exitCode !== 0) throw new Error(`stoa ${args.join(' ')} failed: ${said()}`);
  }

  /** Any verb of the command line. */
  stoa(args: readonly string[], env: NodeJS.ProcessEnv = {}): StoaChild {
    return this.#start(args, env);
  }

  /** Ends all processes. */
  async close(): Promise<void> {
    await Promise.all([...this.#children].map((one) => one.kill()));
    process.off('exit', this.#killAll);
  }

  #start(args: readonly string[], env: NodeJS.ProcessEnv = {}): StoaChild {
    const child = spawn(process.execPath, [fileURLToPath(builtEntry('cli/main.js')), ...args], {
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let text = '';
    child.stderr!.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    const ended = new Promise<void>((resolve) => {
      child.on('error', () => resolve());
      child.on('close', () => resolve());
    });
    const one: StoaChild = {
      child,
      said: () => text,
      ended,
      kill: async () => {
        child.kill('SIGKILL');
        await ended;
        this.#children.delete(one);
      },
    };
    this.#children.add(one);
    return one;
  }
}

/**
 * Below the ports that systems give to outgoing connections: who calls a port among those again and again while nobody
 * listens there may be given that very port, and then talks to itself and keeps the server out.
 */
const PORTS = { from: 20_000, count: 10_000 };

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + randomInt(PORTS.count);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => {
      server.close(resolve);
    });
    return port;
  }
}
