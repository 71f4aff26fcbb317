// What a coordinator answers a worker that pushes and pulls wrongly: nothing is stored, nothing is applied twice.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { crc32c } from '../../common/checksums.js';
import type { PullStepRequest } from '../../proto/generated/stoa/parameters/v1/PullStepRequest.js';
import type { PullStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PullStepResponse.js';
import type { PushStepRequest } from '../../proto/generated/stoa/parameters/v1/PushStepRequest.js';
import type { PushStepResponse__Output } from '../../proto/generated/stoa/parameters/v1/PushStepResponse.js';
import type { BlockLease__Output } from '../../proto/generated/stoa/training/v1/BlockLease.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered, RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const COLUMNS = 4;
const settings = { model: 'bpr', 'bpr.factors': COLUMNS - 1, 'train.steps': 2, 'train.epochs': 1 };

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster;
let raw: RawWorker;
let runId: string;
let runs = 0;

beforeAll(async () => {
  ({ folder, remove } = await temporaryFolder());
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 60, items: 20, perUser: 5 }),
  );
});

afterAll(() => remove());

beforeEach(async () => {
  cluster = await TrainingCluster.start(path.join(folder, `cluster-${++runs}`));
  raw = new RawWorker(cluster.coordinator.address);
  await raw.register({ solvers: ['sgd'] });
  runId = await cluster.submit({
    dataset: path.join(folder, 'data'),
    runDir: path.join(folder, `run-${runs}`),
    settings,
  });
  return async () => {
    raw.close();
    await cluster.close();
  };
});

function chunk(rowStart: number, rows: number, value = 0.5) {
  const bytes = Buffer.from(new Float32Array(rows * COLUMNS).fill(value).buffer);
  return { rowStart, rows: bytes, crc32c: crc32c(bytes) };
}

/** The messages of a right delivery of made-up rows. */
function delivery(lease: BlockLease__Output, change: PushStepRequest['header'] = {}): PushStepRequest[] {
  const header = {
    runId,
    sessionId: raw.sessionId,
    leaseId: lease.leaseId,
    block: lease.block,
    clock: lease.priorClock,
    items: [2, 7],
    counts: [1, 3],
    loss: 1,
    sampleCount: 3,
    solveMs: 1,
    ...change,
  };
  return [
    { header },
    { users: chunk(lease.rowStart, lease.rowEnd - lease.rowStart) },
    { deltas: chunk(0, 2, 0.25) },
  ];
}

function push(messages: readonly PushStepRequest[]): Promise<PushStepResponse__Output['disposition']> {
  return answered<PushStepResponse__Output>((done) => {
    const call = raw.parameters.PushStep(done);
    for (const message of messages) call.write(message);
    call.end();
  }).then(({ disposition }) => disposition);
}

async function pull(change: PullStepRequest): Promise<PullStepResponse__Output[]> {
  const request = { runId, sessionId: raw.sessionId, block: 0, clock: 0, items: [2, 7], ...change };
  const parts: PullStepResponse__Output[] = [];
  for await (const part of raw.parameters.PullStep(request)) parts.push(part as PullStepResponse__Output);
  return parts;
}

/** All blocks of the first clock. */
async function leases(): Promise<BlockLease__Output[]> {
  const all: BlockLease__Output[] = [];
  const first = await raw.lease(100);
  const plan = path.join(folder, `run-${runs}`, 'plan.json');
  const { blocks } = JSON.parse(await readFile(plan, 'utf8')) as { blocks: { users: unknown[] } };
  all.push(...first);
  while (all.length < blocks.users.length) all.push(...(await raw.lease(100)));
  return all;
}

describe('a delivery', () => {
  it('counts once: the same again is a duplicate, and what it adds is in the table once', async () => {
    const all = await leases();
    const [before] = (await pull({})).flatMap(({ items }) => items ?? []);
    for (const lease of all.slice(1)) expect(await push(delivery(lease))).toBe('DISPOSITION_ACCEPTED');
    const first = delivery(all[0]!);
    expect(await push(first)).toBe('DISPOSITION_ACCEPTED');
    expect(await push(first)).toBe('DISPOSITION_DUPLICATE');
    expect(await push(delivery(all[1]!, { leaseId: 999 }))).toBe('DISPOSITION_DUPLICATE');
    expect(await push(delivery(all[1]!, { clock: 5 }))).toBe('DISPOSITION_STALE');
    const [after] = (await pull({ clock: 1 })).flatMap(({ items }) => items ?? []);
    const numbers = ({ rows }: { rows: Buffer }) => new Float32Array(Uint8Array.from(rows).buffer);
    const moved = numbers(after!).map((value, at) => value - numbers(before!)[at]!);
    // Each block moved both rows by 0.25, the first by one change and the second by three.
    const rate = 0.1 / 4;
    const way = (changes: number) => 1 - Math.exp(-rate * changes);
    [1, 3].forEach((changes, row) => {
      const expected = (0.25 * way(changes * all.length)) / way(changes);
      for (const distance of moved.slice(row * COLUMNS, (row + 1) * COLUMNS)) {
        expect(distance).toBeCloseTo(expected, 5);
      }
    });
  });

  it.each([
    ['items that do not ascend', { items: [7, 2] }, 'must ascend'],
    ['an item twice', { items: [2, 2] }, 'must ascend'],
    ['an item that is none', { items: [2, 20] }, 'below 20'],
    ['counts that are missing', { counts: [1] }, 'one count each'],
    ['a loss that is not finite', { loss: Number.NaN }, 'not finite'],
    ['fewer deltas than items', { items: [2, 7, 8], counts: [1, 1, 1] }, 'are missing'],
  ])('with %s is refused and its block is offered again', async (_, change, message) => {
    const all = await leases();
    const refused = push(delivery(all[0]!, change));
    await expect(refused).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    await expect(refused).rejects.toThrow(message);
    const [again] = await raw.lease(1);
    expect(again!.block).toBe(all[0]!.block);
    expect(await push(delivery(again!))).toBe('DISPOSITION_ACCEPTED');
  });

  it('with a NaN among its rows, or rows that are damaged, is refused', async () => {
    const [lease] = await leases();
    const [header, users, deltas] = delivery(lease!);
    const nan = { deltas: chunk(0, 2, Number.NaN) };
    await expect(push([header!, users!, nan])).rejects.toThrow('not finite');
    const [again] = await raw.lease(1);
    const damaged = { deltas: { ...deltas!.deltas!, crc32c: 1 } };
    const messages = delivery(again!);
    await expect(push([messages[0]!, messages[1]!, damaged])).rejects.toMatchObject({
      code: status.DATA_LOSS,
    });
    expect(await push(messages)).toBe('DISPOSITION_ACCEPTED');
  });
});

describe('a read', () => {
  it.each([
    [{ items: [5, 5] }, status.INVALID_ARGUMENT, 'must ascend'],
    [{ items: [20] }, status.INVALID_ARGUMENT, 'below 20'],
    [{ block: 99 }, status.INVALID_ARGUMENT, "none of the run's"],
    [{ sessionId: 'nobody' }, status.ABORTED, 'session'],
    [{ runId: 'another' }, status.ABORTED, 'not in progress'],
  ])('of %j is refused', async (change, code, message) => {
    await leases();
    await expect(pull(change)).rejects.toMatchObject({ code });
    await expect(pull(change)).rejects.toThrow(message);
  });

  it('of a clock that its block has done is told so', async () => {
    const [lease] = await leases();
    await push(delivery(lease!));
    await expect(pull({ block: lease!.block })).rejects.toMatchObject({ code: status.ABORTED });
  });

  it('of whole sides finds none in this run', async () => {
    await leases();
    const request = { runId, side: 'SIDE_ITEMS' as const, clock: 0, ranges: [], sessionId: '' };
    await expect(raw.pull(request)).rejects.toThrow('pull and push its steps');
  });
});
