// The schedule, event by event: who gets which block when, and what late, double and lost results do.

import { beforeEach, describe, expect, it } from 'vitest';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import type {
  Lease,
  RunTask,
  ScheduleEffect,
  ScheduleEvent,
  SessionInfo,
} from '../../coordinator/schedule/events.js';
import { Schedule } from '../../coordinator/schedule/schedule.js';
import type { ScheduleTiming } from '../../coordinator/schedule/timing.js';
import type { Side } from '../../models/csr.js';

let schedule: Schedule;
let nowMs: number;
let effects: ScheduleEffect[];
let requests = 0;

function start(timing: Partial<ScheduleTiming> = {}): void {
  schedule = new Schedule(timing);
  nowMs = 1_000_000;
  effects = [];
}

beforeEach(() => start());

function send(event: ScheduleEvent): ScheduleEffect[] {
  schedule.receive(event, nowMs);
  const latest = schedule.drain();
  effects.push(...latest);
  return latest;
}

/** Ticks as the rim does, while `alive` send their heartbeats. */
function pass(ms: number, alive: string[] = []): ScheduleEffect[] {
  const from = effects.length;
  for (const end = nowMs + ms; nowMs < end; ) {
    nowMs += 100;
    for (const sessionId of alive) send({ type: 'heartbeat', sessionId });
    schedule.tick(nowMs);
    effects.push(...schedule.drain());
  }
  return effects.slice(from);
}

function join(sessionId: string, change: Partial<SessionInfo> = {}): void {
  const session = {
    sessionId,
    name: sessionId,
    threads: 1,
    solvers: ['cholesky'],
    gathers: ['f32'],
    reproducibilityKey: '',
    gflops: 0,
    factorsMax: 64,
    ...change,
  };
  send({ type: 'workerJoined', session });
}

const grantedIn = (some: readonly ScheduleEffect[]): readonly Lease[] =>
  some.flatMap((effect) => (effect.type === 'leasesGranted' ? effect.leases : []));

function lease(sessionId: string, count = 1, waitMs = 20_000): readonly Lease[] {
  return grantedIn(send({ type: 'leaseRequested', sessionId, requestId: `r${++requests}`, count, waitMs }));
}

function done({ sessionId, leaseId, runId, phase, block }: Lease): string {
  const result = { runId, side: phase.side, block: block.index, clock: phase.priorClock + 1 };
  const [settled] = send({ type: 'blockDone', sessionId, leaseId, result, deliveryId: 1 });
  return settled?.type === 'blockSettled' ? settled.disposition : 'nothing';
}

function blocksOf(side: Side, count: number, shards = 1): PlanBlock[] {
  return Array.from({ length: count }, (_, index) => ({
    side,
    index,
    shard: Math.floor((index * shards) / count),
    rowStart: index * 10,
    rowEnd: index * 10 + 10,
    interactions: 50,
    work: 1e6,
  }));
}

function run(users: number, items = 2, shards = 1, change: Partial<RunTask> = {}): void {
  send({
    type: 'runStarted',
    run: {
      runId: 'run',
      solver: 'cholesky',
      factors: 8,
      blocks: { users: blocksOf('users', users, shards), items: blocksOf('items', items) },
      phaseStart: 0,
      phaseEnd: 4,
      ...change,
    },
  });
}

const typesOf = (some: readonly ScheduleEffect[]) => some.map(({ type }) => type);
const ended = () => effects.find((effect) => effect.type === 'runEnded');

describe('phases', () => {
  it('a phase opens when all blocks of the one before are in and committed, and the run ends after the last', () => {
    join('a');
    run(2, 1);
    const order: string[] = [];
    for (let phase = 0; phase < 4; phase++) {
      const blocks = phase % 2 === 0 ? 2 : 1;
      for (let block = 0; block < blocks; block++) {
        const [granted] = lease('a');
        order.push(`${granted!.phase.side} ${granted!.phase.fixedClock}->${granted!.phase.priorClock + 1}`);
        expect(done(granted!)).toBe('accepted');
      }
      expect(typesOf(effects).at(-1)).toBe('phaseCompleted');
      expect(lease('a', 1, 0)).toEqual([]);
      send({ type: 'phaseCommitted' });
    }
    expect(order).toEqual([
      'users 0->1',
      'users 0->1',
      'items 1->1',
      'users 1->2',
      'users 1->2',
      'items 2->2',
    ]);
    expect(ended()).toMatchObject({ outcome: 'completed' });
  });

  it('a stop ends the run at once, or after the commit that is under way', () => {
    join('a');
    run(1);
    send({ type: 'stop' });
    expect(ended()).toMatchObject({ outcome: 'stopped' });
    start();
    join('a');
    run(1);
    done(lease('a')[0]!);
    send({ type: 'stop' });
    expect(ended()).toBeUndefined();
    send({ type: 'phaseCommitted' });
    expect(ended()).toMatchObject({ outcome: 'stopped' });
  });

  it('a request that waits is answered when the next phase opens, or empty when its time is over', () => {
    join('a');
    run(1);
    done(lease('a')[0]!);
    lease('a', 1, 5000);
    expect(grantedIn(send({ type: 'phaseCommitted' }))).toHaveLength(1);
    lease('a', 4, 5000);
    const before = effects.length;
    lease('a', 4, 300);
    pass(400, ['a']);
    expect(effects.slice(before)).toContainEqual(
      expect.objectContaining({ type: 'leasesGranted', leases: [] }),
    );
  });
});

describe('a worker that cannot take part in a run', () => {
  const refusalOf = (sessionId: string): string | undefined => {
    const sent = send({
      type: 'leaseRequested',
      sessionId,
      requestId: `r${++requests}`,
      count: 1,
      waitMs: 0,
    });
    const refused = sent.find((effect) => effect.type === 'requestRefused');
    return refused?.message;
  };

  it.each([
    [{ solvers: ['cg'] }, {}, /no solver "cholesky" \(it has cg\)/],
    [{}, { gather: 'f16' as const }, /cannot gather in f16/],
    [{ factorsMax: 4 }, {}, /takes at most 4 factors, run run has 8/],
  ])('%j in %j is told why', (worker, task, message) => {
    join('a', worker);
    run(4, 2, 1, task);
    expect(refusalOf('a')).toMatch(message);
  });

  it('because it would give other bits is told whose, and the others go on', () => {
    join('a', { reproducibilityKey: 'native fma' });
    join('b', { reproducibilityKey: 'portable v8 11.3' });
    join('c', { reproducibilityKey: 'native fma' });
    run(4, 2, 1, { isDeterministic: true });
    expect(lease('a')).toHaveLength(1);
    expect(refusalOf('b')).toBe(
      'worker b would give other bits (portable v8 11.3) than a (native fma), which run run began with; it stays idle: give it the same device, or the run train.deterministic=false',
    );
    expect(refusalOf('c')).toBeUndefined();
    expect(schedule.run!.suitableCount).toBe(2);
  });

  it('because of its bits takes part where bits do not matter', () => {
    join('a', { reproducibilityKey: 'native fma' });
    join('b', { reproducibilityKey: 'portable v8 11.3' });
    run(4, 2, 1, { isDeterministic: false });
    expect(lease('a')).toHaveLength(1);
    expect(lease('b')).toHaveLength(1);
  });

  it('because of the bits of one that left without a result takes its place', () => {
    join('a', { reproducibilityKey: 'native fma' });
    join('b', { reproducibilityKey: 'portable v8 11.3' });
    run(4, 2, 1, { isDeterministic: true });
    lease('a');
    send({ type: 'workerLeft', sessionId: 'a' });
    expect(lease('b')).toHaveLength(1);
  });

  it('because of the bits of a result waits for workers that give the same', () => {
    join('a', { reproducibilityKey: 'native fma' });
    join('b', { reproducibilityKey: 'portable v8 11.3' });
    run(4, 2, 1, { isDeterministic: true });
    done(lease('a')[0]!);
    send({ type: 'workerLeft', sessionId: 'a' });
    expect(refusalOf('b')).toMatch(/other bits/);
    expect(schedule.run!.suitableCount).toBe(0);
    join('d', { reproducibilityKey: 'native fma' });
    expect(lease('d')).toHaveLength(1);
  });
});

describe('sharing out', () => {
  it('a worker gets the blocks of its own shards first, then steals from the end of the one with most left', () => {
    join('a');
    join('b');
    run(24, 2, 6);
    const taken: Record<string, number[]> = { a: [], b: [] };
    const stolen: number[] = [];
    for (let n = 0; n < 24; n++) {
      const [granted] = lease('a');
      const { shard, index } = granted!.block;
      if (!taken['a']!.includes(shard)) taken['a']!.push(shard);
      stolen.push(index);
      done(granted!);
    }
    // 'a' did everything: its own blocks ascend, those of 'b' follow from the end.
    const turn = stolen.findIndex((index, n) => n > 0 && index < stolen[n - 1]!);
    expect(stolen.slice(turn)).toEqual(stolen.slice(turn).sort((x, y) => y - x));
    expect(turn).toBeGreaterThan(0);
  });

  it('the blocks that a worker solved come back to it in the next epoch', () => {
    join('a');
    join('b');
    run(12, 1, 3);
    const solvedBy = new Map<number, string>();
    for (let n = 0; n < 12; n++) {
      const who = n % 3 === 0 ? 'a' : 'b';
      const [granted] = lease(who);
      solvedBy.set(granted!.block.index, who);
      done(granted!);
    }
    send({ type: 'phaseCommitted' });
    done(lease('a')[0]!);
    send({ type: 'phaseCommitted' });
    for (let n = 0; n < 4; n++) {
      const [granted] = lease('a');
      expect(solvedBy.get(granted!.block.index)).toBe('a');
      done(granted!);
    }
  });

  it('near the end of a phase a worker gets fewer blocks than it asks for', () => {
    join('a');
    join('b');
    run(16);
    const first = lease('a', 100);
    expect(first).toHaveLength(4);
    expect(lease('b', 100)).toHaveLength(4);
    expect(lease('a', 100)).toHaveLength(0);
    first.forEach(done);
    expect(lease('b', 100)).toHaveLength(0);
    expect(lease('a', 100).length).toBeGreaterThan(0);
  });

  it('a worker gets its share by the speed that it announced', () => {
    join('fast', { gflops: 30 });
    join('slow', { gflops: 10 });
    run(32);
    expect(lease('fast', 100)).toHaveLength(12);
    expect(lease('slow', 100)).toHaveLength(4);
  });

  it('fewer blocks than workers are lent at once, for none is done sooner by waiting', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) join(name);
    run(3);
    const granted = ['a', 'b', 'c', 'd', 'e'].flatMap((name) => lease(name));
    expect(granted.map(({ block }) => block.index).sort()).toEqual([0, 1, 2]);
  });

  it('a slow worker gets no block that others would have done sooner, and gets it when they stall', () => {
    join('fast', { gflops: 100 });
    join('slow', { gflops: 1 });
    run(4);
    expect(lease('slow')).toHaveLength(0);
    expect(grantedIn(pass(300, ['fast', 'slow']))).toMatchObject([{ sessionId: 'slow' }]);
  });

  it('a slow worker gets blocks when it is the only one left', () => {
    join('fast', { gflops: 100 });
    join('slow', { gflops: 1 });
    run(4);
    expect(lease('slow')).toHaveLength(0);
    send({ type: 'workerLeft', sessionId: 'fast' });
    expect(grantedIn(effects).filter(({ sessionId }) => sessionId === 'slow')).toHaveLength(1);
  });

  it('a repeated request gets the same leases, as far as they live', () => {
    join('a');
    run(8);
    const request = {
      type: 'leaseRequested' as const,
      sessionId: 'a',
      requestId: 'same',
      count: 2,
      waitMs: 0,
    };
    const first = grantedIn(send(request));
    expect(grantedIn(send(request))).toEqual(first);
    done(first[0]!);
    expect(grantedIn(send(request))).toEqual([first[1]]);
  });
});

describe('faults', () => {
  it("a silent worker's blocks are leased again within 5 s", () => {
    join('a');
    join('b');
    run(2);
    const [lost] = lease('a');
    lease('b');
    lease('b');
    const granted = grantedIn(pass(5000, ['b']));
    expect(granted.map(({ block, sessionId }) => [sessionId, block.index])).toContainEqual([
      'b',
      lost!.block.index,
    ]);
    expect(schedule.hasSession('a')).toBe(false);
    expect(done(lost!)).toBe('stale');
  });

  it('a late result of an expired lease changes nothing', () => {
    start({ leaseMsFirst: 1000, sessionTimeoutMs: 60_000 });
    join('a');
    run(1);
    const [late] = lease('a');
    expect(typesOf(pass(1100, ['a']))).toContain('leaseExpired');
    expect(done(late!)).toBe('stale');
    expect(effects.filter(({ type }) => type === 'phaseCompleted')).toEqual([]);
    const [again] = lease('a');
    expect(again!.deadlineMs - again!.grantedMs).toBe(2000);
    expect(done(again!)).toBe('accepted');
    expect(done(late!)).toBe('duplicate');
  });

  it('an idle worker gets a second lease of a late block at the tail; the first result counts', () => {
    join('a');
    join('b');
    run(3);
    nowMs += 100;
    done(lease('a')[0]!);
    const [slow] = lease('a');
    const [quick] = lease('b');
    nowMs += 100;
    done(quick!);
    lease('b');
    expect(grantedIn(pass(300, ['a', 'b']))).toEqual([]);
    const [backup] = grantedIn(pass(2000, ['a', 'b']));
    expect(backup).toMatchObject({ sessionId: 'b', isBackup: true, block: { index: slow!.block.index } });
    expect(done(backup!)).toBe('accepted');
    expect(done(slow!)).toBe('duplicate');
  });

  it('a block that failed goes to another worker first', () => {
    join('a');
    join('b');
    run(1);
    const [failed] = lease('a');
    const event = {
      type: 'blockFailed' as const,
      sessionId: 'a',
      leaseIds: [failed!.leaseId],
      reason: 'x',
      isFatal: false,
    };
    send(event);
    expect(lease('a')).toEqual([]);
    expect(lease('b')).toHaveLength(1);
  });

  it('a failure reported by one session cannot end the lease of another', () => {
    join('a');
    join('b');
    run(1);
    const [held] = lease('a');
    send({ type: 'blockFailed', sessionId: 'b', leaseIds: [held!.leaseId], reason: 'x', isFatal: true });
    send({ type: 'leasesReturned', sessionId: 'b', leaseIds: [held!.leaseId] });
    expect(done(held!)).toBe('accepted');
  });

  it('a block whose workers vanish again and again fails the run, naming block and worker', () => {
    run(1);
    for (let n = 1; n <= 8; n++) {
      expect(ended()).toBeUndefined();
      join(`w${n}`);
      expect(lease(`w${n}`)).toHaveLength(1);
      pass(4000);
    }
    expect(ended()).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/8 workers.*users\/0.*w8/),
    });
  });

  it('a worker that leaves gives its blocks back at once', () => {
    join('a');
    join('b');
    run(1);
    lease('a');
    lease('b');
    expect(grantedIn(send({ type: 'workerLeft', sessionId: 'a' }))).toMatchObject([{ sessionId: 'b' }]);
  });

  it('a coordinator that stood still ends no session and no lease on waking', () => {
    start({ leaseMsFirst: 5000 });
    join('a');
    run(1);
    const [held] = lease('a');
    pass(200, ['a']);
    nowMs += 60_000;
    schedule.tick(nowMs);
    expect(schedule.drain()).toEqual([]);
    expect(done(held!)).toBe('accepted');
  });

  it('time that seems to go back changes nothing', () => {
    join('a');
    run(1);
    const [held] = lease('a');
    nowMs -= 500_000;
    expect(pass(2000, ['a'])).toEqual([]);
    expect(done(held!)).toBe('accepted');
  });
});
