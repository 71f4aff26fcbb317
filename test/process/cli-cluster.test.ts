// A cluster by hand through the real program: coordinator, worker, a run submitted to them, and the model they serve.

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { type StoaProcess, startStoa, stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
let coordinator: StoaProcess;
let worker: StoaProcess;
let address: string;

const at = (name: string): string => path.join(folder, name);
const SMALL = ['--set', 'ials.factors=8', '--set', 'train.epochs=2'];

async function document(args: string[]): Promise<Record<string, unknown>> {
  const outcome = await stoa([...args, '--json']);
  expect(outcome, outcome.stderr).toMatchObject({ exitCode: 0 });
  return JSON.parse(outcome.stdout) as Record<string, unknown>;
}

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 200, items: 40, perUser: 8 });
  expect(await stoa(['data', 'import', csv, '--out', at('dataset')])).toMatchObject({ exitCode: 0 });
  const how = ['--strategy', 'random', '--out', at('split')];
  expect(await stoa(['data', 'split', at('dataset'), ...how])).toMatchObject({ exitCode: 0 });
  coordinator = startStoa(['coordinator', '--listen', '127.0.0.1:0', '--state', at('state'), '--json']);
  address = JSON.parse((await coordinator.saying(/\{.*\}\n/, 'stdout'))[0]).address;
  const joins = ['--coordinator', address, '--name', 'solver', '--threads', '1', '--cache', at('cache')];
  worker = startStoa(['worker', ...joins]);
});
afterAll(async () => {
  worker.child.kill('SIGTERM');
  coordinator.child.kill('SIGTERM');
  await Promise.all([worker.ended, coordinator.ended]);
  await remove();
});

describe('a coordinator and a worker', () => {
  it('train what is submitted, twice without sending the data again, and the files are fetched', async () => {
    const args = ['train', '--data', at('split'), '--coordinator', address, ...SMALL];
    const first = await document([...args, '--out', at('first')]);
    expect(first).toMatchObject({
      users: 200,
      items: 40,
      workers: 1,
      model_dir: path.join(at('first'), 'model'),
    });
    expect(await readdir(at('first'))).toEqual(
      expect.arrayContaining(['model', 'report.html', 'result.json', 'metrics.jsonl']),
    );
    const second = await document([...args, '--out', at('second'), '--set', 'train.seed=2']);
    expect(second['run_id']).not.toBe(first['run_id']);
  });

  it('refuse flags about workers on a run that is submitted', async () => {
    const args = [
      'train',
      '--data',
      at('split'),
      '--coordinator',
      address,
      '--out',
      at('x'),
      '--workers',
      '2',
    ];
    const outcome = await stoa(args);
    expect(outcome.exitCode).toBe(2);
    expect(outcome.stderr).toMatch(/--workers is decided where the workers run/);
  });

  it('list runs and models, promote and roll back, and serve what is promoted', async () => {
    const { runs } = (await document(['runs', 'ls', '--coordinator', address])) as {
      runs: { run: string }[];
    };
    expect(runs).toHaveLength(2);
    expect(await document(['runs', 'show', runs[0]!.run, '--coordinator', address])).toMatchObject({
      state: 'succeeded',
    });
    const where = ['--coordinator', address];
    const { models } = (await document(['model', 'ls', ...where])) as { models: { version: string }[] };
    expect(models).toHaveLength(2);
    const none = await stoa(['recommend', '--server', address, '--user', 'u1']);
    expect(none.exitCode).toBe(1);
    expect(none.stderr).toMatch(/^stoa: .*model/);
    const [newer, older] = models.map(({ version }) => version);
    await document(['model', 'promote', older!, ...where]);
    expect(await document(['recommend', '--server', address, '--user', 'u1'])).toMatchObject({
      reason: 'REASON_PERSONALIZED',
      model_version: older,
    });
    await document(['model', 'promote', newer!, ...where]);
    const similar = await document(['similar', '--server', address, '--item', 'i1', '--limit', '3']);
    expect(similar).toMatchObject({ model_version: newer });
    await document(['model', 'rollback', ...where]);
    const taken = await stoa(['model', 'ls', '--state', at('state')]);
    expect(taken.exitCode).toBe(1);
    expect(taken.stderr).toMatch(/is in use by process \d+.*--coordinator HOST:PORT/);
    const again = await document(['model', 'ls', ...where]);
    expect(
      (again['models'] as { version: string; promoted: boolean }[]).filter(({ promoted }) => promoted),
    ).toMatchObject([{ version: older }]);
  });

  it('answer a recommendation the same over gRPC as the model folder does', async () => {
    const { models } = (await document(['model', 'ls', '--coordinator', address])) as {
      models: { run_id: string; promoted: boolean }[];
    };
    const served = models.find(({ promoted }) => promoted)!;
    await document(['runs', 'fetch', served.run_id, '--coordinator', address, '--out', at('fetched')]);
    const args = ['recommend', '--user', 'u7', '--limit', '5'];
    const [remote, local] = [
      await document([...args, '--server', address]),
      await document([...args, '--model', at('fetched')]),
    ];
    expect(remote['items']).toEqual(local['items']);
  });

  it('names a model and a run that are not there', async () => {
    const model = await stoa(['model', 'promote', 'nothing', '--coordinator', address]);
    expect(model).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/^stoa: .*nothing/) });
    const run = await stoa(['runs', 'show', 'nothing', '--coordinator', address]);
    expect(run).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(/^stoa: .*nothing/) });
  });
});

describe('stoa serve', () => {
  it('answers from a model folder, and leaves with exit code 0 when it is told to', async () => {
    const serving = startStoa([
      'serve',
      '--model',
      at('first'),
      '--listen',
      '127.0.0.1:0',
      '--http',
      '127.0.0.1:0',
      '--json',
    ]);
    const ready = JSON.parse((await serving.saying(/\{.*\}\n/, 'stdout'))[0]);
    expect(await document(['recommend', '--server', ready.address, '--user', 'u3'])).toMatchObject({
      reason: 'REASON_PERSONALIZED',
    });
    const health = await fetch(`http://${ready.http}/healthz`);
    expect(health.status).toBe(200);
    serving.child.kill('SIGTERM');
    expect(await serving.ended).toMatchObject({ exitCode: 0 });
  });
});
