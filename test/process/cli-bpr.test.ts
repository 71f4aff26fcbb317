// bpr from the command line to recommendations: the model folder says what its columns are, and serves like any other.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nativeDevice } from '../../worker/devices/native.js';
import { temporaryFolder, writeSmallCsv } from '../support/small-data.js';
import { stoa } from '../support/stoa-process.js';

let folder: string;
let remove: () => Promise<void>;
let user: string;
let item: string;
const at = (name: string): string => path.join(folder, name);

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  const csv = await writeSmallCsv(folder, { users: 200, items: 40, perUser: 8 });
  [user, item] = (await readFile(csv, 'utf8')).split('\n')[1]!.split(',') as [string, string];
  expect(await stoa(['data', 'import', csv, '--out', at('dataset')])).toMatchObject({ exitCode: 0 });
  const how = ['--strategy', 'random', '--out', at('split')];
  expect(await stoa(['data', 'split', at('dataset'), ...how])).toMatchObject({ exitCode: 0 });
});

afterAll(() => remove());

async function document(args: string[]): Promise<Record<string, unknown>> {
  const outcome = await stoa([...args, '--json']);
  expect(outcome, outcome.stderr).toMatchObject({ exitCode: 0 });
  return JSON.parse(outcome.stdout) as Record<string, unknown>;
}

it('trains, is measured, recommends and finds similar items', async () => {
  const settings = ['model=bpr', 'bpr.factors=6', 'train.epochs=3', 'train.steps=4', 'train.sync=ssp:1'];
  const flags = settings.flatMap((setting) => ['--set', setting]);
  const result = await document([
    'train',
    '--data',
    at('split'),
    '--out',
    at('run'),
    '--workers',
    '2',
    ...flags,
  ]);
  expect(result).toMatchObject({ model: 'bpr', factors: 6, epochs: 3, solver: 'sgd', sync: 'ssp:1' });
  expect(result['staleness']).toEqual(expect.arrayContaining([expect.any(Number)]));
  expect(result['metrics']).toHaveProperty('baselines.popular');
  const manifest = JSON.parse(await readFile(at('run/model/model.json'), 'utf8'));
  expect(manifest.layout).toEqual({ factors: 6, user_columns: ['one'], item_columns: ['bias'] });
  expect(manifest.counts.factors).toBe(7);
  const report = await readFile(at('run/report.html'), 'utf8');
  expect(report).toContain('Staleness of reads');

  const { metrics } = await document(['eval', at('run'), '--data', at('split')]);
  expect(metrics).toMatchObject({ 'recall@20': (result['metrics'] as Record<string, number>)['recall@20'] });
  const { items } = await document(['recommend', '--model', at('run'), '--user', user, '--limit', '5']);
  expect(items).toHaveLength(5);
  const alike = await document(['similar', '--model', at('run'), '--item', item, '--limit', '3']);
  expect(alike['items']).toHaveLength(3);
  expect(await stoa(['resume', at('run')])).toMatchObject({ exitCode: 1 });
});

it('says what did the steps, where the device has no kernels for them', async () => {
  const isNative = (await nativeDevice.probe()).ok;
  const settings = ['--set', 'model=bpr', '--set', 'bpr.factors=6', '--set', 'train.epochs=1'];
  const train = async (device: string) =>
    document(['train', '--data', at('split'), '--out', at(`on-${device}`), '--device', device, ...settings]);
  const named = await train('tfjs:cpu');
  expect(named['device']).toBe(isNative ? 'native' : 'portable');
  expect(named['device_detail']).toEqual([expect.objectContaining({ device: named['device'] })]);
  expect(await train('portable')).toMatchObject({ device: 'portable' });
  if (!isNative) return;
  // Beside a device without kernels or in its place: the same kernels, the same bits.
  const bytes = (name: string) => readFile(at(`${name}/model/factors.safetensors`));
  expect(await train('native')).toMatchObject({ device: 'native' });
  const tables = async (name: string) => (await bytes(name)).subarray(-7 * 240 * 4);
  expect((await tables('on-tfjs:cpu')).equals(await tables('on-native'))).toBe(true);
  expect((await tables('on-portable')).equals(await tables('on-native'))).toBe(false);
}, 180_000);

it('is refused where a GPU is required', async () => {
  const args = ['train', '--data', at('split'), '--out', at('none'), '--device', 'portable', '--require-gpu'];
  const outcome = await stoa([...args, '--set', 'model=bpr']);
  expect(outcome.exitCode).toBe(1);
  expect(outcome.stderr).toContain('no kernels for GPUs');
});

it('is refused for a setting that its mode does not have, with what is known', async () => {
  const args = ['train', '--data', at('split'), '--out', at('none')];
  const outcome = await stoa([...args, '--set', 'model=bpr', '--set', 'train.sync=sometimes']);
  expect(outcome.exitCode).toBe(2);
  expect(outcome.stderr).toContain('must be bsp, ssp:S');
});
