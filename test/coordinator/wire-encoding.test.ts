// Rows that travel as bfloat16: everyone has the same ones, whichever way they went. Over real sockets.

import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { roundToBfloat16 } from '../../common/bfloat16.js';
import { decodeRows } from '../../common/row-chunks.js';
import { parseRunConfig } from '../../coordinator/plan/run-config.js';
import { type LoadedModel, openModel } from '../../coordinator/registry/model-folder.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const SETTINGS = { 'ials.factors': 12, 'train.epochs': 4, 'ials.solver': 'cg', 'train.wire': 'bf16' };

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster | undefined;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 400, items: 160, perUser: 10 }),
  );
});

afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
  await remove();
});

async function train(
  name: string,
  fleet: { workers: number; transfer?: 'auto' | 'grpc' | 'mixed' },
  settings: Record<string, unknown> = SETTINGS,
): Promise<LoadedModel> {
  cluster = await TrainingCluster.start(path.join(folder, name));
  const run = { dataset: path.join(folder, 'data'), runDir: path.join(folder, name, 'run'), settings };
  const { model } = await cluster.train(run, fleet);
  await cluster.close();
  cluster = undefined;
  return model;
}

describe('a run that sends rows as bfloat16', () => {
  it('has the same bytes for any number of workers, over gRPC, through memory and mixed', async () => {
    const alone = await train('alone', { workers: 1, transfer: 'grpc' });
    for (const transfer of ['auto', 'grpc', 'mixed'] as const) {
      const model = await train(transfer, { workers: 3, transfer });
      expect(model.userFactors).toEqual(alone.userFactors);
      expect(model.itemFactors).toEqual(alone.itemFactors);
    }
    const rounded = alone.itemFactors.slice();
    roundToBfloat16(rounded);
    expect(alone.itemFactors).toEqual(rounded);
  });

  it('has them with its rows in parameter processes too', async () => {
    const here = await train('here', { workers: 1 });
    cluster = await TrainingCluster.start(path.join(folder, 'there'), { parameters: 2 });
    for (const name of ['p1', 'p2']) cluster.addParameters(name);
    const run = { dataset: path.join(folder, 'data'), runDir: path.join(folder, 'b'), settings: SETTINGS };
    const runId = await cluster.submit({ ...run, expectedWorkers: 2 });
    cluster.addWorker();
    cluster.addWorker();
    await cluster.coordinator.result(runId);
    const there = await openModel(path.join(folder, 'b'));
    expect(there.userFactors).toEqual(here.userFactors);
    expect(there.itemFactors).toEqual(here.itemFactors);
  });

  it('learns nearly what f32 learns, and not the same', async () => {
    const rounded = await train('bf16', { workers: 1 });
    const exact = await train('f32', { workers: 1 }, { ...SETTINGS, 'train.wire': 'f32' });
    let [difference, size] = [0, 0];
    for (let n = 0; n < exact.itemFactors.length; n++) {
      difference += (exact.itemFactors[n]! - rounded.itemFactors[n]!) ** 2;
      size += exact.itemFactors[n]! ** 2;
    }
    const relative = Math.sqrt(difference / size);
    expect(relative).toBeGreaterThan(0);
    expect(relative).toBeLessThan(0.02);
  });

  it('sends half the bytes, of the very rows that f32 would send', async () => {
    cluster = await TrainingCluster.start(path.join(folder, 'pull'));
    const worker = new RawWorker(cluster.coordinator.address);
    await worker.register();
    const run = { dataset: path.join(folder, 'data'), runDir: path.join(folder, 'c'), settings: SETTINGS };
    const runId = await cluster.submit(run);
    await worker.lease(1);
    expect((await worker.spec(runId)).rowsEncoding).toBe('ROWS_ENCODING_BF16');
    const wanted = { runId, side: 'SIDE_ITEMS' as const, clock: 0 };
    const [whole] = await worker.pull(wanted);
    const [half] = await worker.pull({ ...wanted, encoding: 'ROWS_ENCODING_BF16' });
    expect(2 * half!.chunk!.rows.length).toBe(whole!.chunk!.rows.length);
    expect(decodeRows(half!.chunk!, 12)).toEqual(decodeRows(whole!.chunk!, 12));
    worker.close();
  });
});

it.each(['bpr', 'mf'])('%s, whose steps bfloat16 would lose, is refused it', (model) => {
  expect(() => parseRunConfig({ model, 'train.wire': 'bf16' })).toThrow(/train\.wire: .*bpr and mf/);
});
