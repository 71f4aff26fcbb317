// Shows that REST gives the answers of gRPC, and refuses with {code, message, field}.

import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../common/errors.js';
import { startRestServer } from '../../coordinator/serving/rest-server.js';
import { ServingHost } from '../../coordinator/serving/serving-host.js';
import { LOOPBACK, type ServingFixture, serveModel } from '../support/serving-fixture.js';
import { HARD_IDS, smallModel } from '../support/small-model.js';

interface Answer {
  items: { item_id: string; score: number; title: string; category: string }[];
  reason: string;
  model_version: string;
  is_control: boolean;
}

let fixture: ServingFixture;
let base: string;

beforeAll(async () => {
  fixture = await serveModel(smallModel({ users: 40, items: 30, factors: 6 }));
  base = `http://127.0.0.1:${fixture.serving.httpAddress!.port}`;
});

afterAll(async () => {
  await fixture.close();
  expect(fixture.logged).toEqual([]);
});

async function get(path: string): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(base + path);
  return { status: response.status, body: await response.json(), headers: response.headers };
}

async function post(path: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await fetch(base + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

describe('answers', () => {
  it('are those of gRPC, for every id that can be percent-encoded', async () => {
    for (const userId of [...HARD_IDS, 'a/b//c?d#e&f=g%2F', 'nobody']) {
      const { status, body } = await get(`/v1/recommendations/${encodeURIComponent(userId)}?limit=4`);
      const { items, reason, modelVersion, isControl } = await fixture.client.recommend({ userId, limit: 4 });
      expect(status).toBe(200);
      expect(body).toEqual({
        items: items.map(({ itemId, score, title, category }) => ({
          item_id: itemId,
          score,
          title,
          category,
        })),
        reason,
        model_version: modelVersion,
        is_control: isControl,
      } satisfies Answer);
    }
  });

  it('of all three ways of asking agree', async () => {
    const query = '?limit=5&exclude_item_ids=007&exclude_item_ids=a%2Cb&include_seen=true';
    const request = { user_id: 'a,b', limit: 5, exclude_item_ids: ['007', 'a,b'], include_seen: true };
    const one = await get(`/v1/recommendations/a%2Cb${query}`);
    expect((one.body as Answer).items.map(({ item_id }) => item_id)).not.toContain('007');
    expect((await post('/v1/recommend', request)).body).toEqual(one.body);
    const batch = await post('/v1/recommend:batch', { requests: [{ user_id: 'x' }, request] });
    expect((batch.body as { responses: Answer[] }).responses[1]).toEqual(one.body);
  });

  it('list similar items of an item with slashes and plus signs', async () => {
    const itemId = 'course-v1:TsinghuaX+30240184+2015_T2';
    for (const path of [encodeURIComponent(itemId), itemId]) {
      const { status, body } = await get(`/v1/items/${path}/similar?limit=3`);
      expect(status).toBe(200);
      const { items, modelVersion } = await fixture.client.similarItems({ itemId, limit: 3 });
      expect(body).toEqual({
        items: items.map(({ itemId: id, score, title, category }) => ({
          item_id: id,
          score,
          title,
          category,
        })),
        model_version: modelVersion,
      });
    }
  });
});

describe('a bad request', () => {
  const longId = 'x'.repeat(300);

  it.each([
    ['a negative limit', '/v1/recommendations/u?limit=-1', 400, 'limit', '1 to 1000'],
    ['a limit of a billion', '/v1/recommendations/u?limit=1000000000', 400, 'limit', 'maximum'],
    ['a limit in words', '/v1/recommendations/u?limit=ten', 400, 'limit', 'whole number'],
    ['a limit with an exponent', '/v1/recommendations/u?limit=1e3', 400, 'limit', 'whole number'],
    ['two limits', '/v1/recommendations/u?limit=1&limit=2', 400, 'limit', 'whole number'],
    ['an unknown parameter', '/v1/recommendations/u?limt=5', 400, 'limt', 'did you mean "limit"'],
    [
      'a flag that is no boolean',
      '/v1/recommendations/u?include_seen=1',
      400,
      'include_seen',
      'true or false',
    ],
    ['no id', '/v1/recommendations/', 400, 'user_id', 'is empty'],
    ['an id of 300 bytes', `/v1/recommendations/${longId}`, 400, 'user_id', 'has 300 bytes'],
    ['an id of 9000 bytes', `/v1/recommendations/${'x'.repeat(9000)}`, 400, 'user_id', 'has 9000 bytes'],
    ['a broken escape', '/v1/recommendations/%ZZ', 400, '', 'not a valid url'],
    ['an unknown item', '/v1/items/unknown/similar', 404, 'item_id', 'no item "unknown"'],
    ['an unknown page', '/v2/anything', 404, '', '/docs'],
  ])('GET with %s is refused', async (_, path, status, field, text) => {
    const answer = await get(path);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ field, code: expect.stringMatching(/^STOA_/) as string });
    expect((answer.body as { message: string }).message).toContain(text);
    expect(Object.keys(answer.body as object).sort()).toEqual(['code', 'field', 'message']);
  });

  it.each([
    ['a number for an id', '/v1/recommend', { user_id: 5 }, 400, 'user_id', 'string'],
    ['an unknown field', '/v1/recommend', { user_id: 'u', limt: 5 }, 400, 'limt', 'did you mean "limit"'],
    ['half an item', '/v1/recommend', { user_id: 'u', limit: 1.5 }, 400, 'limit', '1 to 1000'],
    [
      'an id of a megabyte',
      '/v1/recommend',
      { user_id: 'x'.repeat(1 << 20) },
      400,
      'user_id',
      'has 1048576 bytes',
    ],
    ['half a JSON document', '/v1/recommend', '{"user_id": ', 400, '', 'JSON'],
    ['a list', '/v1/recommend', [], 400, '', 'the body'],
    ['five megabytes', '/v1/recommend', { user_id: 'x'.repeat(5 << 20) }, 413, '', 'too large'],
    ['an empty batch', '/v1/recommend:batch', { requests: [] }, 400, 'requests', '1 to 1000'],
    [
      'a batch entry without id',
      '/v1/recommend:batch',
      { requests: [{ user_id: 'u' }, {}] },
      400,
      'requests[1].user_id',
      'string',
    ],
    [
      'a batch entry with a negative limit',
      '/v1/recommend:batch',
      { requests: [{ user_id: 'u', limit: -1 }] },
      400,
      'requests[0].limit',
      '1 to 1000',
    ],
    ['a prototype in it', '/v1/recommend', '{"user_id":"u","__proto__":{"limit":1}}', 400, '', 'JSON'],
  ])('POST with %s is refused', async (_, path, body, status, field, text) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ field });
    expect((answer.body as { message: string }).message).toContain(text);
  });
});

describe('operations', () => {
  it('tell health, readiness and the model', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await get('/readyz')).toMatchObject({ status: 200, body: { model_version: 'v1' } });
  });

  it('tell metrics by method and reason', async () => {
    await get('/v1/recommendations/nobody');
    await get('/v1/recommendations/u?limit=-1');
    const response = await fetch(`${base}/metrics`);
    const text = await response.text();
    expect(response.headers.get('content-type')).toContain('text/plain');
    expect(text).toMatch(
      /stoa_recommend_duration_seconds_count\{method="Recommend",reason="REASON_POPULAR"\} [1-9]/,
    );
    expect(text).toMatch(/stoa_recommend_errors_total\{method="Recommend",code="STOA_USAGE"\} [1-9]/);
    expect(text).toContain('stoa_model_info{version="v1",run_id="run-1"} 1');
    expect(text).toContain('process_resident_memory_bytes');
  });

  it('show an OpenAPI page that lists every route, without anything from elsewhere', async () => {
    const page = await fetch(`${base}/docs/`);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(html).not.toMatch(/(src|href)="https?:/);
    const { body } = await get('/docs/json');
    expect(Object.keys((body as { paths: object }).paths).sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/items/{item_id}/similar',
      '/v1/recommend',
      '/v1/recommend:batch',
      '/v1/recommendations/{user_id}',
    ]);
  });

  it('are not ready without a model', async () => {
    const host = new ServingHost({ threads: 1 });
    const rest = await startRestServer({ host, listen: LOOPBACK, tls: {}, log: { error: () => undefined } });
    const response = await fetch(`http://127.0.0.1:${rest.address.port}/readyz`);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toMatchObject({ code: 'STOA_NO_MODEL' });
    await rest.close();
    await host.close();
  });
});

describe('startRestServer', () => {
  it('refuses an address beyond loopback, and says that REST has no TLS yet', async () => {
    const host = new ServingHost({ threads: 1 });
    const start = (insecure: boolean) =>
      startRestServer({
        host,
        listen: { host: '0.0.0.0', port: 0 },
        tls: { insecure, tlsCert: 'c', tlsKey: 'k' },
        log: { error: () => undefined },
      });
    const error: unknown = await start(false).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain('no TLS yet');
    await (await start(true)).close();
    await host.close();
  });

  it('refuses a port in use and names it', async () => {
    const host = new ServingHost({ threads: 1 });
    const listen = { host: '127.0.0.1', port: fixture.serving.httpAddress!.port };
    await expect(
      startRestServer({ host, listen, tls: {}, log: { error: () => undefined } }),
    ).rejects.toMatchObject({ code: 'STOA_PORT_IN_USE' });
    await host.close();
  });

  it('cuts a connection that never ends its request when it closes', async () => {
    const host = new ServingHost({ threads: 1 });
    const rest = await startRestServer({ host, listen: LOOPBACK, tls: {}, log: { error: () => undefined } });
    const socket = connect(rest.address.port, '127.0.0.1');
    const ended = new Promise((resolve) => socket.on('close', resolve).on('error', () => undefined));
    socket.write(
      'POST /v1/recommend HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    );
    socket.resume();
    await new Promise((resolve) => setTimeout(resolve, 100));
    await rest.close(200);
    await ended;
    await host.close();
  });
});
