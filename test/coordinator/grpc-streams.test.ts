// Back-pressure over a real connection: a reader that does not read slows its writer, and is given up in the end.

import { setTimeout as sleep } from 'node:timers/promises';
import { credentials, type ServerWritableStream, status } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { formatAddress } from '../../common/addresses.js';
import { messageOf } from '../../common/errors.js';
import { services } from '../../common/grpc-services.js';
import { type GrpcServer, startGrpcServer } from '../../coordinator/grpc-server.js';
import { StreamWriter, serverStream } from '../../coordinator/grpc-streams.js';
import type { ParametersServiceClient } from '../../proto/generated/stoa/parameters/v1/ParametersService.js';
import type { PullRowsResponse } from '../../proto/generated/stoa/parameters/v1/PullRowsResponse.js';

const CHUNK = Buffer.alloc(1 << 20);
const CHUNKS = 200;

let server: GrpcServer;
let client: ParametersServiceClient;
let written: number;
let outcome: Promise<string>;

beforeEach(async () => {
  written = 0;
  let settle: (text: string) => void;
  outcome = new Promise((resolve) => {
    settle = resolve;
  });
  const pull = async (
    _request: unknown,
    _writer: unknown,
    call: ServerWritableStream<unknown, PullRowsResponse>,
  ) => {
    const writer = new StreamWriter<PullRowsResponse>(call, 1000);
    try {
      for (; written < CHUNKS; written++)
        await writer.write({ chunk: { rowStart: written, rows: CHUNK, crc32c: 0 } });
      await writer.flush();
      settle('complete');
    } catch (error) {
      settle(messageOf(error));
      throw error;
    }
  };
  server = await startGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    tls: {},
    services: [
      {
        name: 'stoa.parameters.v1.ParametersService',
        definition: services.parameters.v1.ParametersService.service,
        implementation: { PullRows: serverStream(pull), GetGram: () => {}, PushBlock: () => {} },
      },
    ],
  });
  client = new services.parameters.v1.ParametersService(
    formatAddress(server.address),
    credentials.createInsecure(),
  );
});

afterEach(async () => {
  client.close();
  await server.close(500);
});

it('a reader gets every message', async () => {
  let read = 0;
  for await (const _ of client.PullRows({})) read++;
  expect(read).toBe(CHUNKS);
  expect(await outcome).toBe('complete');
});

it('a reader that stops reading stops the writer after a few messages, and is given up after a while', async () => {
  const call = client.PullRows({});
  call.on('error', () => {});
  call.once('data', () => call.pause());
  await sleep(500);
  // Sixteen messages are the reader's own buffer, the rest is the window and what the writer has under way.
  expect(written).toBeLessThanOrEqual(16 + 10);
  expect(await outcome).toMatch(/took nothing for 1 s/);
  expect(written).toBeLessThanOrEqual(16 + 10);
  call.cancel();
});

it('a reader that cancels ends the writer', async () => {
  const call = client.PullRows({});
  const failed = new Promise((resolve) => call.on('error', resolve));
  call.once('data', () => {
    call.pause();
    call.cancel();
  });
  expect(await outcome).toMatch(/gone/);
  expect(await failed).toMatchObject({ code: status.CANCELLED });
});
