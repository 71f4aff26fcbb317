// One simulated life of a few coordinators that stand in for one another, or of one alone: who leads, what is journaled
// and acknowledged, what is lent, all drawn from one seed.

import { messageOf } from '../../../common/errors.js';
import { createRandom } from '../../../common/random.js';
import type { JournalState } from '../../../coordinator/journal/journal-state.js';
import { LeaderTerms } from '../../../worker/leader-terms.js';
import { EventQueue } from '../event-queue.js';
import type { Outcome } from '../simulate-run.js';
import { Trace } from '../trace.js';
import { type Change, LeaderOracle } from './leader-oracle.js';
import { LeaderProcess, type LeaderWorld } from './leader-process.js';
import { SimulatedEtcd } from './simulated-etcd.js';
import { SimulatedJournalDisk } from './simulated-journal-disk.js';

/** In which somebody leads again once faults have stopped: the longest lease, and what a claim takes, ms. */
const CALM_MS = 25_000;
const TTLS_MS = [2000, 3000, 5000, 10_000] as const;
const WORKERS = 3;

export function simulateLeaders(seed: number, isTraced = false): Outcome {
  const random = createRandom(seed, 3);
  const queue = new EventQueue();
  const trace = new Trace();
  const oracle = new LeaderOracle(() => queue.nowMs);
  const calmMs = 5000 + random.next() * 25_000;
  const isAlone = random.int(4) === 0;
  const cuts = new Map<string, number>();
  const etcd = isAlone ? undefined : new SimulatedEtcd(() => queue.nowMs);
  const world: LeaderWorld = {
    queue,
    random,
    oracle,
    trace,
    disk: new SimulatedJournalDisk(random),
    etcd,
    ttlMs: TTLS_MS[random.int(TTLS_MS.length)]!,
    isCalm: () => queue.nowMs >= calmMs,
    isEtcdCut: (name) => Math.max(cuts.get(name) ?? 0, cuts.get('all') ?? 0) > queue.nowMs,
  };
  const count = isAlone ? 1 : 2 + random.int(2);
  const processes = Array.from({ length: count }, (_, n) => new LeaderProcess(world, `c${n}`));
  const faults = planFaults(world, { processes, cuts, calmMs, count: random.int(14) });
  for (let n = 0; n < 2; n++) askForChanges(world, processes, calmMs + CALM_MS - 3000);
  for (let n = 0; n < WORKERS; n++) startWorker(world, processes, `w${n}`);

  let events = 0;
  try {
    while (oracle.violation === undefined && queue.nowMs < calmMs + CALM_MS && queue.step()) events++;
    const leaders = processes.flatMap(({ leading }) => leading ?? []);
    oracle.ended(leaders[0]?.term, leaders[0]?.state);
  } catch (error) {
    oracle.expect(false, () => messageOf(error));
  }
  const { torn, vanished } = world.disk;
  return {
    seed,
    complaint: oracle.violation,
    family: isAlone ? 'alone' : 'leaders',
    endMs: queue.nowMs,
    events,
    workers: WORKERS,
    counts: { ...oracle.counts, torn, vanished },
    faults,
    trace: isTraced || oracle.violation !== undefined ? trace.lines() : [],
  };
}

/** Somebody who asks any coordinator for one change after another. */
function askForChanges({ queue, random }: LeaderWorld, processes: readonly LeaderProcess[], untilMs: number) {
  const next = (): void => {
    if (queue.nowMs > untilMs) return;
    processes[random.int(processes.length)]!.change(
      (state) => drawChange(state, random.int(1e9), (n) => random.int(n)),
      () => {},
    );
    queue.after(random.next() * 500, next);
  };
  next();
}

function drawChange(state: JournalState, mark: number, int: (n: number) => number): Change | undefined {
  const runs = [...state.runs.values()];
  const kind = int(10);
  if (kind === 0 || runs.length === 0) return { kind: 'submitted', run: `run-${mark}`, mark };
  if (kind === 1) return { kind: 'promotion', mark };
  const { record, phases } = runs[int(runs.length)]!;
  const run = record.run_id;
  if (kind < 4) return { kind: 'run', run, mark };
  const last = phases.at(-1)?.next_phase ?? 0;
  // Now and then a run has fallen back to an earlier checkpoint.
  const nextPhase = int(6) === 0 ? 1 + int(last + 1) : last + 1;
  return { kind: 'phase', run, mark, nextPhase };
}

/** A worker that looks for the leader, is lent blocks and delivers them. */
function startWorker(
  { queue, random, oracle }: LeaderWorld,
  processes: readonly LeaderProcess[],
  name: string,
) {
  const terms = new LeaderTerms();
  let latest = 0;
  const work = (): void => {
    const coordinator = processes[random.int(processes.length)]!;
    coordinator.join((term) => {
      try {
        terms.observe(term, coordinator.name);
      } catch {
        return;
      }
      oracle.taken(name, term, latest);
      latest = Math.max(latest, term);
      coordinator.lease(name, (lease) => {
        queue.after(random.next() * 3000, () => coordinator.deliver(name, lease));
      });
    });
    queue.after(random.next() * 600, work);
  };
  queue.after(random.next() * 600, work);
}

interface Targets {
  processes: readonly LeaderProcess[];
  cuts: Map<string, number>;
  calmMs: number;
  count: number;
}

/** @returns how many of each kind came true so far. */
function planFaults(world: LeaderWorld, { processes, cuts, calmMs, count }: Targets): Record<string, number> {
  const { queue, random, etcd, ttlMs } = world;
  const counts: Record<string, number> = {};
  const lastingMs = (msMax: number) => Math.max(0, Math.min(random.next() * msMax, calmMs - queue.nowMs));
  const victim = () => {
    const leader = processes.find(({ leading }) => leading !== undefined);
    return leader !== undefined && random.int(2) === 0 ? leader : processes[random.int(processes.length)]!;
  };
  const cut = (name: string, forMs = lastingMs(12_000)) =>
    cuts.set(name, Math.max(cuts.get(name) ?? 0, queue.nowMs + forMs));
  const kinds: Record<string, () => void> = {
    'coordinator dies': () => victim().crash(random.next() * 4000),
    'coordinator sleeps': () => victim().freeze(lastingMs(15_000)),
    ...(etcd && {
      'etcd unreachable': () => cut('all'),
      'etcd unreachable for one': () => cut(victim().name),
      // After all leases there were, as is said of a replacement in the documentation.
      'etcd replaced': () => {
        if (queue.nowMs + 2 * ttlMs > calmMs) return;
        cut('all', 1.2 * ttlMs);
        queue.after(1.15 * ttlMs, () => etcd.replace());
      },
    }),
  };
  const names = Object.keys(kinds);
  for (let n = 0; n < count; n++) {
    const kind = names[random.int(names.length)]!;
    queue.at(random.next() * calmMs, () => {
      counts[kind] = (counts[kind] ?? 0) + 1;
      kinds[kind]!();
    });
  }
  return counts;
}
