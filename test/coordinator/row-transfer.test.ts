// Rows through an exchange file, as a worker on the coordinator's machine hands them over: taken when they are what the
// message says, refused otherwise; and deliveries of one block that come at the same time. Over real sockets.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ExchangeFile } from '../../common/exchange-file.js';
import { checkRows, decodeRows, describeRows, encodeRows } from '../../common/row-chunks.js';
import { RowExchange } from '../../common/row-exchange.js';
import { firstNotFinite } from '../../coordinator/parameters/finite-rows.js';
import type { PushBlockRequest } from '../../proto/generated/stoa/parameters/v1/PushBlockRequest.js';
import type { PushBlockResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushBlockResponse.js';
import type { BlockLease__Output } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered, delivery, RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const FACTORS = 5;
const isThere = existsSync('/dev/shm');

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster;
let worker: RawWorker;
let runId: string;
let lease: BlockLease__Output;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  cluster = await TrainingCluster.start(folder, { timing: { sessionTimeoutMs: 600_000 } });
  const dataset = path.join(folder, 'data');
  await writeInteractions(dataset, randomInteractions({ users: 90, items: 60, perUser: 6 }));
  worker = new RawWorker(cluster.coordinator.address);
  const settings = { 'ials.factors': FACTORS, 'train.epochs': 2 };
  runId = await cluster.submit({ dataset, runDir: path.join(folder, 'run'), settings });
});

afterEach(async () => {
  worker.close();
  await cluster.close();
  await remove();
});

describe.skipIf(!isThere)(`through memory${isThere ? '' : ' (skipped: no /dev/shm here)'}`, () => {
  let file: ExchangeFile;
  let exchange: RowExchange;

  beforeEach(async () => {
    file = ExchangeFile.create()!;
    await worker.register({ exchange: file.name });
    file.unlink();
    [lease] = (await worker.lease(1)) as [BlockLease__Output];
    exchange = new RowExchange(file, { users: 90, items: 60, factors: FACTORS });
  });

  afterEach(() => file.close());

  /** The messages of a right delivery whose rows, all `value`, stand in the exchange file. */
  function exchanged(value = 0.25): [PushBlockRequest, { chunk: NonNullable<PushBlockRequest['chunk']> }] {
    const [header] = delivery(worker, lease, FACTORS, value);
    const rows = new Float32Array((lease.rowEnd - lease.rowStart) * FACTORS).fill(value);
    exchange.write('up', 'users', lease.rowStart, rows);
    return [header, { chunk: describeRows(rows, lease.rowStart, FACTORS) }];
  }

  it('rows are stored, and come back the same way or in messages', async () => {
    expect(await worker.push(exchanged())).toBe('DISPOSITION_ACCEPTED');
    expect(await worker.push(exchanged(0.5))).toBe('DISPOSITION_DUPLICATE');
    await finishUsers();
    const range = { rowStart: lease.rowStart, rowEnd: lease.rowEnd };
    const request = { runId, side: 'SIDE_USERS' as const, clock: 1, ranges: [range] };
    const [inMessage] = await worker.pull(request);
    expect(decodeRows(inMessage!.chunk!, FACTORS).every((x) => x === 0.25)).toBe(true);
    const [inMemory] = await worker.pull({ ...request, sessionId: worker.sessionId });
    const { rows, exchangedRows } = inMemory!.chunk!;
    expect([rows.length, exchangedRows]).toEqual([0, range.rowEnd - range.rowStart]);
    const found = new Float32Array(exchangedRows * FACTORS);
    exchange.read('down', 'users', range.rowStart, found);
    checkRows(found, inMemory!.chunk!);
    expect(found.every((x) => x === 0.25)).toBe(true);
  });

  it('rows that are not what the message says are never stored, and may be sent again', async () => {
    const messages = exchanged();
    exchange.write('up', 'users', lease.rowStart, Float32Array.of(7));
    await expect(worker.push(messages)).rejects.toMatchObject({ code: status.DATA_LOSS });
    expect(await worker.push(exchanged())).toBe('DISPOSITION_ACCEPTED');
  });

  it('rows that are not there are damage too', async () => {
    const [header] = delivery(worker, lease, FACTORS);
    const rows = new Float32Array((lease.rowEnd - lease.rowStart) * FACTORS);
    await expect(
      worker.push([header, { chunk: describeRows(rows, lease.rowStart, FACTORS) }]),
    ).rejects.toMatchObject({ code: status.DATA_LOSS });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'a row with %d is refused by its number',
    async (bad) => {
      const [header] = exchanged();
      const rows = new Float32Array((lease.rowEnd - lease.rowStart) * FACTORS).fill(0.25);
      rows[FACTORS + 1] = bad;
      exchange.write('up', 'users', lease.rowStart, rows);
      await expect(
        worker.push([header, { chunk: describeRows(rows, lease.rowStart, FACTORS) }]),
      ).rejects.toMatchObject({
        code: status.INVALID_ARGUMENT,
        details: expect.stringContaining(`row ${lease.rowStart + 1}`),
      });
    },
  );

  it.each([
    ['too few rows', -1, ''],
    ['too many rows', 1, ''],
    ['rows in both places', 0, 'x'],
  ])('%s are refused', async (_what, more, inMessage) => {
    const [header, { chunk }] = exchanged();
    const wrong = { ...chunk, exchangedRows: chunk.exchangedRows! + more, rows: Buffer.from(inMessage) };
    await expect(worker.push([header, { chunk: wrong }])).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it('a file that is not on this machine is done without', async () => {
    const far = new RawWorker(cluster.coordinator.address);
    await far.register({ exchange: 'ef'.repeat(16) });
    const [other] = await far.lease(1);
    const rows = new Float32Array((other!.rowEnd - other!.rowStart) * FACTORS).fill(0.25);
    const [header] = delivery(far, other!, FACTORS);
    await expect(
      far.push([header, { chunk: describeRows(rows, other!.rowStart, FACTORS) }]),
    ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    const [again] = await far.lease(1);
    expect(await far.push(delivery(far, again!, FACTORS))).toBe('DISPOSITION_ACCEPTED');
    far.close();
  });

  async function finishUsers(): Promise<void> {
    for (;;) {
      const [next] = await worker.lease(1);
      if (next!.side !== 'SIDE_USERS') return;
      await worker.push(delivery(worker, next!, FACTORS));
    }
  }
});

it('of two deliveries of one block that come at once, one counts whole and the other changes nothing', async () => {
  await worker.register();
  [lease] = (await worker.lease(1)) as [BlockLease__Output];
  const half = Math.ceil((lease.rowEnd - lease.rowStart) / 2);
  const streams = [0.25, 0.5].map((value) => {
    const [header, { chunk }] = delivery(worker, lease, FACTORS, value);
    const rows = new Float32Array(new Uint8Array(chunk.rows as Buffer).buffer);
    const piece = (from: number, to: number) =>
      encodeRows(rows.subarray(from * FACTORS, to * FACTORS), lease.rowStart + from);
    let write: (message: PushBlockRequest) => void = () => {};
    let end: () => void = () => {};
    const outcome = answered<PushBlockResponse__Output>((done) => {
      const call = worker.parameters.PushBlock(done);
      write = (message) => call.write(message);
      end = () => call.end();
    });
    return {
      outcome,
      header,
      first: piece(0, half),
      second: piece(half, lease.rowEnd - lease.rowStart),
      write: (m: PushBlockRequest) => write(m),
      end: () => end(),
    };
  });
  for (const { write, header } of streams) write(header);
  for (const { write, first } of streams) write({ chunk: first });
  for (const { write, second, end } of streams) {
    write({ chunk: second });
    end();
  }
  const dispositions = await Promise.all(streams.map(async ({ outcome }) => (await outcome).disposition));
  expect([...dispositions].sort()).toEqual(['DISPOSITION_ACCEPTED', 'DISPOSITION_DUPLICATE']);
  const expected = [0.25, 0.5][dispositions.indexOf('DISPOSITION_ACCEPTED')];
  for (;;) {
    const [next] = await worker.lease(1);
    if (next!.side !== 'SIDE_USERS') break;
    await worker.push(delivery(worker, next!, FACTORS));
  }
  const ranges = [{ rowStart: lease.rowStart, rowEnd: lease.rowEnd }];
  const [stored] = await worker.pull({ runId, side: 'SIDE_USERS', clock: 1, ranges });
  expect(decodeRows(stored!.chunk!, FACTORS).every((x) => x === expected)).toBe(true);
});

it('the search for numbers that are not finite finds the first at every place, and nothing in the widest rows', () => {
  for (const length of [1, 7, 8, 9, 23]) {
    const rows = Float32Array.from({ length }, (_, n) => (n % 2 === 0 ? 3.4028234663852886e38 : -1e-45));
    expect(firstNotFinite(rows)).toBe(-1);
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let at = 0; at < length; at++) {
        const damaged = Float32Array.from(rows);
        damaged[at] = bad;
        if (at + 1 < length) damaged[length - 1] = Number.NaN;
        expect(firstNotFinite(damaged)).toBe(at);
      }
    }
  }
});
