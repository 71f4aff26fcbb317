// What is acknowledged survives: real processes that are killed in the middle of their writes, a disk that does not
// confirm them, a disk that is full. STOA_KILLS sets how many kills.

import { spawn, spawnSync } from 'node:child_process';
import { rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { itemsHash, undisturbed } from '../../bench/faults/kill-coordinator.js';
import { killPhaseWriter } from '../../bench/faults/kill-phase-writer.js';
import { freePort, ProcessCluster } from '../../bench/faults/process-cluster.js';
import { TrainingClient } from '../../client/index.js';
import { builtEntry, packageRoot } from '../../common/package-root.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { temporaryFolder } from '../support/small-data.js';

const KILLS = Number(process.env['STOA_KILLS'] ?? 30);

let folder: string;
let remove: () => Promise<void>;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
});

afterAll(() => remove());

it(`of ${KILLS} kills in the middle of writes none loses a phase that was acknowledged, or mixes two`, async () => {
  const report = await killPhaseWriter({
    folder: path.join(folder, 'writer'),
    kills: KILLS,
    seed: 5,
    lifeMsMax: 120,
  });
  expect(report.acknowledged).toBeGreaterThanOrEqual(KILLS / 2);
}, 300_000);

const shim = path.join(packageRoot, 'test/process/broken-sync.c');
const compiler = spawnSync('cc', ['--version']).status === 0;
const whyNoShim = compiler && process.platform === 'linux' ? '' : ' (skipped: no C compiler, or not Linux)';

describe.skipIf(whyNoShim !== '')(`a disk that does not confirm writes${whyNoShim}`, () => {
  it('ends the process within a second with one sentence and without another acknowledgement', async () => {
    const library = path.join(folder, 'broken-sync.so');
    expect(spawnSync('cc', ['-shared', '-fPIC', '-o', library, shim, '-ldl']).status).toBe(0);
    const broken = path.join(folder, 'sync-is-broken');
    const dir = path.join(folder, 'unconfirmed');
    const first = startWriter(dir, { LD_PRELOAD: library, STOA_BROKEN_SYNC: broken });
    await first.acknowledging(3);
    await writeFile(broken, '');
    const brokenMs = performance.now();
    const acknowledged = first.acknowledged();
    const code = await first.ended;
    expect(performance.now() - brokenMs).toBeLessThan(1500);
    expect(code).toBe(1);
    expect(first.said().trim().split('\n')).toHaveLength(1);
    expect(first.said()).toMatch(/the disk did not confirm .*EIO|the disk did not confirm record \d+/);
    // One may have been on its way when the disk broke.
    expect(first.acknowledged()).toBeLessThanOrEqual(acknowledged + 1);
    await rm(broken);
    const second = startWriter(dir, {});
    await second.acknowledging(first.acknowledged() + 2);
    expect(second.resumed()).toBeGreaterThanOrEqual(first.acknowledged());
    second.kill();
    await second.ended;
  }, 60_000);
});

const mountPoint = path.join('/tmp', `stoa-small-disk-${process.pid}`);
const canMount =
  process.platform === 'linux' &&
  spawnSync('mkdir', ['-p', mountPoint]).status === 0 &&
  spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', mountPoint]).status === 0;
const whyNoDisk = canMount ? '' : ' (skipped: a small tmpfs cannot be mounted, which needs root)';

describe.skipIf(!canMount)(`a full disk${whyNoDisk}`, () => {
  let cluster: ProcessCluster;

  afterEach(async () => {
    await cluster.close();
  });

  afterAll(() => {
    spawnSync('umount', ['-l', mountPoint]);
    spawnSync('rmdir', [mountPoint]);
  });

  it('makes runs wait and refuses new ones, is read from meanwhile, and all goes on when there is room', async () => {
    const dataset = path.join(folder, 'data');
    await writeInteractions(dataset, randomInteractions({ users: 2000, items: 300, perUser: 15 }));
    const settings = { 'ials.factors': 24, 'train.epochs': 60, 'ials.solver': 'cg' };
    const expected = await undisturbed({ folder: path.join(folder, 'calm'), dataset, settings });
    cluster = new ProcessCluster(mountPoint);
    const port = await freePort();
    const client = new TrainingClient({ address: { host: '127.0.0.1', port }, deadlineMs: 30_000 });
    cluster.coordinator(port, '--disk-reserve', '2');
    cluster.worker('w1', [port]);
    await client.listRuns({ isPatient: true });
    const datasetFingerprint = await client.uploadDataset(dataset);
    const runId = await client.submitRun({ datasetFingerprint, config: settings });
    for await (const { epochsDone } of client.watchRun(runId)) if (epochsDone >= 3) break;
    const { bavail, bsize } = await statfs(mountPoint);
    await writeFile(path.join(mountPoint, 'ballast'), Buffer.alloc(bavail * bsize - 1_000_000));
    for await (const { phase, state } of client.watchRun(runId)) {
      expect(state).toBe('RUN_STATE_RUNNING');
      if (phase === 'waiting for room on the disk') break;
    }
    await expect(client.submitRun({ datasetFingerprint, config: settings })).rejects.toMatchObject({
      code: 'STOA_DISK_FULL',
    });
    const paused = await client.getRun(runId);
    await sleep(1500);
    const later = await client.getRun(runId);
    expect(later.epochsDone).toBeLessThanOrEqual(paused.epochsDone + 1);
    expect(later.state).toBe('RUN_STATE_RUNNING');
    await rm(path.join(mountPoint, 'ballast'));
    for await (const { state, error } of client.watchRun(runId)) {
      if (state === 'RUN_STATE_FAILED') throw new Error(error);
    }
    expect(await itemsHash(path.join(cluster.stateDir, 'runs', runId))).toBe(expected);
    client.close();
  }, 180_000);
});

function startWriter(dir: string, env: Record<string, string>) {
  const child = spawn(process.execPath, [fileURLToPath(builtEntry('bench/faults/phase-writer.js')), dir], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => resolve(code));
  });
  const acknowledged = () => Number(stdout.match(/acknowledged (\d+)\n(?!.*acknowledged)/s)?.[1] ?? 0);
  return {
    ended,
    acknowledged,
    resumed: () => Number(/resumed (\d+)/.exec(stdout)?.[1] ?? -1),
    said: () => stderr,
    kill: () => child.kill('SIGKILL'),
    acknowledging: async (phase: number) => {
      while (acknowledged() < phase) {
        if (child.exitCode !== null) throw new Error(`the writer has ended: ${stderr}`);
        await sleep(10);
      }
    },
  };
}
