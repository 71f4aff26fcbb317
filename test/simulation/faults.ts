// What goes wrong with machines, drawn before the run begins: nothing of it after the calm.

import type { Random } from '../../common/random.js';
import type { EventQueue } from './event-queue.js';
import type { SimulatedCoordinator } from './simulated-coordinator.js';
import type { SimulatedNetwork } from './simulated-network.js';
import type { SimulatedWorker } from './simulated-worker.js';

export interface FaultWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly coordinator: SimulatedCoordinator;
  readonly workers: readonly SimulatedWorker[];
  readonly calmMs: number;
  /** A worker joins, on the node of one that was there before or on a new one. */
  readonly join: (node?: string) => void;
}

/** Plans so many faults; returns how many of each kind came true so far. */
export function planFaults(world: FaultWorld, count: number): Record<string, number> {
  const { queue, random, calmMs } = world;
  const counts: Record<string, number> = {};
  const kinds = Object.keys(FAULTS);
  for (let n = 0; n < count; n++) {
    const kind = kinds[random.int(kinds.length)]!;
    queue.at(random.next() * calmMs, () => {
      if (FAULTS[kind]!(world)) counts[kind] = (counts[kind] ?? 0) + 1;
    });
  }
  return counts;
}

/** Each answers whether there was anybody for it to happen to. */
const FAULTS: Readonly<Record<string, (world: FaultWorld) => boolean>> = {
  'worker crashes': (world) => withVictim(world, (worker) => worker.crash()),
  'worker restarts': (world) =>
    withVictim(world, (worker) => {
      worker.crash();
      world.queue.after(world.random.next() * 3000, () => world.join(worker.node));
    }),
  'worker leaves': (world) => withVictim(world, (worker) => worker.leave()),
  'worker freezes': (world) => withVictim(world, (worker) => worker.freeze(durationOf(world, 15_000))),
  'worker joins': ({ join }) => {
    join();
    return true;
  },
  'coordinator restarts': ({ coordinator, random }) => {
    coordinator.crash(random.next() * 5000);
    return true;
  },
  'coordinator freezes': (world) => {
    world.coordinator.freeze(durationOf(world, 10_000));
    return true;
  },
  pause: ({ coordinator, queue, random }) => {
    coordinator.pause();
    queue.after(random.next() * 6000, () => coordinator.resume());
    return true;
  },
  partition: (world) => {
    const forMs = durationOf(world, 12_000);
    for (const { node } of world.workers) {
      if (world.random.next() < 0.5) continue;
      world.network.cut(node, 'c', forMs);
      world.network.cut('c', node, forMs);
    }
    return true;
  },
  'one-way cut': (world) =>
    withVictim(world, ({ node }) => {
      const [from, to] = world.random.next() < 0.5 ? [node, 'c'] : ['c', node];
      world.network.cut(from!, to!, durationOf(world, 12_000));
    }),
};

function withVictim({ workers, random }: FaultWorld, happen: (worker: SimulatedWorker) => void): boolean {
  const alive = workers.filter((worker) => !worker.isGone);
  if (alive.length === 0) return false;
  happen(alive[random.int(alive.length)]!);
  return true;
}

/** Never beyond the calm. */
function durationOf({ queue, random, calmMs }: FaultWorld, msMax: number): number {
  return Math.max(0, Math.min(random.next() * msMax, calmMs - queue.nowMs));
}
