// A real etcd of one member, to be frozen and killed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { packageRoot } from '../../common/package-root.js';
import { freePort } from './process-cluster.js';

export interface EtcdProgram {
  readonly program: string;
  /** Why there is none; empty when there is. */
  readonly reason: string;
}

/** Looks for one, and fetches it where there is none. */
export function findEtcd(): EtcdProgram {
  const script = path.join(packageRoot, 'scripts/etcd.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  return { program: stdout.trim(), reason: status === 0 ? '' : stderr.trim() };
}

export interface EtcdProcess {
  readonly child: ChildProcess;
  readonly url: string;
  kill(): Promise<void>;
}

/** Starts an etcd on its data of before, if there are any, and waits until it answers. */
export async function startEtcd(program: string, dataDir: string, port?: number): Promise<EtcdProcess> {
  const client = `http://127.0.0.1:${port ?? (await freePort())}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    program,
    [
      ...['--data-dir', dataDir, '--name', 'one', '--initial-cluster', `one=${peer}`],
      ...['--listen-client-urls', client, '--advertise-client-urls', client],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--log-level', 'error'],
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve());
  });
  for (let tries = 0; !(await answers(client)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error('etcd does not start');
    await sleep(100);
  }
  return {
    child,
    url: client,
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(500) }).catch(() => undefined);
  return answer?.ok === true;
}
