// One simulated run: a cluster, a network and faults, all drawn from one seed.

import { createRandom } from '../../common/random.js';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import type { RunTask } from '../../coordinator/schedule/events.js';
import type { Side } from '../../models/csr.js';
import { EventQueue } from './event-queue.js';
import { SimulatedCoordinator } from './simulated-coordinator.js';
import { SimulatedNetwork } from './simulated-network.js';
import { SimulatedWorker } from './simulated-worker.js';

/** After this much simulated time every run must have ended. */
const PATIENCE_MS = 600_000;

export interface Outcome {
  seed: number;
  ended?: { outcome: string; reason?: string };
  violation?: string;
  endMs: number;
  counts: SimulatedCoordinator['counts'];
  /** Workers that crashed, froze or left. */
  faults: number;
  isStopped: boolean;
}

export function simulateRun(seed: number): Outcome {
  const random = createRandom(seed, 1);
  const queue = new EventQueue();
  const task = drawTask(seed);
  // Leases that are often too short, so that expiry is met; enough losses that chaos alone fails nobody.
  const timing = { leaseMsFirst: 6000, leaseMsMin: 300 + random.int(4000), failuresMax: 50, lossesMax: 50 };
  const coordinator = new SimulatedCoordinator(queue, random, task, timing);
  const calmMs = 1000 + random.next() * 30_000;
  const harsh = random.next();
  const network = new SimulatedNetwork(
    queue,
    random,
    { loss: 0.2 * harsh, duplication: 0.2 * harsh, delayMs: 1 + random.next() * 200, stall: 0.05 * harsh },
    calmMs,
  );
  const world = { queue, random, network, coordinator };
  const workers: SimulatedWorker[] = [];
  const join = () => {
    const threads = 1 + random.int(3);
    const msPerWork = 0.2 + random.next() * 3;
    const name = `w${random.int(4)}`;
    workers.push(new SimulatedWorker(world, { name, threads, msPerWork, failure: 0.02 * harsh }));
  };
  for (let n = random.int(4); n >= 0; n--) queue.after(random.next() * 2000, join);
  // Whatever became of the others, somebody is there in the end.
  queue.at(calmMs + 1000, join);
  const faults = scheduleFaults({ queue, random, coordinator, workers, join, calmMs });
  const isStopped = random.next() < 0.1;
  if (isStopped) queue.at(random.next() * 20_000, () => coordinator.stop());
  queue.after(random.next() * 1000, () => coordinator.start());
  while (coordinator.ended === undefined && coordinator.violation === undefined) {
    if (!queue.step() || queue.nowMs > PATIENCE_MS) break;
  }
  const { ended, violation, counts } = coordinator;
  return { seed, ended, violation, endMs: queue.nowMs, counts, faults: faults(), isStopped };
}

function scheduleFaults(world: {
  queue: EventQueue;
  random: ReturnType<typeof createRandom>;
  coordinator: SimulatedCoordinator;
  workers: SimulatedWorker[];
  join: () => void;
  calmMs: number;
}): () => number {
  const { queue, random, coordinator, workers, join, calmMs } = world;
  let faults = 0;
  for (let n = random.int(8); n > 0; n--) {
    queue.at(random.next() * calmMs, () => {
      const alive = workers.filter((worker) => !worker.isGone);
      const victim = alive[random.int(Math.max(1, alive.length))];
      const kind = random.int(6);
      if (kind === 5) return coordinator.freeze(random.next() * 10_000);
      if (victim === undefined) return;
      faults++;
      if (kind === 0) victim.crash();
      else if (kind === 1) victim.freeze(random.next() * 15_000);
      else if (kind === 2) victim.leave();
      else if (kind === 3) {
        victim.crash();
        queue.after(random.next() * 3000, join);
      } else join();
    });
  }
  return () => faults;
}

function drawTask(seed: number): RunTask {
  const random = createRandom(seed, 2);
  const blocksOf = (side: Side): PlanBlock[] => {
    const shards = 1 + random.int(3);
    return Array.from({ length: 1 + random.int(16) }, (_, index) => {
      const work = 20 + random.int(300);
      const shard = index % shards;
      return { side, index, shard, rowStart: index * 7, rowEnd: index * 7 + 7, interactions: work, work };
    });
  };
  const phaseStart = random.int(3);
  return {
    runId: 'run',
    solver: 'cholesky',
    factors: 8,
    blocks: { users: blocksOf('users'), items: blocksOf('items') },
    phaseStart,
    phaseEnd: phaseStart + 1 + random.int(5),
  };
}
