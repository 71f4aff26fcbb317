// One simulated federation: institutions, a network, a coordinator with a disk, and what goes wrong, from one seed.

import { messageOf } from '../../../common/errors.js';
import { createRandom } from '../../../common/random.js';
import { EventQueue } from '../../simulation/event-queue.js';
import type { Outcome } from '../../simulation/simulate-run.js';
import { SimulatedNetwork } from '../../simulation/simulated-network.js';
import { Trace } from '../../simulation/trace.js';
import { RoundOracle } from './round-oracle.js';
import { SimulatedHost } from './simulated-host.js';
import { SimulatedInstitution } from './simulated-institution.js';
import { drawPlan } from './simulated-plan.js';

/** Once faults have stopped, a run that takes longer than this will never end, ms. */
const PATIENCE_MS = 1_200_000;
const EVENTS_MAX = 500_000;

export interface RoundsOutcome extends Outcome {
  /** Rounds that counted. */
  readonly rounds: number;
}

/** @param isTraced keep the last events even if nothing was wrong. */
export function simulateRounds(seed: number, isTraced = false): RoundsOutcome {
  const random = createRandom(seed, 1);
  const queue = new EventQueue();
  const trace = new Trace();
  const plan = drawPlan(seed);
  const rate = 0.9 + 0.2 * random.next();
  const backMs = random.int(3) === 0 ? 3000 : 0;
  const oracle = new RoundOracle(plan, () => queue.nowMs, { rate, backMs });
  const calmMs = 2000 + random.next() * 25_000;
  const harsh = random.next();
  const network = new SimulatedNetwork(queue, random, {
    loss: 0.15 * harsh,
    duplication: 0.2 * harsh,
    delayMs: 1 + random.next() * 150,
    stall: 0.04 * harsh,
    corruption: 0,
    calmMs,
  });
  const isCalm = () => network.isCalm;
  const host = new SimulatedHost(
    { queue, random, trace, oracle, plan, isCalm },
    {
      diskMs: random.next() * 20,
      deaths: 0.02 * harsh,
      clock: { offsetMs: random.next() * 1e6, rate, backMs },
    },
  );
  const institutions: SimulatedInstitution[] = [];
  const { uploadMs } = plan.rounds.timing;
  const join = (isReliable = false): void => {
    const isSlow = !isReliable && random.int(8) === 0;
    const world = { queue, random, network, host, oracle, trace, plan };
    const one = new SimulatedInstitution(world, {
      index: institutions.length,
      // From a hundred times faster than it has to be to twice too slow.
      computeMs: isSlow ? uploadMs * (0.5 + 1.5 * random.next()) : 0.5 * uploadMs * random.next() ** 4,
      refusals: isReliable || random.int(4) > 0 ? 0 : 0.4 * random.next(),
      isPushy: !isReliable && random.int(6) === 0,
    });
    institutions.push(one);
    if (isReliable) one.calm();
  };
  const count = plan.rounds.cohortMin + random.int(6);
  for (let n = 0; n < count; n++) queue.after(random.next() ** 3 * 8000, () => join());
  const faults = planFaults({ queue, random, network, host, institutions, calmMs, join }, random.int(25));
  if (random.int(12) === 0) queue.at(random.next() * calmMs, () => host.stop());
  queue.at(calmMs, () => {
    for (const one of institutions) one.calm();
  });
  // Whoever else is gone, there are enough in the end.
  queue.at(calmMs + 500, () => {
    for (let n = 0; n < plan.rounds.cohortMin; n++) join(true);
  });

  let events = 0;
  try {
    while (host.ended === undefined && oracle.violation === undefined && events < EVENTS_MAX) {
      if (!queue.step() || queue.nowMs > calmMs + PATIENCE_MS) break;
      events++;
    }
  } catch (error) {
    oracle.wrong(messageOf(error));
  }
  const complaint =
    oracle.violation ??
    (host.ended === undefined ? `the run never ended (at ${queue.nowMs.toFixed(0)} ms)` : undefined);
  return {
    seed,
    complaint,
    family: `${plan.solver.name}${plan.rounds.isMasked ? ', masked' : ''}`,
    endMs: queue.nowMs,
    events,
    rounds: oracle.rounds,
    workers: institutions.length,
    counts: { ...host.counts, ...network.counts, [host.ended?.outcome ?? 'never']: 1 },
    faults,
    trace: isTraced || complaint !== undefined ? trace.lines() : [],
  };
}

interface FaultWorld {
  readonly queue: EventQueue;
  readonly random: ReturnType<typeof createRandom>;
  readonly network: SimulatedNetwork;
  readonly host: SimulatedHost;
  readonly institutions: readonly SimulatedInstitution[];
  readonly calmMs: number;
  readonly join: () => void;
}

function planFaults(world: FaultWorld, count: number): Record<string, number> {
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
  'participant restarts': (world) => withVictim(world, (one) => one.crash(durationOf(world, 4000))),
  'participant is away for long': (world) => withVictim(world, (one) => one.crash(durationOf(world, 25_000))),
  'participant freezes': (world) => withVictim(world, (one) => one.freeze(durationOf(world, 12_000))),
  'participant leaves': (world) => withVictim(world, (one) => one.leave()),
  'participant joins': ({ join }) => {
    join();
    return true;
  },
  'coordinator restarts': ({ host, random }) => {
    host.crash(random.next() * 6000);
    return true;
  },
  'coordinator freezes': (world) => {
    world.host.freeze(durationOf(world, 10_000));
    return true;
  },
  partition: (world) => {
    const forMs = durationOf(world, 12_000);
    for (const { id } of world.institutions) {
      if (world.random.next() < 0.5) continue;
      world.network.cut(id, 'c', forMs);
      world.network.cut('c', id, forMs);
    }
    return true;
  },
  'one-way cut': (world) =>
    withVictim(world, ({ id }) => {
      const [from, to] = world.random.next() < 0.5 ? [id, 'c'] : ['c', id];
      world.network.cut(from!, to!, durationOf(world, 12_000));
    }),
};

function withVictim(
  { institutions, random }: FaultWorld,
  happen: (one: SimulatedInstitution) => void,
): boolean {
  const alive = institutions.filter((one) => !one.isGone);
  if (alive.length === 0) return false;
  happen(alive[random.int(alive.length)]!);
  return true;
}

/** Never beyond the calm. */
function durationOf({ queue, random, calmMs }: FaultWorld, msMax: number): number {
  return Math.max(0, Math.min(random.next() * msMax, calmMs - queue.nowMs));
}
