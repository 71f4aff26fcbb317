// Workers are told of a run before its first blocks are lent: the waiting alone, where shards are at home, and the
// whole over real sockets.

import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import { Homes, shardsAtHome } from '../../coordinator/schedule/homes.js';
import { Pace } from '../../coordinator/schedule/pace.js';
import type { Session } from '../../coordinator/schedule/sessions.js';
import { Preparation, type UpcomingRun } from '../../coordinator/training/preparation.js';
import type { Side } from '../../models/csr.js';
import { randomInteractions, writeInteractions } from '../support/random-dataset.js';
import { RawWorker } from '../support/raw-worker.js';
import { temporaryFolder } from '../support/small-data.js';
import { TrainingCluster } from '../support/training-cluster.js';

const upcomingRun = (id: string) => ({ run: { id }, data: {} }) as unknown as UpcomingRun;
const never = new Promise<string>(() => {});
const atOnce = Promise.resolve();

describe('who waits for an answer', () => {
  it('gets the answer while no run is about to begin', async () => {
    expect(await new Preparation().orUpcoming(Promise.resolve('lent'), '')).toBe('lent');
  });

  it('is told of a run that is announced meanwhile, and of one that was before', async () => {
    const preparation = new Preparation();
    const waiting = preparation.orUpcoming(never, '');
    const run = upcomingRun('a');
    await preparation.announce(run, atOnce);
    expect(await waiting).toBe(run);
    expect(await preparation.orUpcoming(never, 'an earlier one')).toBe(run);
  });

  it('is not told twice', async () => {
    const preparation = new Preparation();
    await preparation.announce(upcomingRun('a'), atOnce);
    expect(await preparation.orUpcoming(Promise.resolve('lent'), 'a')).toBe('lent');
  });

  it('is told nothing of a run whose blocks are lent already, even where its time came later', async () => {
    const preparation = new Preparation();
    let come = () => {};
    const announced = preparation.announce(
      upcomingRun('a'),
      new Promise((resolve) => {
        come = resolve;
      }),
    );
    preparation.clear();
    come();
    await announced;
    expect(preparation.upcoming).toBeUndefined();
    expect(await preparation.orUpcoming(Promise.resolve('lent'), '')).toBe('lent');
  });

  it('hears of a call that fails', async () => {
    await expect(new Preparation().orUpcoming(Promise.reject(new Error('over')), '')).rejects.toThrow('over');
  });
});

describe('shards to read beforehand', () => {
  const anySessions = fc.array(
    fc.record({ threads: fc.integer({ min: 1, max: 16 }), gflops: fc.integer({ min: 0, max: 200 }) }),
    { minLength: 1, maxLength: 6 },
  );

  it('are shared among the workers as the blocks will be', () => {
    fc.assert(
      fc.property(anySessions, fc.integer({ min: 1, max: 40 }), (workers, shards) => {
        const sessions = workers.map((worker, n) => {
          const info = { ...worker, sessionId: `s${n}`, name: `w${n}` };
          return { info, key: info.name, lastHeardMs: 0 } as unknown as Session;
        });
        const homes = new Homes();
        homes.setSessions(sessions);
        for (const side of ['users', 'items'] satisfies Side[]) {
          const homeOf = (shard: number) =>
            homes.homeOf({ side, shard, index: shard } as PlanBlock, new Pace());
          for (const { info } of sessions) {
            const expected = Array.from({ length: shards }, (_, shard) => shard).filter(
              (shard) => homeOf(shard) === info.sessionId,
            );
            expect(shardsAtHome(sessions, info.sessionId, side, shards)).toEqual(expected);
          }
        }
      }),
    );
  });
});

describe('over the wire', () => {
  let folder: string;
  let remove: () => Promise<void>;
  let cluster: TrainingCluster;
  let worker: RawWorker;

  beforeEach(async () => {
    ({ folder, remove } = await temporaryFolder());
    cluster = await TrainingCluster.start(folder, { timing: { sessionTimeoutMs: 600_000 } });
    // Large enough that planning takes longer than a call.
    const data = randomInteractions({ users: 20_000, items: 3000, perUser: 4 });
    await writeInteractions(path.join(folder, 'data'), data);
    worker = new RawWorker(cluster.coordinator.address);
    await worker.register();
  });

  afterEach(async () => {
    worker.close();
    await cluster.close();
    await remove();
  });

  const submit = () =>
    cluster.submit({
      dataset: path.join(folder, 'data'),
      runDir: path.join(folder, 'run'),
      settings: { 'ials.factors': 64, 'train.epochs': 1 },
    });

  it('a worker that asks is told once, and the same request then gets the first block', async () => {
    const waiting = worker.leaseOrPrepare('request-1');
    const runId = await submit();
    const { leases, prepare } = await waiting;
    expect(leases).toEqual([]);
    const all = Array.from({ length: 6 }, (_, shard) => shard);
    expect(prepare).toEqual({ runId, userShards: all, itemShards: all });
    expect(await worker.spec(runId)).toMatchObject({ runId, users: 20_000, items: 3000, factors: 64 });
    const then = await worker.leaseOrPrepare('request-1', runId);
    expect(then.prepare).toBeNull();
    expect(then.leases).toMatchObject([{ runId, side: 'SIDE_USERS', block: 0 }]);
    const { leaseId } = then.leases[0]!;
    expect((await worker.leaseOrPrepare('request-1', runId)).leases).toMatchObject([{ leaseId }]);
  });

  it('a worker that does not ask gets its block without a detour', async () => {
    const waiting = worker.lease(1, 'request-1');
    const runId = await submit();
    expect(await waiting).toMatchObject([{ runId, block: 0 }]);
  });
});
