// The way of a model through the real program: train, stop, resume, compare, recommend, export; no process is left.

import { mkdtemp, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { childrenOf, isAlive, untilGone } from '../support/child-processes.js';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { startStoa, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
let split: string;

const SMALL = ['--set', 'ials.factors=8', '--set', 'train.epochs=3', '--threads', '1'];
/** Long enough to be interrupted. */
const LONG = ['--set', 'ials.factors=96', '--set', 'train.epochs=150', '--threads', '1'];

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 300, items: 60, perUser: 9 });
  split = at('split');
  expect(await stoa(['data', 'import', csv, '--out', at('dataset')])).toMatchObject({ exitCode: 0 });
  const how = ['--strategy', 'leave-last-out', '--out', split];
  expect(await stoa(['data', 'split', at('dataset'), ...how])).toMatchObject({ exitCode: 0 });
});
afterAll(() => remove());

const at = (name: string): string => path.join(folder, name);

async function itemFactors(run: string): Promise<Buffer> {
  const out = await mkdtemp(`${run}-npy-`);
  expect(await stoa(['export', run, '--format', 'npy', '--out', out])).toMatchObject({ exitCode: 0 });
  return readFile(path.join(out, 'item_factors.npy'));
}

describe('stoa train', () => {
  it('answers one document with --json, with the fixed fields', async () => {
    const outcome = await stoa([
      'train',
      '--data',
      split,
      '--out',
      at('a'),
      ...SMALL,
      '--set',
      'train.loss=true',
      '--json',
    ]);
    expect(outcome.stderr).not.toMatch(/stoa: /);
    const result = JSON.parse(outcome.stdout);
    expect(result).toMatchObject({
      model: 'ials',
      users: 300,
      items: 60,
      interactions: 300 * 8,
      factors: 8,
      epochs: 3,
      solver: 'cholesky',
      device: expect.stringMatching(/^(native|portable)$/),
      workers: 2,
      threads: 1,
      seed: 1,
      synthetic: false,
    });
    expect(result.device_detail).toMatchObject([{ device: result.device, threads: 1, software: false }]);
    expect(result.epoch_seconds).toHaveLength(3);
    expect(result.loss).toHaveLength(3);
    expect(result.seconds_total).toBeGreaterThan(0);
    expect(result.peak_rss_bytes).toBeGreaterThan(5e7);
    expect(result.metrics['ndcg@100']).toBeGreaterThan(0);
    expect(result.metrics.baselines.popular['recall@20']).toBeGreaterThanOrEqual(0);
  });

  it('says in words how long, how much memory, how good, where, and what next', async () => {
    // Long enough for a status to be seen between its start and its end.
    const settings = ['--set', 'ials.factors=96', '--set', 'train.epochs=40', '--threads', '1'];
    const { exitCode, stdout, stderr } = await stoa([
      'train',
      '--data',
      split,
      '--out',
      at('b'),
      ...settings,
    ]);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/an epoch/);
    expect(stdout).toMatch(/peak memory: .*coordinator.* MB, worker-1 .* MB, worker-2 .* MB/s);
    expect(stdout).toMatch(/^ +ials +[01]\.\d{4}/m);
    expect(stdout).toMatch(/^ +popular +[01]\.\d{4}/m);
    expect(stdout).toMatch(/^ +item-kNN +[01]\.\d{4}/m);
    expect(stdout).toContain(path.join(at('b'), 'report.html'));
    expect(stdout).toContain(`stoa recommend --model ${at('b')}`);
    expect(stderr).toMatch(/epoch \d+\/40/);
    expect(stderr).toMatch(/^computes on \w+.*: .*, 1 thread, .*each of 2 workers \(.+\)$/m);
  });

  it('says nothing but its answer with --quiet', async () => {
    const { stderr } = await stoa(['train', '--data', split, '--out', at('q'), ...SMALL, '--quiet']);
    expect(stderr).toBe('');
  });

  it('makes a checkpoint on Ctrl-C, exits 130, and resumes to the bytes of a run that was not stopped', async () => {
    const whole = await stoa(['train', '--data', split, '--out', at('whole'), ...LONG, '--quiet']);
    expect(whole.exitCode).toBe(0);
    const stopped = startStoa(['train', '--data', split, '--out', at('stopped'), ...LONG]);
    await stopped.saying(/epoch \d+\/150/);
    const workers = childrenOf(stopped.child.pid!);
    expect(workers).toHaveLength(2);
    stopped.child.kill('SIGINT');
    const { exitCode, stderr } = await stopped.ended;
    expect(exitCode).toBe(130);
    expect(stderr).toMatch(
      /stoa: stopped after \d+ of 150 epochs; go on with: stoa resume .*stopped --workers 2\n/,
    );
    expect(workers.filter(isAlive)).toEqual([]);
    const resumed = await stoa(['resume', at('stopped'), '--workers', '1', '--quiet']);
    expect(resumed.exitCode).toBe(0);
    expect((await itemFactors(at('stopped'))).equals(await itemFactors(at('whole')))).toBe(true);
  });

  it('refuses to resume a run that another process trains, names that, and does not disturb it', async () => {
    const run = startStoa(['train', '--data', split, '--out', at('busy'), ...LONG]);
    await run.saying(/epoch \d+\/150/);
    const second = await stoa(['resume', at('busy'), '--quiet']);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(new RegExp(`is in use by process ${run.child.pid} on `));
    const before = run.said().stderr.length;
    await run.saying(new RegExp(`^[^]{${before}}[^]*epoch \\d+/150`));
    run.child.kill('SIGINT');
    expect((await run.ended).exitCode).toBe(130);
  });

  it('ends at once on a second Ctrl-C, and takes its workers along', async () => {
    const run = startStoa(['train', '--data', split, '--out', at('twice'), ...LONG]);
    await run.saying(/epoch \d+\/150/);
    const workers = childrenOf(run.child.pid!);
    run.child.kill('SIGINT');
    run.child.kill('SIGINT');
    const { exitCode } = await run.ended;
    expect(exitCode).toBe(130);
    await untilGone(workers, 5000);
  });

  it('leaves no worker behind when it is killed', async () => {
    const run = startStoa(['train', '--data', split, '--out', at('killed'), ...LONG]);
    await run.saying(/epoch \d+\/150/);
    const workers = childrenOf(run.child.pid!);
    expect(workers).toHaveLength(2);
    run.child.kill('SIGKILL');
    await run.ended;
    await untilGone(workers, 10_000);
  });

  it('starts a worker again that was killed, and ends with the same bytes', async () => {
    const run = startStoa(['train', '--data', split, '--out', at('hurt'), ...LONG]);
    await run.saying(/epoch \d+\/150/);
    process.kill(childrenOf(run.child.pid!)[0]!, 'SIGKILL');
    const { exitCode, stderr } = await run.ended;
    expect(stderr).toMatch(/worker-\d is gone \(SIGKILL\); starting another/);
    expect(exitCode).toBe(0);
    expect((await itemFactors(at('hurt'))).equals(await itemFactors(at('whole')))).toBe(true);
  });
});

describe('what was trained', () => {
  it('is measured by eval as by train', async () => {
    const trained = JSON.parse(await readFile(path.join(at('a'), 'result.json'), 'utf8'));
    const { exitCode, stdout } = await stoa(['eval', at('a'), '--data', split, '--json']);
    expect(exitCode).toBe(0);
    const evaluated = JSON.parse(stdout);
    expect(evaluated.metrics['ndcg@10']).toBeCloseTo(trained.metrics['ndcg@10'], 12);
    expect(evaluated.baselines.popular['hr@10']).toBeCloseTo(trained.metrics.baselines.popular['hr@10'], 12);
  });

  it('is listed, shown and compared', async () => {
    const listed = JSON.parse((await stoa(['runs', 'ls', folder, '--json'])).stdout);
    const names = listed.runs.map(({ run }: { run: string }) => run);
    expect(names).toEqual(expect.arrayContaining([at('a'), at('b')]));
    expect((await stoa(['runs', 'show', at('a')])).stdout).toMatch(/ials\.factors +8/);
    const { stdout } = await stoa(['runs', 'diff', at('a'), at('whole')]);
    expect(stdout).toMatch(/^ials\.factors +8 +96$/m);
  });

  it('recommends what the user has not taken, and tells an unknown user so', async () => {
    const known = JSON.parse(
      (await stoa(['recommend', '--model', at('a'), '--user', 'u1', '--json'])).stdout,
    );
    expect(known.reason).toBe('REASON_PERSONALIZED');
    expect(known.items).toHaveLength(10);
    const unknown = await stoa(['recommend', '--model', at('a'), '--user', 'nobody', '--limit', '3']);
    expect(unknown.stdout).toMatch(/^nobody: popular items: the user is unknown/);
  });

  it('is planned before: blocks, memory and traffic', async () => {
    const { exitCode, stdout } = await stoa(['plan', '--data', split, '--workers', '3', '--json']);
    expect(exitCode).toBe(0);
    const plan = JSON.parse(stdout);
    expect(plan).toMatchObject({ users: 300, items: 60, workers: 3 });
    expect(plan.estimates.workerBytes).toBeGreaterThan(1e7);
    expect((await stoa(['plan', '--data', split])).stdout).toMatch(/memory +coordinator .* each worker/);
  });
});
