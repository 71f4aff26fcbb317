// One simulated run: a cluster, a network, disks, clocks and what goes wrong with them, all drawn from one seed.

import { messageOf } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import { EventQueue } from './event-queue.js';
import { FAULTS, HOLDER_FAULTS, planFaults } from './faults.js';
import { Oracle } from './oracle.js';
import { SimulatedCoordinator } from './simulated-coordinator.js';
import { SimulatedHolder } from './simulated-holder.js';
import { SimulatedNetwork } from './simulated-network.js';
import { drawPlan } from './simulated-plan.js';
import { type Lie, SimulatedWorker } from './simulated-worker.js';
import { Trace } from './trace.js';

/** Once faults have stopped, a run that takes longer than this will never end, ms. */
const PATIENCE_MS = 900_000;
/** More events than any run that ends: one that goes round in circles without time passing. */
const EVENTS_MAX = 2_000_000;

const LIES: readonly Lie[] = ['nan', 'shape', 'foreign-lease', 'other-block', 'other-clock', 'greed'];

export interface Outcome {
  readonly seed: number;
  /** What was wrong, one sentence; undefined: nothing. */
  readonly complaint?: string;
  readonly family: string;
  /** Its rows are in parameter processes. */
  readonly isPlaced?: boolean;
  readonly endMs: number;
  readonly events: number;
  readonly workers: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** The last events, for people. */
  readonly trace: readonly string[];
}

/** @param isTraced keep the last events even if nothing was wrong. */
export function simulateRun(seed: number, isTraced = false): Outcome {
  const random = createRandom(seed, 1);
  const queue = new EventQueue();
  const trace = new Trace();
  const plan = drawPlan(seed);
  const oracle = new Oracle(plan, () => queue.nowMs);
  const calmMs = 1000 + random.next() * 20_000;
  const harsh = random.next();
  const network = new SimulatedNetwork(queue, random, {
    loss: 0.15 * harsh,
    duplication: 0.2 * harsh,
    delayMs: 1 + random.next() * 150,
    stall: 0.04 * harsh,
    corruption: 0.05 * harsh,
    calmMs,
  });
  const holders = new Map<string, SimulatedHolder>();
  const holderAt = (node: string) => holders.get(node);
  const coordinator = new SimulatedCoordinator(
    { queue, random, oracle, trace, plan, isCalm: () => network.isCalm, network, holderAt },
    {
      // Leases that are often too short, so that expiry is met; enough losses that chaos alone fails nobody.
      timing: { leaseMsFirst: 6000, leaseMsMin: 300 + random.int(4000), failuresMax: 20, lossesMax: 50 },
      isWriteThrough: random.int(3) > 0,
      diskMs: { usual: 30, slow: 5000, slowShare: 0.3 * harsh },
      skew: {
        offsetMs: random.next() * 1e6,
        rate: 0.9 + 0.2 * random.next(),
        backMs: random.int(3) === 0 ? 3000 : 0,
      },
    },
  );
  const workers: SimulatedWorker[] = [];
  const join = (node = `w${workers.length}`, isHonest = false) => {
    // Where blocks are computed twice, many workers are simply wrong.
    const isAudited = plan.auditShare === 1;
    const lies = !isHonest && !network.isCalm && random.next() < (isAudited ? 0.5 : 0.3) * harsh;
    const known = plan.holders > 0 ? [...LIES, 'no-rows' as const] : LIES;
    const kinds = isAudited ? [...known, ...Array<Lie>(8).fill('wrong')] : known;
    const lie = lies ? { kind: kinds[random.int(kinds.length)]!, share: random.next() } : undefined;
    const worker = new SimulatedWorker(
      { queue, random, network, coordinator, oracle, trace, plan, holderAt },
      {
        node,
        // Some share a name.
        name: random.int(8) === 0 && lie?.kind !== 'wrong' ? 'worker' : node,
        threads: 1 + random.int(3),
        msPerWork: 0.5 + random.next() ** 3 * 20,
        failure: 0.02 * harsh,
        clockRate: 0.9 + 0.2 * random.next(),
        lie,
      },
    );
    workers.push(worker);
    if (network.isCalm) worker.calm();
  };
  const count = 3 + random.int(18);
  for (let n = 0; n < count; n++) queue.after(random.next() ** 2 * 10_000, () => join());
  const world = { queue, random, network, coordinator, workers, calmMs, join };
  const faults = planFaults(world, FAULTS, random.int(20));
  let holderFaults: Record<string, number> = {};
  if (plan.holders > 0) {
    // Drawn apart, so that runs without parameter processes are what they were.
    const chance = createRandom(seed, 5);
    const start = (node: string) => {
      const parts = { queue, random: chance, network, coordinator, oracle, trace };
      if (holders.get(node)?.isGone === false && !holders.get(node)!.isLeaving) return;
      holders.set(node, new SimulatedHolder(parts, node, 0.9 + 0.2 * chance.next()));
    };
    // At times one more than are needed.
    const count = plan.holders + chance.int(2);
    for (let n = 0; n < count; n++) queue.after(chance.next() * 3000, () => start(`p${n}`));
    holderFaults = planFaults({ ...world, random: chance, holders, start }, HOLDER_FAULTS, chance.int(20));
    queue.at(calmMs, () => {
      for (let n = 0; n < count; n++) {
        const holder = holders.get(`p${n}`);
        if (holder === undefined || holder.isGone || holder.isLeaving) start(`p${n}`);
      }
    });
  }
  if (random.int(10) === 0) queue.at(random.next() * calmMs, () => coordinator.stop());
  queue.at(calmMs, () => {
    for (const worker of workers) {
      if (worker.isGone) continue;
      if (worker.lies) worker.crash();
      else worker.calm();
    }
  });
  // Whatever became of the others, somebody honest is there in the end, and nobody holds the run up.
  queue.at(calmMs + 1000, () => coordinator.resume());
  queue.at(calmMs + 1000, () => join(undefined, true));

  let events = 0;
  try {
    while (coordinator.ended === undefined && oracle.violation === undefined && events < EVENTS_MAX) {
      if (!queue.step() || queue.nowMs > calmMs + PATIENCE_MS) break;
      events++;
    }
  } catch (error) {
    // An assertion of the machine itself.
    oracle.expect(false, () => messageOf(error));
  }
  const complaint = oracle.violation ?? complaintOf(coordinator.ended, queue.nowMs);
  return {
    seed,
    complaint,
    family: plan.sync?.mode.kind ?? 'phases',
    isPlaced: plan.holders > 0,
    endMs: queue.nowMs,
    events,
    workers: workers.length,
    counts: { ...coordinator.counts, ...network.counts },
    faults: { ...faults, ...holderFaults },
    trace: isTraced || complaint !== undefined ? trace.lines() : [],
  };
}

function complaintOf(ended: SimulatedCoordinator['ended'], nowMs: number): string | undefined {
  if (ended === undefined) return `the run never ended (at ${nowMs.toFixed(0)} ms)`;
  return ended.outcome === 'completed' ? undefined : `the run ${ended.outcome}: ${ended.reason}`;
}
