// Shows the recommend service over a real gRPC connection: answers, refusals with details, health, the end.

import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RecommendClient } from '../../client/recommend-client.js';
import { NotFoundError, StoaError, UsageError } from '../../common/errors.js';
import { channelCredentials } from '../../common/grpc-security.js';
import { services } from '../../common/grpc-services.js';
import { startGrpcServer } from '../../coordinator/grpc-server.js';
import { openModel } from '../../coordinator/registry/model-folder.js';
import { RECOMMEND_SERVICE, recommendService } from '../../coordinator/serving/recommend-service.js';
import { Recommender } from '../../coordinator/serving/recommender.js';
import { startServing } from '../../coordinator/serving/serve.js';
import { ServingHost } from '../../coordinator/serving/serving-host.js';
import { healthOf } from '../support/grpc-health.js';
import { LOOPBACK, type ServingFixture, serveModel } from '../support/serving-fixture.js';
import { smallModel } from '../support/small-model.js';

const contents = smallModel({ users: 80, items: 60, factors: 6 });
let fixture: ServingFixture;
let client: RecommendClient;

beforeAll(async () => {
  fixture = await serveModel(contents);
  client = fixture.client;
});

afterAll(async () => {
  await fixture.close();
  expect(fixture.logged).toEqual([]);
});

async function refusal(promise: Promise<unknown>): Promise<StoaError> {
  const error: unknown = await promise.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StoaError);
  return error as StoaError;
}

describe('the recommend service', () => {
  it('answers each user as the model alone does, in a batch too', async () => {
    const alone = new Recommender(await openModel(fixture.modelDir));
    const expected = await Promise.all(
      contents.userIds.map((userId) =>
        alone.recommend({ userId, limit: 7, excludeItemIds: [], includeSeen: false }),
      ),
    );
    const one = await Promise.all(contents.userIds.map((userId) => client.recommend({ userId, limit: 7 })));
    expect(one).toEqual(expected);
    const batch = await client.batchRecommend(contents.userIds.map((userId) => ({ userId, limit: 7 })));
    expect(batch).toEqual(expected);
  });

  it('mixes limits, exclusions and unknown users in one batch', async () => {
    const [first, second, third] = await client.batchRecommend([
      { userId: '007', limit: 60, includeSeen: true },
      { userId: 'nobody', limit: 3, excludeItemIds: ['007'] },
      { userId: '🎓' },
    ]);
    expect([first!.items.length, second!.items.length, third!.items.length]).toEqual([60, 3, 10]);
    expect([first!.reason, second!.reason, third!.reason]).toEqual([
      'REASON_PERSONALIZED',
      'REASON_POPULAR',
      'REASON_PERSONALIZED',
    ]);
    expect(second!.items.map(({ itemId }) => itemId)).not.toContain('007');
  });

  it('answers similar items without the item itself', async () => {
    const { items, modelVersion } = await client.similarItems({ itemId: 'a,b', limit: 5 });
    expect(items).toHaveLength(5);
    expect(items.map(({ itemId }) => itemId)).not.toContain('a,b');
    expect(modelVersion).toBe('v1');
  });
});

describe('a bad request', () => {
  it.each([
    ['an empty id', { userId: '' }, 'user_id', 'is empty'],
    ['a negative limit', { userId: 'u', limit: -1 }, 'limit', '1 to 1000'],
    ['a limit of a billion', { userId: 'u', limit: 1_000_000_000 }, 'limit', 'maximum'],
    ['an id of a megabyte', { userId: 'x'.repeat(1 << 20) }, 'user_id', 'has 1048576 bytes'],
    ['an empty exclusion', { userId: 'u', excludeItemIds: [''] }, 'exclude_item_ids[0]', 'is empty'],
  ])('with %s is INVALID_ARGUMENT and names the field', async (_, request, field, text) => {
    const error = await refusal(client.recommend(request));
    expect(error).toBeInstanceOf(UsageError);
    expect(error.code).toBe('STOA_USAGE');
    expect(error.fields['field']).toBe(field);
    expect(error.message).toContain(text);
    expect((error.cause as ServiceError).code).toBe(status.INVALID_ARGUMENT);
  });

  it('larger than four megabytes is refused before it is read', async () => {
    const error = await refusal(client.recommend({ userId: 'x'.repeat(5 << 20) }));
    expect((error.cause as ServiceError).code).toBe(status.RESOURCE_EXHAUSTED);
    expect(error.exitCode).toBe(2);
  });

  it('for an unknown item is NOT_FOUND', async () => {
    expect(await refusal(client.similarItems({ itemId: 'no such' }))).toBeInstanceOf(NotFoundError);
  });

  it('with too much metadata is refused', async () => {
    const raw = new services.recommend.v1.RecommendService(
      `127.0.0.1:${fixture.serving.address.port}`,
      channelCredentials('127.0.0.1', {}),
    );
    const { Metadata } = await import('@grpc/grpc-js');
    const large = new Metadata();
    large.set('x-large', 'x'.repeat(9000));
    const many = new Metadata();
    for (let at = 0; at < 40; at++) many.set(`x-${at}`, '1');
    for (const metadata of [large, many]) {
      const error = await new Promise<ServiceError | null>((resolve) => {
        raw.Recommend({ userId: 'u' }, metadata, (reason) => resolve(reason));
      });
      expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
      expect(error?.details).toContain('metadata');
    }
    raw.close();
  });

  it('for a method that is not built yet is UNIMPLEMENTED and says which', async () => {
    const raw = new services.recommend.v1.RecommendService(
      `127.0.0.1:${fixture.serving.address.port}`,
      channelCredentials('127.0.0.1', {}),
    );
    const errors = await Promise.all([
      new Promise<ServiceError | null>((resolve) => raw.Explain({ userId: 'u' }, (error) => resolve(error))),
      new Promise<ServiceError | null>((resolve) => raw.RecordEvents({}, (error) => resolve(error))),
      new Promise<ServiceError | null>((resolve) => raw.ForgetUser({}, (error) => resolve(error))),
    ]);
    expect(errors.map((error) => error?.code)).toEqual([12, 12, 12]);
    expect(errors.map((error) => error?.details.split(' ')[0])).toEqual([
      'Explain',
      'RecordEvents',
      'ForgetUser',
    ]);
    raw.close();
  });
});

describe('a server without a model', () => {
  it('is NOT_SERVING and answers FAILED_PRECONDITION until one is loaded', async () => {
    const host = new ServingHost({ threads: 1 });
    const server = await startGrpcServer({ listen: LOOPBACK, tls: {}, services: [recommendService(host)] });
    host.onModel(() => server.setServing(RECOMMEND_SERVICE, true));
    const caller = new RecommendClient({ address: server.address });
    try {
      expect(await healthOf(server.address, RECOMMEND_SERVICE)).toBe('NOT_SERVING');
      const error = await refusal(caller.recommend({ userId: 'u' }));
      expect(error.code).toBe('STOA_NO_MODEL');
      expect((error.cause as ServiceError).code).toBe(status.FAILED_PRECONDITION);
      host.swap(await openModel(fixture.modelDir));
      expect(await healthOf(server.address, RECOMMEND_SERVICE)).toBe('SERVING');
      expect((await caller.recommend({ userId: '007' })).modelVersion).toBe('v1');
    } finally {
      caller.close();
      await server.close(0);
      await host.close();
    }
  });
});

describe('startServing', () => {
  it('is SERVING when it resolves', async () => {
    expect(await healthOf(fixture.serving.address, RECOMMEND_SERVICE)).toBe('SERVING');
    expect(await healthOf(fixture.serving.address, '')).toBe('SERVING');
  });

  it('refuses a port in use, names it and says what to do', async () => {
    const { port } = fixture.serving.address;
    const error = await refusal(
      startServing({
        model: fixture.modelDir,
        listen: { host: '127.0.0.1', port },
        tls: {},
        log: { error: () => undefined },
      }),
    );
    expect(error.code).toBe('STOA_PORT_IN_USE');
    expect(error.exitCode).toBe(2);
    expect(error.message).toContain(`127.0.0.1:${port} is in use`);
    expect(error.message).toContain('another port');
  });

  it('refuses an address beyond loopback without TLS', async () => {
    const error = await refusal(
      startServing({
        model: fixture.modelDir,
        listen: { host: '0.0.0.0', port: 0 },
        tls: {},
        log: { error: () => undefined },
      }),
    );
    expect(error.message).toContain('--insecure');
  });

  it('answers what is in flight when it closes, and nothing after', async () => {
    const { serving, client: caller, close } = await serveModel(contents);
    const users = Array.from({ length: 300 }, (_, at) => ({ userId: contents.userIds[at % 80]!, limit: 20 }));
    const inFlight = caller.batchRecommend(users);
    await caller.recommend({ userId: '007' });
    const closing = serving.close();
    expect(await inFlight).toHaveLength(300);
    await closing;
    const error = await refusal(caller.recommend({ userId: '007' }, { deadlineMs: 500 }));
    expect(error.code).toBe('STOA_UNREACHABLE');
    await close();
  });
});
