// What a coordinator answers to workers that are wrong, late, twice, or damaged on the way: over real sockets.

import path from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32c } from '../../common/checksums.js';
import { fromServiceError } from '../../common/grpc-client-errors.js';
import { decodeRows } from '../../common/row-chunks.js';
import { initFactors } from '../../models/ials/init-factors.js';
import type { FixedGram } from '../../proto/generated/stoa/training/v1/FixedGram.js';
import type { LeaseBlocksResponse__Output } from '../../proto/generated/stoa/training/v1/LeaseBlocksResponse.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { answered, delivery, RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const FACTORS = 5;
const ITEMS = 60;

let folder: string;
let remove: () => Promise<void>;
let cluster: TrainingCluster;
let worker: RawWorker;
let runId: string;

beforeEach(async () => {
  ({ folder, remove } = await temporaryFolder());
  cluster = await TrainingCluster.start(folder, { timing: { sessionTimeoutMs: 600_000 } });
  await writeInteractions(
    path.join(folder, 'data'),
    randomInteractions({ users: 90, items: ITEMS, perUser: 6 }),
  );
  worker = new RawWorker(cluster.coordinator.address);
  await worker.register();
  const settings = { 'ials.factors': FACTORS, 'train.epochs': 2, 'train.seed': 3 };
  runId = await cluster.submit({
    dataset: path.join(folder, 'data'),
    runDir: path.join(folder, 'run'),
    settings,
  });
});

afterEach(async () => {
  worker.close();
  await cluster.close();
  await remove();
});

/** Delivers all blocks of the phase in progress; answers how many. */
async function finishPhase(side: string): Promise<number> {
  for (let done = 0; ; done++) {
    const [lease] = await worker.lease(1);
    if (lease!.side !== side) {
      await worker.returnLeases([lease!.leaseId]);
      return done;
    }
    expect(await worker.push(delivery(worker, lease!, FACTORS))).toBe('DISPOSITION_ACCEPTED');
  }
}

describe('leases', () => {
  it('a request that is repeated gets the same leases', async () => {
    const first = await worker.lease(2, 'request-1');
    const again = await worker.lease(2, 'request-1');
    expect(again.map(({ leaseId }) => leaseId)).toEqual(first.map(({ leaseId }) => leaseId));
    const other = await worker.lease(2, 'request-2');
    expect(other.map(({ block }) => block)).not.toContain(first[0]!.block);
  });

  it('leases that were given back go out again', async () => {
    const [lease] = await worker.lease(1);
    await worker.returnLeases([lease!.leaseId]);
    const [again] = await worker.lease(1);
    expect(again).toMatchObject({ block: lease!.block });
    expect(again!.leaseId).not.toBe(lease!.leaseId);
  });

  it('an unknown session is told to register again', async () => {
    worker.sessionId = 'nobody';
    await expect(worker.lease(1)).rejects.toMatchObject({ code: status.ABORTED });
    await expect(worker.heartbeat()).rejects.toMatchObject({ code: status.ABORTED });
    await expect(worker.returnLeases([1])).rejects.toMatchObject({ code: status.ABORTED });
  });

  it('a device without the solver or the factors is refused by name', async () => {
    const old = new RawWorker(cluster.coordinator.address);
    await old.register({ name: 'elder', solvers: ['cg'] });
    await expect(old.lease(1)).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringMatching(/elder.*"cholesky".*cg/),
    });
    await old.register({ name: 'small', factorsMax: 4 });
    await expect(old.lease(1)).rejects.toMatchObject({
      details: expect.stringMatching(/small.*at most 4.*5/),
    });
    old.close();
  });

  it.each([
    [{ name: '' }, 'name'],
    [{ name: 'x'.repeat(129) }, 'name'],
    [{ threads: 0 }, 'threads'],
    [{ threads: 5000 }, 'threads'],
    [{ solvers: [] }, 'solvers'],
  ])('registering with %j is refused', async (change, field) => {
    const error = await worker.register(change).catch((reason: unknown) => fromServiceError(reason));
    expect(error).toMatchObject({ code: 'STOA_USAGE', fields: { field } });
  });

  it('a worker of another major version is refused', async () => {
    await expect(worker.register({ version: '99.0.0' })).rejects.toMatchObject({
      code: status.FAILED_PRECONDITION,
      details: expect.stringContaining('99.0.0'),
    });
  });
});

describe('results', () => {
  it('the first complete delivery counts, a second one changes nothing', async () => {
    const [lease] = await worker.lease(1);
    expect(await worker.push(delivery(worker, lease!, FACTORS))).toBe('DISPOSITION_ACCEPTED');
    expect(await worker.push(delivery(worker, lease!, FACTORS, 0.5))).toBe('DISPOSITION_DUPLICATE');
    await finishPhase('SIDE_USERS');
    const [chunk] = await worker.pull({
      runId,
      side: 'SIDE_USERS',
      clock: 1,
      ranges: [{ rowStart: lease!.rowStart, rowEnd: lease!.rowEnd }],
    });
    expect(decodeRows(chunk!.chunk!, FACTORS).every((x) => x === 0.25)).toBe(true);
  });

  it('a result of a lease that was given back changes nothing', async () => {
    const [lease] = await worker.lease(1);
    await worker.returnLeases([lease!.leaseId]);
    expect(await worker.push(delivery(worker, lease!, FACTORS))).toBe('DISPOSITION_STALE');
  });

  it('a result of a past phase changes nothing', async () => {
    const [lease] = await worker.lease(1);
    await worker.push(delivery(worker, lease!, FACTORS));
    await finishPhase('SIDE_USERS');
    expect(await worker.push(delivery(worker, lease!, FACTORS))).toBe('DISPOSITION_STALE');
  });

  it("another session's lease is not taken for its own", async () => {
    const [lease] = await worker.lease(1);
    const thief = new RawWorker(cluster.coordinator.address);
    await thief.register({ name: 'thief' });
    expect(await thief.push(delivery(thief, lease!, FACTORS))).toBe('DISPOSITION_STALE');
    thief.close();
  });

  it('a flipped byte in rows or Gram is refused, and the same lease may deliver again', async () => {
    const [lease] = await worker.lease(1);
    for (const part of ['rows', 'gram']) {
      const [header, chunk] = delivery(worker, lease!, FACTORS);
      const bytes = (part === 'rows' ? chunk.chunk.rows : header.header.gram) as Buffer;
      bytes[7]! ^= 0x10;
      await expect(worker.push([header, chunk])).rejects.toMatchObject({ code: status.DATA_LOSS });
    }
    expect(await worker.push(delivery(worker, lease!, FACTORS))).toBe('DISPOSITION_ACCEPTED');
  });

  it.each([
    ['a NaN', Number.NaN],
    ['an infinity', Number.NEGATIVE_INFINITY],
  ])('%s is refused, and the lease is over', async (_name, value) => {
    const [lease] = await worker.lease(1);
    const [header, chunk] = delivery(worker, lease!, FACTORS);
    const rows = new Float32Array((lease!.rowEnd - lease!.rowStart) * FACTORS).fill(1);
    rows[FACTORS + 2] = value;
    const bytes = Buffer.from(rows.buffer);
    const bad = { chunk: { ...chunk.chunk, rows: bytes, crc32c: crc32c(bytes) } };
    await expect(worker.push([header, bad])).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining(`row ${lease!.rowStart + 1}`),
    });
    expect(await worker.push([header, chunk])).toBe('DISPOSITION_STALE');
  });

  it('rows that are missing, too many, shifted or not whole are refused', async () => {
    const shapes: ((rows: Buffer) => { rowShift: number; rows: Buffer })[] = [
      (rows) => ({ rowShift: 0, rows: rows.subarray(4 * FACTORS) }),
      (rows) => ({ rowShift: 0, rows: Buffer.concat([rows, rows]) }),
      (rows) => ({ rowShift: 1, rows }),
      (rows) => ({ rowShift: 0, rows: rows.subarray(0, rows.length - 4) }),
      () => ({ rowShift: 0, rows: Buffer.alloc(0) }),
    ];
    // One block each: the same one failing again and again would end the run.
    const leases = [];
    for (const _ of shapes) leases.push(...(await worker.lease(1)));
    for (const [n, shape] of shapes.entries()) {
      const lease = leases[n];
      const [header, { chunk }] = delivery(worker, lease!, FACTORS);
      const { rowShift, rows } = shape(chunk.rows as Buffer);
      const bad = { chunk: { rowStart: chunk.rowStart! + rowShift, rows, crc32c: crc32c(rows) } };
      await expect(worker.push([header, bad])).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    }
  });

  it('a block that fails four times fails the run, which says why', async () => {
    const result = cluster.coordinator.result(runId);
    for (let n = 0; n < 4; n++) {
      const [lease] = await worker.lease(1);
      await worker.returnLeases([lease!.leaseId], 'the device is on fire', 'STOA_DEVICE');
    }
    await expect(result).rejects.toMatchObject({
      code: 'STOA_RUN_FAILED',
      message: expect.stringMatching(/4 times.*the device is on fire/),
    });
  });

  it('a system that is not positive definite fails the run at once', async () => {
    const [lease] = await worker.lease(1);
    await worker.returnLeases(
      [lease!.leaseId],
      'row 3 has pivot -1; raise regularization',
      'STOA_NUMERIC_PIVOT',
    );
    await expect(cluster.coordinator.result(runId)).rejects.toMatchObject({
      message: expect.stringContaining('row 3 has pivot -1'),
    });
  });
});

describe('reads', () => {
  it('the initial items are those of the seed, in the ranges asked', async () => {
    await worker.lease(1);
    const ranges = [
      { rowStart: 3, rowEnd: 9 },
      { rowStart: 20, rowEnd: 21 },
    ];
    const chunks = await worker.pull({ runId, side: 'SIDE_ITEMS', clock: 0, ranges });
    expect(chunks.map(({ chunk }) => chunk!.rowStart)).toEqual([3, 20]);
    const expected = new Float32Array(6 * FACTORS);
    initFactors(expected, { seed: 3, side: 'items', rowStart: 3, rowEnd: 9, factors: FACTORS, stdDev: 0.1 });
    expect(decodeRows(chunks[0]!.chunk!, FACTORS)).toEqual(expected);
    const whole = await worker.pull({ runId, side: 'SIDE_ITEMS', clock: 0 });
    expect(whole.reduce((sum, { chunk }) => sum + chunk!.rows.length, 0)).toBe(ITEMS * FACTORS * 4);
  });

  it('the Gram that blocks read comes with their leases', async () => {
    const { leases, fixedGram } = await worker.leaseOrPrepare('first', runId);
    const wanted = { runId, side: 'SIDE_ITEMS' as const, clock: leases[0]!.fixedClock };
    const gram = await answered((done) => worker.parameters.GetGram(wanted, done));
    expect(fixedGram).toEqual({ ...wanted, gram });
    const again = { sessionId: worker.sessionId, count: 1, waitDuration: { seconds: 5 } };
    const ask = (requestId: string, knownGram: FixedGram) =>
      answered<LeaseBlocksResponse__Output>((done) =>
        worker.worker.LeaseBlocks({ ...again, requestId, knownGram }, done),
      );
    expect((await ask('known', wanted)).fixedGram).toBeNull();
    expect((await ask('other', { ...wanted, clock: wanted.clock + 1 })).fixedGram).toEqual(fixedGram);
  });

  it('a clock that is not kept, and a run that is not in progress, are ABORTED', async () => {
    await worker.lease(1);
    for (const request of [
      { runId, side: 'SIDE_USERS' as const, clock: 1 },
      { runId, side: 'SIDE_ITEMS' as const, clock: 7 },
      { runId: 'another', side: 'SIDE_ITEMS' as const, clock: 0 },
    ]) {
      await expect(worker.pull(request)).rejects.toMatchObject({ code: status.ABORTED });
      await expect(answered((done) => worker.parameters.GetGram(request, done))).rejects.toMatchObject({
        code: status.ABORTED,
      });
    }
  });

  it.each([
    [[{ rowStart: 5, rowEnd: 5 }]],
    [[{ rowStart: 0, rowEnd: ITEMS + 1 }]],
    [
      [
        { rowStart: 4, rowEnd: 9 },
        { rowStart: 8, rowEnd: 12 },
      ],
    ],
  ])('ranges %j are refused', async (ranges) => {
    await worker.lease(1);
    await expect(worker.pull({ runId, side: 'SIDE_ITEMS', clock: 0, ranges })).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });

  it('a file that the manifest does not name is not sent, whatever it is called', async () => {
    await worker.lease(1);
    for (const file of ['../run/run.json', '/etc/passwd', 'manifest.json', '', '__proto__']) {
      const read = async () => {
        for await (const _ of worker.worker.FetchDatasetFile({ runId, file }));
      };
      await expect(read()).rejects.toMatchObject({ code: status.NOT_FOUND });
    }
  });
});
