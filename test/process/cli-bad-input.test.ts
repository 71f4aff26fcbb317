// Bad input through the real program: one sentence that says what and where, the right exit code, nothing left behind.

import { execFileSync } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { type StoaOutcome, startStoa, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
/** Paths of a good dataset and a good run, never changed. */
let dataset: string;
let run: string;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 60, items: 30, perUser: 6 });
  dataset = path.join(folder, 'dataset');
  run = path.join(folder, 'run');
  const imported = await stoa(['data', 'import', csv, '--out', dataset]);
  expect(imported).toMatchObject({ exitCode: 0 });
  const settings = ['--set', 'ials.factors=8', '--set', 'train.epochs=1'];
  expect(await stoa(['train', '--data', dataset, '--out', run, ...settings])).toMatchObject({ exitCode: 0 });
});
afterAll(() => remove());

function expectRefusal(outcome: StoaOutcome, exitCode: number, ...parts: (string | RegExp)[]): void {
  expect(outcome.stderr).toMatch(/^stoa: [^\n]+\n$/);
  for (const part of parts) expect(outcome.stderr).toMatch(part);
  expect(outcome.stderr).not.toMatch(/unexpected error|\n\s+at /);
  expect(outcome.stdout).toBe('');
  expect(outcome.exitCode).toBe(exitCode);
}

/** A folder of its own for a test, with what it must still hold afterwards. */
async function workplace(name: string): Promise<{ dir: string; entries: () => Promise<string[]> }> {
  const dir = path.join(folder, name);
  await mkdir(dir);
  return { dir, entries: () => readdir(dir) };
}

/** Flips one bit in the middle of a file. */
async function damage(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  await writeFile(file, bytes);
}

describe('an import', () => {
  it('names a file that is not there', async () => {
    const { dir, entries } = await workplace('no-file');
    const outcome = await stoa(['data', 'import', `${dir}/none.csv`, '--out', `${dir}/out`]);
    expectRefusal(outcome, 2, /none\.csv/);
    expect(await entries()).toEqual([]);
  });

  it('names the columns it found when it lacks one', async () => {
    const { dir, entries } = await workplace('columns');
    await writeFile(`${dir}/in.csv`, 'learner_name,course_code\nana,c1\n');
    const outcome = await stoa([
      'data',
      'import',
      `${dir}/in.csv`,
      '--out',
      `${dir}/out`,
      '--user-col',
      'learner',
    ]);
    expectRefusal(outcome, 2, /"?learner"?/, /learner_name/);
    expect(await entries()).toEqual(['in.csv']);
  });

  it('stops at more bad rows than allowed, with file and line, and keeps only the list of them', async () => {
    const { dir, entries } = await workplace('bad-rows');
    const rows = Array.from({ length: 50 }, (_, n) => `u${n},i${n % 5},${n % 10 === 3 ? 'much' : '1'}`);
    await writeFile(`${dir}/in.csv`, `user_id,item_id,value\n${rows.join('\n')}\n`);
    const outcome = await stoa([
      'data',
      'import',
      `${dir}/in.csv`,
      '--out',
      `${dir}/out`,
      '--value-col',
      'value',
    ]);
    expectRefusal(outcome, 2, /in\.csv/, /--max-bad/, /\b5\b/, /out\.rejects\.csv/);
    expect((await entries()).sort()).toEqual(['in.csv', 'out.rejects.csv']);
  });

  it('leaves an existing folder as it is', async () => {
    const { dir } = await workplace('existing');
    await mkdir(`${dir}/out`);
    await writeFile(`${dir}/out/precious.txt`, 'mine');
    const csv = path.join(folder, 'interactions.csv');
    const outcome = await stoa(['data', 'import', csv, '--out', `${dir}/out`]);
    expectRefusal(outcome, 2, /existing\/out already exists/);
    expect(await readFile(`${dir}/out/precious.txt`, 'utf8')).toBe('mine');
    expect(await readdir(`${dir}/out`)).toEqual(['precious.txt']);
  });
});

describe('a training', () => {
  it('names a dataset that is not there, and makes no run', async () => {
    const { dir, entries } = await workplace('no-dataset');
    const outcome = await stoa(['train', '--data', `${dir}/none`, '--out', `${dir}/run`]);
    expectRefusal(outcome, 2, /no-dataset\/none/);
    expect(await entries()).toEqual([]);
  });

  it('refuses an --out that exists, before anything else', async () => {
    const { dir } = await workplace('old-run');
    await writeFile(`${dir}/precious.txt`, 'mine');
    expectRefusal(await stoa(['train', '--data', dataset, '--out', dir]), 2, /old-run already exists/);
    expect(await readdir(dir)).toEqual(['precious.txt']);
  });

  it('never trains on a dataset with a flipped bit, and names the file', async () => {
    const { dir } = await workplace('flipped');
    await cp(dataset, `${dir}/dataset`, { recursive: true });
    const [shard] = await readdir(`${dir}/dataset/by-user`);
    await damage(`${dir}/dataset/by-user/${shard}`);
    const outcome = await stoa(['train', '--data', `${dir}/dataset`, '--out', `${dir}/run`, '--json']);
    expect(JSON.parse(outcome.stdout)).toMatchObject({ error: { code: 'STOA_CHECKSUM', exit_code: 2 } });
    expect(outcome.stderr).toMatch(new RegExp(`by-user/${shard}`));
    expect(outcome.exitCode).toBe(2);
  });

  it('refuses a dataset that is half there', async () => {
    const { dir, entries } = await workplace('half');
    await mkdir(`${dir}/dataset`);
    await cp(`${dataset}/manifest.json`, `${dir}/dataset/manifest.json`);
    const outcome = await stoa(['train', '--data', `${dir}/dataset`, '--out', `${dir}/run`]);
    expectRefusal(outcome, 2, /half\/dataset/);
    expect((await entries()).includes('dataset')).toBe(true);
  });

  it('names an unknown device', async () => {
    const { dir } = await workplace('device');
    const outcome = await stoa(['train', '--data', dataset, '--out', `${dir}/run`, '--device', 'protable']);
    expectRefusal(outcome, 2, /protable/, /did you mean "portable"/);
  });

  it('says that a coordinator does not answer', async () => {
    const { dir, entries } = await workplace('unreachable');
    const args = ['train', '--data', dataset, '--out', `${dir}/run`, '--coordinator', '127.0.0.1:1'];
    expectRefusal(await stoa(args), 1, /127\.0\.0\.1:1/);
    expect(await entries()).toEqual([]);
  });

  it('refuses to talk beyond this machine without TLS', async () => {
    const args = ['train', '--data', dataset, '--out', `${folder}/x`, '--coordinator', '192.0.2.1:7070'];
    expectRefusal(await stoa(args), 2, /192\.0\.2\.1/, /--insecure/);
  });
});

describe('a model', () => {
  it('is refused with a flipped bit, and the file is named', async () => {
    const { dir } = await workplace('flipped-model');
    await cp(`${run}/model`, `${dir}/model`, { recursive: true });
    await damage(`${dir}/model/factors.safetensors`);
    const outcome = await stoa(['recommend', '--model', `${dir}/model`, '--user', 'u1']);
    expectRefusal(outcome, 2, /factors\.safetensors/);
  });

  it('is refused with another schema version', async () => {
    const { dir } = await workplace('other-version');
    await cp(`${run}/model`, `${dir}/model`, { recursive: true });
    const manifest = JSON.parse(await readFile(`${dir}/model/model.json`, 'utf8')) as {
      schemaVersion: number;
    };
    await writeFile(`${dir}/model/model.json`, JSON.stringify({ ...manifest, schemaVersion: 999 }));
    expectRefusal(await stoa(['recommend', '--model', `${dir}/model`, '--user', 'u1']), 2, /999/);
  });

  it('is looked for, and its absence said', async () => {
    expectRefusal(await stoa(['recommend', '--model', `${folder}/none`, '--user', 'u1']), 2, /none/);
    expectRefusal(await stoa(['export', dataset, '--format', 'npy', '--out', `${folder}/npy`]), 2, /dataset/);
  });

  it('does not know an item that was not in the data', async () => {
    expectRefusal(await stoa(['similar', '--model', run, '--item', 'nothing']), 2, /"nothing"/);
  });
});

describe('a port that is taken', () => {
  let taken: Server;
  let address: string;
  beforeAll(async () => {
    taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen(0, '127.0.0.1', resolve);
    });
    address = `127.0.0.1:${(taken.address() as { port: number }).port}`;
  });
  afterAll(() => {
    taken.close();
  });

  it('is named by stoa serve and stoa coordinator, which end', async () => {
    expectRefusal(await stoa(['serve', '--model', run, '--listen', address]), 2, new RegExp(address));
    const coordinator = await stoa([
      'coordinator',
      '--listen',
      address,
      '--state',
      `${folder}/state`,
      '--quiet',
    ]);
    expect(coordinator.stderr).toMatch(new RegExp(`stoa: .*${address}`));
    expect(coordinator.exitCode).toBe(2);
  });
});

const canMount = process.platform === 'linux' && os.userInfo().uid === 0 && mountWorks();

describe.skipIf(!canMount)('a full disk (needs root, to mount a small tmpfs)', () => {
  let small: string;
  beforeAll(async () => {
    small = path.join(folder, 'small-disk');
    await mkdir(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96k', 'tmpfs', small]);
  });
  afterAll(() => {
    execFileSync('umount', ['-l', small]);
  });

  it('ends an import, and nothing half-written stays', async () => {
    const csv = await writeSmallCsv(folder, { users: 3000, items: 400, perUser: 20 });
    const outcome = await stoa(['data', 'import', csv, '--out', `${small}/dataset`, '--quiet']);
    expectRefusal(outcome, 1, /no space left/i, /small-disk/);
    expect(await readdir(small)).toEqual([]);
  });

  it('makes a training wait and say so, with --quiet too; ended then, it leaves no half-written model', async () => {
    const settings = ['--set', 'ials.factors=256', '--set', 'train.epochs=1'];
    const args = ['train', '--data', dataset, '--out', `${small}/run`, ...settings, '--quiet'];
    const training = startStoa(args, { timeoutMs: 40_000 });
    await training.saying(/are free on the disk of .*small-disk.*; waiting until there is room/);
    training.child.kill('SIGTERM');
    const outcome = await training.ended;
    expect(outcome.stderr).toMatch(/stopped after 0 of 1 epochs/);
    expect(outcome.exitCode).not.toBe(0);
    expect(await readdir(`${small}/run`)).not.toContain('model');
  });
});

function mountWorks(): boolean {
  try {
    const probe = path.join(os.tmpdir(), `stoa-mount-${process.pid}`);
    execFileSync('mkdir', ['-p', probe]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', ['-l', probe]);
    execFileSync('rmdir', [probe]);
    return true;
  } catch {
    return false;
  }
}
