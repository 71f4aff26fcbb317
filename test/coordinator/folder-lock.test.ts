// One process at a time works in a folder; what a dead one left does not bind anybody.

import { spawn } from 'node:child_process';
import { readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lockFolder } from '../../coordinator/journal/folder-lock.js';
import { startOf } from '../../coordinator/journal/process-identity.js';
import { temporaryFolder } from '../support/small-data.js';

let folder: string;
let remove: () => Promise<void>;
const lockFile = () => path.join(folder, '.lock');

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
});

afterEach(() => remove());

/** Takes the lock, then changes what it says of its holder. */
async function leftBy(change: Record<string, unknown>): Promise<void> {
  await lockFolder(folder, 'run x');
  const lock = JSON.parse(await readFile(lockFile(), 'utf8'));
  await writeFile(lockFile(), JSON.stringify({ ...lock, ...change }));
}

it('a lock that is held is refused, and the process that holds it is named', async () => {
  const lock = await lockFolder(folder, 'run x');
  await expect(lockFolder(folder, 'run x')).rejects.toMatchObject({
    code: 'STOA_LOCKED',
    message: expect.stringContaining(`run x is in use by process ${process.pid} on `),
    fields: { pid: process.pid },
  });
  await lock.release();
  await (await lockFolder(folder, 'run x')).release();
});

it('of many that ask at once exactly one gets the lock', async () => {
  await leftBy({ pid: await deadPid() });
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder, 'run x')));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

it('a lock of a process that is dead, or of another that had its number, is taken over', async () => {
  await leftBy({ pid: await deadPid() });
  await (await lockFolder(folder, 'run x')).release();
  // Process 1 lives, and did not start when the lock says.
  await leftBy({ pid: 1, started: `${Number(startOf(1)) + 1}` });
  await (await lockFolder(folder, 'run x')).release();
  await writeFile(lockFile(), 'half a lo');
  await (await lockFolder(folder, 'run x')).release();
});

it('a lock of another machine binds as long as it is renewed', async () => {
  await leftBy({ host: 'elsewhere', boot: 'another' });
  const renewal = setInterval(() => {
    utimes(lockFile(), new Date(), new Date()).catch(() => {});
  }, 500);
  await expect(lockFolder(folder, 'run x')).rejects.toMatchObject({ fields: { host: 'elsewhere' } });
  clearInterval(renewal);
});

it('an elected leader takes the lock of one that may be frozen, whose release then changes nothing', async () => {
  const frozen = await lockFolder(folder, 'the state');
  const taken = await lockFolder(folder, 'the state', { force: true });
  await frozen.release();
  await expect(lockFolder(folder, 'the state')).rejects.toMatchObject({ code: 'STOA_LOCKED' });
  await taken.release();
});

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await new Promise((resolve) => {
    child.on('close', resolve);
  });
  return child.pid!;
}
