// Whom a schedule trusts: workers whose blocks keep failing, blocks that are computed twice, and a run that pauses.

import { beforeEach, describe, expect, it } from 'vitest';
import type { Lease, RunTask, ScheduleEffect, ScheduleEvent } from '../../coordinator/schedule/events.js';
import { Schedule } from '../../coordinator/schedule/schedule.js';
import type { Side } from '../../models/csr.js';

let schedule: Schedule;
let nowMs: number;
let requests: number;

beforeEach(() => {
  schedule = new Schedule();
  nowMs = 1_000_000;
  requests = 0;
});

function send(event: ScheduleEvent): ScheduleEffect[] {
  schedule.receive(event, nowMs++);
  return schedule.drain();
}

function join(sessionId: string, name = sessionId, threads = 1): void {
  const session = {
    sessionId,
    name,
    threads,
    solvers: ['cholesky', 'sgd'],
    gathers: ['f32'],
    reproducibilityKey: 'native fma',
    gflops: 0,
    factorsMax: 64,
  };
  send({ type: 'workerJoined', session });
}

function run(change: Partial<RunTask> = {}, blocks = 12): ScheduleEffect[] {
  const blocksOf = (side: Side) =>
    Array.from({ length: blocks }, (_, index) => ({
      side,
      index,
      shard: 0,
      rowStart: index,
      rowEnd: index + 1,
      interactions: 1,
      work: 1e6,
    }));
  const plan = { users: blocksOf('users'), items: blocksOf('items') };
  const task = {
    runId: 'run',
    solver: 'cholesky' as const,
    factors: 8,
    blocks: plan,
    phaseStart: 0,
    phaseEnd: 4,
  };
  return send({ type: 'runStarted', run: { ...task, isDeterministic: true, ...change } });
}

function ask(sessionId: string): ScheduleEffect[] {
  const requestId = `r${requests++}`;
  return send({ type: 'leaseRequested', sessionId, requestId, count: 1, waitMs: 0 });
}

/** One lease, or why there is none. */
function lease(sessionId: string): Lease | string | undefined {
  for (const effect of ask(sessionId)) {
    if (effect.type === 'requestRefused') return effect.message;
    if (effect.type === 'leasesGranted') return effect.leases[0];
  }
  return undefined;
}

function leased(sessionId: string): Lease {
  const granted = lease(sessionId);
  if (typeof granted !== 'object') throw new Error(`${sessionId} got no lease: ${granted}`);
  return granted;
}

function deliver({ sessionId, leaseId, runId, phase, block }: Lease, digest = 1): ScheduleEffect[] {
  const result = { runId, side: phase.side, block: block.index, clock: phase.priorClock + 1, digest };
  return send({ type: 'blockDone', sessionId, leaseId, result, deliveryId: 1 });
}

function done(one: Lease, digest = 1): string {
  const [settled] = deliver(one, digest);
  return settled?.type === 'blockSettled' ? settled.disposition : 'nothing';
}

function fail({ sessionId, leaseId }: Lease): ScheduleEffect[] {
  const reason = 'the fan stands still';
  return send({ type: 'blockFailed', sessionId, leaseIds: [leaseId], reason, isFatal: false });
}

const quarantined = (effects: readonly ScheduleEffect[]) =>
  effects.flatMap((effect) => (effect.type === 'workerQuarantined' ? effect.session.sessionId : []));

describe('a worker whose blocks fail', () => {
  it('three times in a row gets no more while another is there, and is told why', () => {
    join('bad');
    join('good');
    run();
    fail(leased('bad'));
    fail(leased('bad'));
    expect(quarantined(fail(leased('bad')))).toEqual(['bad']);
    expect(lease('bad')).toMatch(
      /worker bad gets no blocks of run run: 3 of its blocks failed .*the fan stands still/,
    );
    expect(done(leased('good'))).toBe('accepted');
  });

  it('loses what else it holds, to others, at once', () => {
    join('bad');
    join('good');
    run();
    const held = leased('bad');
    for (let n = 0; n < 3; n++) fail(leased('bad'));
    expect(schedule.run!.leases.countOfSession('bad')).toBe(0);
    expect(done(held)).toBe('stale');
    const left: number[] = [];
    for (let n = 0; n < 12; n++) {
      const one = leased('good');
      left.push(one.block.index);
      done(one);
    }
    expect(left.sort((a, b) => a - b)).toEqual(Array.from({ length: 12 }, (_, n) => n));
  });

  it('does not fail the run: what failed there is not the fault of the blocks', () => {
    for (const name of ['a', 'b', 'c', 'good']) join(name);
    run({}, 4);
    let effects: ScheduleEffect[] = [];
    for (const bad of ['a', 'b', 'c'])
      for (let n = 0; n < 3; n++) effects = [...effects, ...fail(leased(bad))];
    expect(quarantined(effects)).toEqual(['a', 'b', 'c']);
    expect(effects.map(({ type }) => type)).not.toContain('runEnded');
  });

  it('now and then goes on', () => {
    join('bad');
    join('good');
    run();
    for (let n = 0; n < 3; n++) {
      fail(leased('bad'));
      fail(leased('bad'));
      expect(done(leased('bad'))).toBe('accepted');
    }
  });

  it('and is the only one goes on, until a block has failed too often', () => {
    join('bad');
    run();
    for (let n = 0; n < 3; n++) fail(leased('bad'));
    expect(typeof lease('bad')).toBe('object');
    for (let n = 0; n < 60 && schedule.run !== undefined; n++) {
      const one = lease('bad');
      if (typeof one === 'object') fail(one);
    }
    expect(schedule.run).toBeUndefined();
  });

  it('does not get clean by a new session', () => {
    join('s1', 'bad');
    join('good');
    run();
    for (let n = 0; n < 3; n++) fail(leased('s1'));
    send({ type: 'workerLeft', sessionId: 's1' });
    join('s2', 'bad');
    expect(lease('s2')).toMatch(/worker bad gets no blocks/);
  });
});

describe('a block that is computed twice', () => {
  const audited = { auditShare: 1 };

  it('counts when another worker has the same bits, and nobody gets it in between who had it', () => {
    join('a');
    join('b');
    run(audited, 1);
    expect(done(leased('a'))).toBe('witnessed');
    expect(lease('a')).toBeUndefined();
    expect(done(leased('b'))).toBe('accepted');
    expect(schedule.run!.state).toBe('committing');
  });

  it('with different bits goes to a third, and who had other bits than the two is out', () => {
    for (const name of ['a', 'wrong', 'c']) join(name);
    run(audited, 1);
    expect(done(leased('a'), 7)).toBe('witnessed');
    expect(done(leased('wrong'), 8)).toBe('witnessed');
    const effects = deliver(leased('c'), 7);
    expect(effects[0]).toMatchObject({ type: 'blockSettled', disposition: 'accepted' });
    expect(quarantined(effects)).toEqual(['wrong']);
    expect(lease('wrong')).toMatch(/its result of block users\/0 .* differs from that of two others/);
  });

  it('does not agree with itself', () => {
    join('a');
    join('wrong');
    run(audited, 1);
    expect(done(leased('a'), 7)).toBe('witnessed');
    expect(done(leased('wrong'), 8)).toBe('witnessed');
    expect(done(leased('wrong'), 8)).toBe('witnessed');
    expect(done(leased('a'), 7)).toBe('witnessed');
    join('c');
    expect(done(leased('c'), 7)).toBe('accepted');
  });

  it('fails the run when two go on having different bits and there is no third', () => {
    join('a');
    join('b');
    run(audited, 1);
    let effects: ScheduleEffect[] = [];
    for (let n = 0; n < 8; n++) effects = deliver(leased(n % 2 === 0 ? 'a' : 'b'), n % 2);
    expect(effects).toContainEqual(
      expect.objectContaining({
        type: 'runEnded',
        outcome: 'failed',
        reason: expect.stringMatching(/workers a, b give different results for block users\/0/),
      }),
    );
  });

  it('of a worker that was once wrong and then right is done for good, and the worker is out', () => {
    // Whoever has delivered nothing for a while is no reason to wait for it.
    const later = (name: string): Lease => {
      nowMs += 1000;
      return leased(name);
    };
    for (const name of ['shaky', 'b']) join(name, name, 4);
    run(audited, 3);
    const wrong = later('shaky');
    expect(done(wrong, 8)).toBe('witnessed');
    // Of the others one is held, one counts, and this one is heard of both.
    const all = [later('b'), later('b'), later('b')];
    const [held, ...given] = all.sort(
      (x, y) => Number(y.block.index !== wrong.block.index) - Number(x.block.index !== wrong.block.index),
    );
    for (const one of given)
      expect(done(one, one.block.index === wrong.block.index ? 7 : 1)).toBe('witnessed');
    const again: Lease[] = [later('shaky')];
    if (again[0]!.block.index !== wrong.block.index) {
      expect(done(again[0]!, 1)).toBe('accepted');
      again.push(later('shaky'));
    }
    expect(again.at(-1)!.block.index).toBe(wrong.block.index);
    const effects = deliver(again.at(-1)!, 7);
    expect(effects[0]).toMatchObject({ disposition: 'accepted' });
    expect(quarantined(effects)).toEqual(['shaky']);
    for (let n = 0; n < 3; n++) {
      const next = lease('b');
      if (typeof next === 'object') expect(next.block.index).not.toBe(wrong.block.index);
    }
    expect(done(held!, 1)).toBe('accepted');
  });

  it('goes again to a worker at which it failed rather than to the one that had it', () => {
    join('a');
    join('clumsy');
    run(audited, 1);
    expect(done(leased('a'))).toBe('witnessed');
    fail(leased('clumsy'));
    expect(lease('a')).toBeUndefined();
    expect(done(leased('clumsy'))).toBe('accepted');
  });

  it('counts at once where nobody else is there', () => {
    join('a');
    run(audited, 1);
    expect(done(leased('a'))).toBe('accepted');
  });

  it.each([
    ['nothing is to be compared', { auditShare: 0 }],
    ['bits may differ', { auditShare: 1, isDeterministic: false }],
    ['reads may differ', { auditShare: 1, sync: { mode: { kind: 'ssp', staleness: 1 }, clocksPerPhase: 2 } }],
  ] as const)('is none where %s', (_, change) => {
    join('a');
    join('b');
    run(change);
    expect(done(leased('a'))).toBe('accepted');
  });

  it('is a share of all, whoever computes', () => {
    join('a');
    join('b');
    run({ auditShare: 0.1 }, 4000);
    const { progress } = schedule.run!;
    leased('a');
    const due = progress.blocks.filter(({ index: block }) =>
      schedule.run!.isAudited({ runId: 'run', side: 'users', block, clock: 1 }),
    );
    // Within four standard deviations of 400.
    expect(due.length).toBeGreaterThan(324);
    expect(due.length).toBeLessThan(476);
  });
});

describe('a paused run', () => {
  it('lends nothing, takes what was lent, and goes on with the requests that wait', () => {
    join('a');
    run({}, 2);
    const held = leased('a');
    send({ type: 'pause' });
    expect(schedule.run!.isPaused).toBe(true);
    expect(done(held)).toBe('accepted');
    expect(lease('a')).toBeUndefined();
    send({ type: 'leaseRequested', sessionId: 'a', requestId: 'waits', count: 1, waitMs: 20_000 });
    const [granted] = send({ type: 'resume' });
    expect(granted).toMatchObject({
      type: 'leasesGranted',
      requestId: 'waits',
      leases: [{ sessionId: 'a' }],
    });
  });

  it('ends the phase whose blocks are all in, and waits in the next', () => {
    join('a');
    run({}, 1);
    const held = leased('a');
    send({ type: 'pause' });
    done(held);
    const opened = send({ type: 'phaseCommitted' });
    expect(opened).toContainEqual(expect.objectContaining({ type: 'phaseOpened' }));
    expect(lease('a')).toBeUndefined();
    send({ type: 'resume' });
    expect(leased('a').phase.index).toBe(1);
  });

  it('may be stopped', () => {
    join('a');
    run();
    send({ type: 'pause' });
    expect(send({ type: 'stop' })).toMatchObject([{ type: 'runEnded', outcome: 'stopped' }]);
  });
});
