// Workers of very different speed in one run: the real schedule, workers that solve one block after another, and what
// the slow one may cost. The ideal time of a phase is its work by the speed of all together.

import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import type { RunTask } from '../../coordinator/schedule/events.js';
import { Schedule } from '../../coordinator/schedule/schedule.js';
import type { Side } from '../../models/csr.js';
import { EventQueue } from './event-queue.js';

/** As planned blocks are, in flops. */
const BLOCK_WORK = 0.25e9;
const TICK_MS = 100;

interface MixedWorker {
  name: string;
  /** What it really does. */
  gflops: number;
  /** What it says that it does; 0: nothing. */
  announced: number;
}

interface PhaseTime {
  ms: number;
  blocksOf: Record<string, number>;
}

/** Runs phases of `blocks` blocks each. */
function simulate(
  workers: readonly MixedWorker[],
  blocks: number,
  phases: number,
  seed: number,
  sync?: RunTask['sync'],
): PhaseTime[] {
  const queue = new EventQueue();
  const random = createRandom(seed, 4);
  const schedule = new Schedule();
  const times: PhaseTime[] = [];
  const held = new Map<string, number[]>(workers.map(({ name }) => [name, []]));
  const busy = new Set<string>();
  let openedMs = 0;
  let current: PhaseTime = { ms: 0, blocksOf: {} };
  let requests = 0;
  let hasEnded = false;

  const send = (event: Parameters<Schedule['receive']>[0]): void => {
    schedule.receive(event, queue.nowMs);
    carryOut();
  };
  const ask = (name: string): void => {
    // As a worker does: what it solves, and as much waiting behind.
    const count = 2 - held.get(name)!.length;
    if (count <= 0 || hasEnded) return;
    const requestId = `r${++requests}`;
    send({ type: 'leaseRequested', sessionId: name, requestId, count, waitMs: 10_000 });
  };
  const work = (name: string): void => {
    const leaseId = held.get(name)![0];
    if (busy.has(name) || leaseId === undefined) return;
    busy.add(name);
    const { block, phase, runId } = schedule.run!.leases.get(leaseId)!;
    const { gflops } = workers.find((worker) => worker.name === name)!;
    const ms = ((block.work / gflops) * (0.8 + 0.4 * random.next())) / 1e6;
    queue.after(ms, () => {
      busy.delete(name);
      held.set(name, held.get(name)!.slice(1));
      const result = { runId, side: phase.side, block: block.index, clock: phase.priorClock + 1 };
      send({ type: 'blockDone', sessionId: name, leaseId, result, deliveryId: 1 });
      ask(name);
      work(name);
    });
  };
  const carryOut = (): void => {
    for (const effect of schedule.drain()) {
      if (effect.type === 'leasesGranted') {
        const name = effect.sessionId;
        held.get(name)!.push(...effect.leases.map(({ leaseId }) => leaseId));
        queue.after(1, () => {
          ask(name);
          work(name);
        });
      } else if (effect.type === 'phaseOpened') {
        openedMs = queue.nowMs;
        current = { ms: 0, blocksOf: {} };
      } else if (effect.type === 'blockSettled' && effect.disposition === 'accepted') {
        const { sessionId } = effect;
        current.blocksOf[sessionId] = (current.blocksOf[sessionId] ?? 0) + 1;
      } else if (effect.type === 'phaseCompleted') {
        times.push({ ...current, ms: queue.nowMs - openedMs });
        // Backups of blocks that are done end with their phase.
        for (const name of held.keys()) held.set(name, busy.has(name) ? held.get(name)!.slice(0, 1) : []);
        queue.after(1, () => {
          send({ type: 'phaseCommitted' });
          for (const { name } of workers) ask(name);
        });
      } else if (effect.type === 'runEnded') hasEnded = true;
    }
  };
  const tick = (): void => {
    for (const { name } of workers) send({ type: 'heartbeat', sessionId: name });
    schedule.tick(queue.nowMs);
    carryOut();
    if (!hasEnded) queue.after(TICK_MS, tick);
  };

  for (const { name, announced } of workers) {
    const session = {
      sessionId: name,
      name,
      threads: 1,
      solvers: ['cholesky'],
      gathers: ['f32'],
      reproducibilityKey: '',
      gflops: announced,
      factorsMax: 64,
    };
    send({ type: 'workerJoined', session });
  }
  const blocksOf = (side: Side): PlanBlock[] =>
    Array.from({ length: blocks }, (_, index) => {
      const work = BLOCK_WORK * (0.9 + 0.2 * random.next());
      return { side, index, shard: index % 4, rowStart: index, rowEnd: index + 1, interactions: 1, work };
    });
  const plan = { users: blocksOf('users'), items: blocksOf('items') };
  send({
    type: 'runStarted',
    run: {
      runId: 'run',
      solver: 'cholesky',
      factors: 8,
      blocks: plan,
      phaseStart: 0,
      phaseEnd: phases,
      sync,
    },
  });
  tick();
  for (const { name } of workers) ask(name);
  while (!hasEnded && queue.nowMs < 600_000) if (!queue.step()) break;
  expect(hasEnded).toBe(true);
  return times;
}

function idealMs(workers: readonly MixedWorker[], blocks: number): number {
  const all = workers.reduce((sum, { gflops }) => sum + gflops, 0);
  return (blocks * BLOCK_WORK) / all / 1e6;
}

const seeds = Array.from({ length: 20 }, (_, n) => n + 1);

describe('a fleet of a fast and a slow worker', () => {
  it.each([
    ['twenty times', 40, 2],
    ['three times', 12, 4],
  ])('takes hardly longer than its speed allows, %s apart, once it was timed', (_, fast, slow) => {
    const workers = [
      { name: 'fast', gflops: fast, announced: 0 },
      { name: 'slow', gflops: slow, announced: 0 },
    ];
    for (const seed of seeds) {
      const [, ...timed] = simulate(workers, 64, 6, seed);
      for (const { ms } of timed) expect(ms, `seed ${seed}`).toBeLessThan(1.35 * idealMs(workers, 64));
    }
  });

  it('of equal speed takes no longer than its last block makes it', () => {
    const workers = ['one', 'two', 'three'].map((name) => ({ name, gflops: 8, announced: 0 }));
    const blockMs = BLOCK_WORK / 8 / 1e6;
    for (const seed of seeds) {
      for (const { ms } of simulate(workers, 32, 4, seed)) {
        expect(ms, `seed ${seed}`).toBeLessThan(idealMs(workers, 32) + 1.3 * blockMs);
      }
    }
  });

  it.each([
    ['bsp', { kind: 'bsp' }],
    ['ssp:2', { kind: 'ssp', staleness: 2 }],
  ] as const)(
    'that is slow for good hands its work on under %s, which staleness alone does not do',
    (_, mode) => {
      const workers = [
        { name: 'fast', gflops: 12, announced: 0 },
        { name: 'slow', gflops: 4, announced: 0 },
      ];
      const clocks = 6;
      // With its half of the blocks for good, the slow worker would take this long.
      const fixedMs = ((32 * BLOCK_WORK) / 4 / 1e6) * clocks;
      for (const seed of seeds) {
        const [, ...timed] = simulate(workers, 64, 3, seed, { mode, clocksPerPhase: clocks });
        for (const { ms } of timed) {
          expect(ms, `seed ${seed}`).toBeLessThan(1.35 * clocks * idealMs(workers, 64));
          expect(ms, `seed ${seed}`).toBeLessThan(0.7 * fixedMs);
        }
      }
    },
  );

  it('is shared by speed', () => {
    const workers = [
      { name: 'fast', gflops: 12, announced: 12 },
      { name: 'slow', gflops: 4, announced: 4 },
    ];
    for (const seed of seeds) {
      for (const { blocksOf } of simulate(workers, 64, 4, seed)) {
        expect(blocksOf['slow']!, `seed ${seed}`).toBeGreaterThanOrEqual(12);
        expect(blocksOf['slow']!, `seed ${seed}`).toBeLessThanOrEqual(20);
      }
    }
  });

  it('loses no more than a slow block or two to a worker that was not timed yet', () => {
    const workers = [
      { name: 'fast', gflops: 40, announced: 0 },
      { name: 'slow', gflops: 2, announced: 0 },
    ];
    const slowBlockMs = BLOCK_WORK / 2 / 1e6;
    for (const seed of seeds) {
      const [first] = simulate(workers, 64, 2, seed);
      expect(first!.ms, `seed ${seed}`).toBeLessThan(idealMs(workers, 64) + 2.5 * slowBlockMs);
    }
  });

  it('leaves a worker that is too slow to be of use without blocks once it has said so', () => {
    const workers = [
      { name: 'fast', gflops: 100, announced: 100 },
      { name: 'snail', gflops: 0.1, announced: 0.1 },
    ];
    for (const { blocksOf } of simulate(workers, 32, 4, 1)) expect(blocksOf['snail'] ?? 0).toBe(0);
  });
});
