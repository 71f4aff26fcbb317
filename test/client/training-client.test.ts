// Shows what the client does with a coordinator that answers, refuses, sends nonsense, or goes away and comes back.
// The server is a real one over a real socket; only its answers are made here.

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ServerWritableStream, UntypedServiceImplementation } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { safePath } from '../../client/receive-files.js';
import { TrainingClient } from '../../client/training-client.js';
import { crc32c, sha256 } from '../../common/checksums.js';
import { CorruptError, NotFoundError, StateError } from '../../common/errors.js';
import { services } from '../../common/grpc-services.js';
import { toServiceError } from '../../coordinator/grpc-errors.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import type { FetchRunFilesResponse } from '../../proto/generated/stoa/training/v1/FetchRunFilesResponse.js';
import type { TrainingServiceHandlers } from '../../proto/generated/stoa/training/v1/TrainingService.js';
import type { UploadDatasetRequest__Output } from '../../proto/generated/stoa/training/v1/UploadDatasetRequest.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

let root: string;
let server: GrpcServer | undefined;
let client: TrainingClient | undefined;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'stoa-'));
});

afterEach(async () => {
  client?.close();
  await server?.close(0);
  await rm(root, { recursive: true });
});

type Handlers = Partial<TrainingServiceHandlers>;

async function serve(handlers: Handlers, listen = LOOPBACK): Promise<GrpcServer> {
  const { service } = services.training.v1.TrainingService;
  const entry = {
    name: 'stoa.training.v1.TrainingService',
    definition: service,
    implementation: handlers as UntypedServiceImplementation,
  };
  server = await startGrpcServer({ listen, tls: {}, services: [entry] });
  return server;
}

async function connectTo(handlers: Handlers): Promise<TrainingClient> {
  const { address } = await serve(handlers);
  client = new TrainingClient({ address });
  return client;
}

function chunkOf(text: string): FetchRunFilesResponse {
  const data = Buffer.from(text);
  return { chunk: { data, crc32c: crc32c(data) } };
}

async function sendParts(
  call: ServerWritableStream<unknown, FetchRunFilesResponse>,
  parts: FetchRunFilesResponse[],
): Promise<void> {
  for (const part of parts) call.write(part);
  call.end();
}

describe('fetchRunFiles', () => {
  const fetchParts = (parts: FetchRunFilesResponse[]) =>
    connectTo({ FetchRunFiles: (call) => void sendParts(call, parts) });

  it('writes the files, chunk after chunk, into a new folder', async () => {
    const trainer = await fetchParts([
      { file: 'result.json' },
      chunkOf('{"a"'),
      chunkOf(': 1}'),
      { file: 'model/model.json' },
      chunkOf('x'),
      { file: 'empty.jsonl' },
    ]);
    const out = path.join(root, 'run');
    const files = await trainer.fetchRunFiles('r', out);
    expect(files).toEqual([
      { file: 'result.json', bytes: 8, sha256: sha256('{"a": 1}') },
      { file: 'model/model.json', bytes: 1, sha256: sha256('x') },
      { file: 'empty.jsonl', bytes: 0, sha256: sha256('') },
    ]);
    expect(await readFile(path.join(out, 'result.json'), 'utf8')).toBe('{"a": 1}');
    expect(await readFile(path.join(out, 'model/model.json'), 'utf8')).toBe('x');
  });

  it.each([
    ['a damaged chunk', [{ file: 'a' }, { chunk: { data: Buffer.from('x'), crc32c: 1 } }], 'STOA_CHECKSUM'],
    ['a name that leaves the folder', [{ file: '../a' }, chunkOf('x')], 'STOA_TORN'],
    ['the same name twice', [{ file: 'a' }, chunkOf('x'), { file: 'a' }, chunkOf('y')], 'STOA_TORN'],
    ['bytes without a name', [chunkOf('x')], 'STOA_TORN'],
  ])('leaves nothing behind after %s', async (_, parts, code) => {
    const trainer = await fetchParts(
      [{ file: 'good' }, chunkOf('good'), ...parts].slice(parts[0]?.chunk ? 2 : 0),
    );
    const error: unknown = await trainer
      .fetchRunFiles('r', path.join(root, 'out/run'))
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(CorruptError);
    expect(error).toMatchObject({ code });
    expect(await readdir(path.join(root, 'out'))).toEqual([]);
    expect(await readdir(root)).toEqual(['out']);
  });

  it('says what the coordinator said, and leaves nothing behind', async () => {
    const refusal = new StateError('STOA_RUN_STATE', 'run r has not ended');
    const trainer = await connectTo({
      FetchRunFiles: (call) => void call.emit('error', toServiceError(refusal)),
    });
    const error: unknown = await trainer.fetchRunFiles('r', path.join(root, 'run')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(StateError);
    expect(error).toMatchObject({ code: 'STOA_RUN_STATE', message: 'run r has not ended' });
    expect(await readdir(root)).toEqual([]);
  });

  it.each([
    '',
    '.',
    '..',
    'a/../b',
    '/etc/passwd',
    'a\\b',
    'a//b',
    'a/',
    '.hidden',
    'NUL',
    'a/b/c/d/e',
    'a\0',
    'ü',
  ])('refuses the name %j', (name) => {
    expect(() => safePath('/folder', name)).toThrow(CorruptError);
  });
});

describe('uploadDataset', () => {
  const manifest = JSON.stringify({
    files: { 'by-user/0000.arrow': { bytes: 700_000 }, 'users.arrow': { bytes: 3 } },
  });
  let dir: string;
  let shard: Buffer;

  beforeEach(async () => {
    dir = path.join(root, 'dataset');
    shard = Buffer.from(Uint8Array.from({ length: 700_000 }, (_, at) => at % 251));
    await mkdir(path.join(dir, 'by-user'), { recursive: true });
    await writeFile(path.join(dir, 'manifest.json'), manifest);
    await writeFile(path.join(dir, 'by-user/0000.arrow'), shard);
    await writeFile(path.join(dir, 'users.arrow'), 'abc');
  });

  it('sends the manifest first, then the files it names, in chunks that fit', async () => {
    const received: [string, Buffer][] = [];
    let largest = 0;
    const trainer = await connectTo({
      HasDataset: (_, callback) => callback(null, { isPresent: false }),
      UploadDataset: (call, callback) => {
        call.on('data', ({ file, chunk }: UploadDatasetRequest__Output) => {
          if (chunk == null) {
            received.push([file!, Buffer.alloc(0)]);
            return;
          }
          expect(crc32c(chunk.data)).toBe(chunk.crc32c);
          largest = Math.max(largest, chunk.data.length);
          const last = received[received.length - 1]!;
          last[1] = Buffer.concat([last[1], chunk.data]);
        });
        call.on('end', () => callback(null, { fingerprint: sha256(received[0]![1]) }));
      },
    });
    const progress: number[] = [];
    const fingerprint = await trainer.uploadDataset(dir, (sent) => progress.push(sent));
    expect(fingerprint).toBe(sha256(manifest));
    expect(received.map(([file]) => file)).toEqual(['manifest.json', 'by-user/0000.arrow', 'users.arrow']);
    expect(received[1]![1].equals(shard)).toBe(true);
    expect(largest).toBeLessThanOrEqual(1 << 20);
    expect(progress.at(-1)).toBe(manifest.length + 700_003);
  });

  it('sends nothing that the coordinator already has', async () => {
    let uploads = 0;
    const trainer = await connectTo({
      HasDataset: ({ request }, callback) =>
        callback(null, { isPresent: request.fingerprint === sha256(manifest) }),
      UploadDataset: () => {
        uploads++;
      },
    });
    expect(await trainer.uploadDataset(dir)).toBe(sha256(manifest));
    expect(uploads).toBe(0);
  });

  it('stops and says why when the coordinator refuses in the middle', async () => {
    await writeFile(path.join(dir, 'users.arrow'), Buffer.alloc(32 << 20));
    const trainer = await connectTo({
      HasDataset: (_, callback) => callback(null, { isPresent: false }),
      UploadDataset: (call, callback) => {
        call.once('data', () => {
          call.pause();
          callback(toServiceError(new CorruptError('STOA_CHECKSUM', 'a checksum disagrees')));
        });
      },
    });
    await expect(trainer.uploadDataset(dir)).rejects.toMatchObject({
      code: 'STOA_CHECKSUM',
      message: 'a checksum disagrees',
    });
  });

  it('runs no further ahead of a slow coordinator than a few megabytes', async () => {
    await writeFile(path.join(dir, 'users.arrow'), Buffer.alloc(24 << 20));
    let received = 0;
    const trainer = await connectTo({
      HasDataset: (_, callback) => callback(null, { isPresent: false }),
      UploadDataset: async (call, callback) => {
        for await (const { chunk } of call as AsyncIterable<UploadDatasetRequest__Output>) {
          received += chunk?.data.length ?? 0;
          await new Promise((resolve) => setTimeout(resolve, 2));
        }
        callback(null, { fingerprint: 'done' });
      },
    });
    let ahead = 0;
    const fingerprint = await trainer.uploadDataset(dir, (sent) => {
      ahead = Math.max(ahead, sent - received);
    });
    expect(fingerprint).toBe('done');
    expect(received).toBeGreaterThan(24 << 20);
    expect(ahead).toBeLessThan(12 << 20);
  });

  it('names a folder that is no dataset', async () => {
    const trainer = await connectTo({});
    await expect(trainer.uploadDataset(path.join(root, 'nowhere'))).rejects.toBeInstanceOf(NotFoundError);
    await writeFile(path.join(dir, 'manifest.json'), '[]');
    await expect(trainer.uploadDataset(dir)).rejects.toMatchObject({ code: 'STOA_TORN' });
  });
});

describe('watchRun', () => {
  it('goes on after the coordinator was away', async () => {
    let calls = 0;
    const handlers: Handlers = {
      WatchRun: (call) => {
        calls++;
        call.write({ run: { runId: call.request.runId, epochsDone: calls } });
        if (calls > 1) call.end();
      },
    };
    const trainer = await connectTo(handlers);
    const seen: number[] = [];
    for await (const run of trainer.watchRun('r')) {
      seen.push(run.epochsDone);
      if (calls === 1) {
        const { address } = server!;
        await server!.close(0);
        await serve(handlers, address);
      }
    }
    expect(seen).toEqual([1, 2]);
  });

  it('gives up after the time allowed, and says that nobody answers', async () => {
    const trainer = await connectTo({ WatchRun: (call) => void call.write({ run: { runId: 'r' } }) });
    const { port } = server!.address;
    const watch = async () => {
      for await (const _ of trainer.watchRun('r', { reconnectMs: 300 })) await server!.close(0);
    };
    const error: unknown = await watch().catch((e: unknown) => e);
    expect(error).toMatchObject({ code: 'STOA_UNREACHABLE' });
    expect((error as Error).message).toContain(`127.0.0.1:${port}`);
  });

  it('ends when it is aborted', async () => {
    const trainer = await connectTo({ WatchRun: (call) => void call.write({ run: { runId: 'r' } }) });
    const abort = new AbortController();
    const watch = async () => {
      for await (const _ of trainer.watchRun('r', { signal: abort.signal })) abort.abort();
    };
    await expect(watch()).rejects.toMatchObject({ code: 'STOA_INTERRUPTED' });
  });
});

describe('calls', () => {
  it('follow pages to the end', async () => {
    const trainer = await connectTo({
      ListModels: ({ request }, callback) =>
        request.pageToken === ''
          ? callback(null, { models: [{ version: 'v3' }, { version: 'v2' }], nextPageToken: 'more' })
          : callback(null, { models: [{ version: 'v1' }] }),
    });
    expect((await trainer.listModels()).map(({ version }) => version)).toEqual(['v3', 'v2', 'v1']);
  });

  it('keep the request id when they are tried again, so that one run is made', async () => {
    const ids: string[] = [];
    const trainer = await connectTo({
      SubmitRun: ({ request }, callback) => {
        ids.push(request.requestId);
        if (ids.length < 3) callback({ code: 14, details: 'leaving' });
        else callback(null, { runId: 'run-7' });
      },
    });
    expect(await trainer.submitRun({ datasetFingerprint: 'f', config: { 'ials.factors': 8 } })).toBe('run-7');
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).not.toBe('');
  });

  it('are not tried again when each of them counts', async () => {
    let calls = 0;
    const trainer = await connectTo({
      RollbackModel: (_, callback) => {
        calls++;
        callback({ code: 14, details: 'leaving' });
      },
    });
    await expect(trainer.rollback()).rejects.toMatchObject({ code: 'STOA_UNREACHABLE' });
    expect(calls).toBe(1);
  });

  it('end at their deadline', async () => {
    const trainer = await connectTo({ GetRun: () => undefined });
    await expect(trainer.getRun('r', { deadlineMs: 200 })).rejects.toMatchObject({ code: 'STOA_DEADLINE' });
  });
});
