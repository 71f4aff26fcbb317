// What goes wrong with machines, drawn before the run begins: nothing of it after the calm.

import type { Random } from '../../common/random.js';
import type { EventQueue } from './event-queue.js';
import type { SimulatedCoordinator } from './simulated-coordinator.js';
import type { SimulatedHolder } from './simulated-holder.js';
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

/** Of a run with its rows in parameter processes. */
export interface HolderFaultWorld extends FaultWorld {
  readonly holders: ReadonlyMap<string, SimulatedHolder>;
  /** A process is started on a node. */
  readonly start: (node: string) => void;
}

type Faults<World> = Readonly<Record<string, (world: World) => boolean>>;

/** Plans so many faults; returns how many of each kind came true so far. */
export function planFaults<World extends FaultWorld>(
  world: World,
  faults: Faults<World>,
  count: number,
): Record<string, number> {
  const { queue, random, calmMs } = world;
  const counts: Record<string, number> = {};
  const kinds = Object.keys(faults);
  for (let n = 0; n < count; n++) {
    const kind = kinds[random.int(kinds.length)]!;
    queue.at(random.next() * calmMs, () => {
      if (faults[kind]!(world)) counts[kind] = (counts[kind] ?? 0) + 1;
    });
  }
  return counts;
}

/** Each answers whether there was anybody for it to happen to. */
export const FAULTS: Faults<FaultWorld> = {
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

/** What goes wrong with parameter processes. Each answers as those of `FAULTS`. */
export const HOLDER_FAULTS: Faults<HolderFaultWorld> = {
  'parameters crash': (world) =>
    withHolder(world, (holder) => {
      holder.crash();
      startLater(world, holder.node, 8000);
    }),
  'parameters restart': (world) =>
    withHolder(world, (holder) => {
      holder.crash();
      startLater(world, holder.node, 100);
    }),
  'parameters leave': (world) =>
    withHolder(world, (holder) => {
      holder.leave();
      startLater(world, holder.node, 10_000);
    }),
  'parameters freeze': (world) => withHolder(world, (holder) => holder.freeze(durationOf(world, 9000))),
  'parameters cut off': (world) =>
    withHolder(world, ({ node }) => {
      const others = ['c', ...world.workers.map((worker) => worker.node)];
      const forMs = durationOf(world, 15_000);
      const isOneWay = world.random.int(3) === 0;
      for (const other of others) {
        if (other !== 'c' && world.random.int(2) === 0) continue;
        world.network.cut(node, other, forMs);
        if (!isOneWay) world.network.cut(other, node, forMs);
      }
    }),
};

function withHolder(
  { holders, random }: HolderFaultWorld,
  happen: (holder: SimulatedHolder) => void,
): boolean {
  const alive = [...holders.values()].filter(({ isGone, isLeaving }) => !isGone && !isLeaving);
  if (alive.length === 0) return false;
  happen(alive[random.int(alive.length)]!);
  return true;
}

/** On the node of one that is gone, unless another has been started there by then. */
function startLater({ queue, random, holders, start }: HolderFaultWorld, node: string, msMax: number): void {
  queue.after(random.next() * msMax, () => {
    if (holders.get(node)?.isGone === true) start(node);
  });
}

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
