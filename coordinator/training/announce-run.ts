import type { Side } from '../../models/csr.js';
import { shardHomes } from '../schedule/homes.js';
import type { Preparation } from './preparation.js';
import type { Run } from './run.js';
import type { RunData } from './run-data.js';
import type { ScheduleHost } from './schedule-host.js';

/** Pairs of a worker and a shard that are placed in one go: some 10 ms. */
const PAIRS_MAX = 20_000;

/**
 * Tells workers of a run that is being planned, once those that it expects are there: where shards are kept depends on
 * who is. One that pushes and pulls has each worker read what it draws, and is not announced.
 */
export function announceRun(
  run: Run,
  data: RunData,
  {
    host,
    preparation,
    workersWaitMs,
  }: { host: ScheduleHost; preparation: Preparation; workersWaitMs: number },
): void {
  if (run.config.model !== 'ials') return;
  const workers = host.untilWorkers(run.expectedWorkers, workersWaitMs, run.stopping.signal);
  void preparation.announce(run.id, async () => {
    await workers;
    const { shards } = data.train.manifest;
    const { schedule } = host;
    // In a crowd each reads little, and to place all shards at once would hold up its calls.
    if (schedule.sessionCount * (shards.users.length + shards.items.length) > PAIRS_MAX) return undefined;
    const homesOf = (side: Side) => shardHomes(schedule.sessions(), side, shards[side].length);
    return { run, data, homes: { users: homesOf('users'), items: homesOf('items') } };
  });
}
