// Shows that promoting another model under load loses no request and mixes no two models in one answer.

import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RecommendClient } from '../../client/recommend-client.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { type LoadedModel, openModel, writeModel } from '../../coordinator/registry/model-folder.js';
import { recommendService } from '../../coordinator/serving/recommend-service.js';
import { Recommender } from '../../coordinator/serving/recommender.js';
import { ServingHost } from '../../coordinator/serving/serving-host.js';
import { LOOPBACK } from '../support/serving-fixture.js';
import { smallModel } from '../support/small-model.js';

const SWAPS = 40;
const CALLERS = 12;

let root: string;
let host: ServingHost;
let server: GrpcServer;
let client: RecommendClient;
const models: LoadedModel[] = [];

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
  // Models of different sizes: a mixture of two would index beyond one of them.
  for (const [version, seed, items, factors] of [
    ['a', 1, 50, 4],
    ['b', 2, 400, 16],
    ['c', 3, 20, 8],
  ] as const) {
    const dir = path.join(root, version);
    await writeModel(dir, smallModel({ version, seed, items, factors, users: 40, emptyRows: [] }));
    models.push(await openModel(dir));
  }
  host = new ServingHost({ threads: 2 });
  host.swap(models[0]!);
  server = await startGrpcServer({ listen: LOOPBACK, tls: {}, services: [recommendService(host)] });
  client = new RecommendClient({ address: server.address });
});

afterAll(async () => {
  client.close();
  await server.close();
  await host.close();
  await rm(root, { recursive: true });
});

it('no request fails while models are swapped, and each is answered by one model alone', async () => {
  const expected = new Map<string, unknown>();
  for (const model of models) {
    const alone = new Recommender(model);
    for (const userId of model.userIds) {
      const answer = await alone.recommend({ userId, limit: 15, excludeItemIds: [], includeSeen: false });
      expected.set(`${model.version} ${userId}`, answer);
    }
  }
  let isOver = false;
  const versions = new Map<string, number>();
  const caller = async (start: number) => {
    for (let at = start; !isOver; at++) {
      const userId = models[0]!.userIds[at % 40]!;
      const other = models[0]!.userIds[(at + 7) % 40]!;
      const answers = await client.batchRecommend([
        { userId, limit: 15 },
        { userId: other, limit: 15 },
      ]);
      expect(answers[0]!.modelVersion).toBe(answers[1]!.modelVersion);
      expect(answers[0]).toEqual(expected.get(`${answers[0]!.modelVersion} ${userId}`));
      expect(answers[1]).toEqual(expected.get(`${answers[1]!.modelVersion} ${other}`));
      versions.set(answers[0]!.modelVersion, (versions.get(answers[0]!.modelVersion) ?? 0) + 1);
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, at) => caller(at * 3));
  for (let swap = 1; swap <= SWAPS; swap++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    host.swap(models[swap % models.length]!);
  }
  isOver = true;
  await Promise.all(callers);
  expect([...versions.keys()].sort()).toEqual(['a', 'b', 'c']);
});
