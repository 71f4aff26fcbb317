// The rounds by hand, event by event, and a thousand institutions in one process.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import type { RoundEffect, RoundEntry, RoundKey } from '../../../federation/rounds/events.js';
import { DEFAULT_ROUND_TIMING, type RoundPlan, stepsOf } from '../../../federation/rounds/round-plan.js';
import { Rounds } from '../../../federation/rounds/rounds.js';

const PLAN: RoundPlan = {
  sweeps: 3,
  exchanges: 3,
  hasCensus: true,
  isMasked: false,
  cohortMin: 2,
  cohortMax: 1000,
  timing: { answerMs: 1000, uploadMs: 5000, presenceMs: 3000, gatherMs: 500 },
};

/** A coordinator whose effects are carried out at once; entries are kept, and what it decided can be looked at. */
class Host {
  rounds: Rounds;
  readonly entries: RoundEntry[];
  readonly effects: RoundEffect[] = [];
  nowMs: number;
  /** Rounds that were committed, in order, as sweep.exchange; a cut as sweep.cut. */
  readonly committed: string[] = [];
  #delivery = 0;

  constructor(plan: RoundPlan, entries: readonly RoundEntry[] = [], nowMs = 0) {
    this.entries = [...entries];
    this.nowMs = nowMs;
    this.rounds = new Rounds(plan, entries, nowMs);
    this.#carryOut();
  }

  hear(...ids: string[]): void {
    for (const participantId of ids) this.rounds.receive({ type: 'heard', participantId }, this.nowMs);
    this.#carryOut();
  }

  pass(ms: number, ...present: string[]): void {
    for (let left = ms; left > 0; left -= 250) {
      this.nowMs += 250;
      for (const participantId of present) this.rounds.receive({ type: 'heard', participantId }, this.nowMs);
      this.rounds.tick(this.nowMs);
    }
    this.#carryOut();
  }

  /** @returns what became of it. */
  upload(participantId: string, round = this.rounds.round!.key.round): string {
    const deliveryId = this.#delivery++;
    const event = { type: 'answered', participantId, round, step: 'upload', deliveryId } as const;
    this.rounds.receive(event, this.nowMs);
    const before = this.effects.length;
    this.#carryOut();
    const settled = this.effects.slice(before).find((effect) => effect.type === 'settled');
    return settled?.disposition ?? 'nothing';
  }

  /** Everybody answers whatever it is asked, until the run ends. */
  finish(...ids: string[]): void {
    for (let n = 0; n < 1000 && !this.rounds.isEnded; n++) {
      this.pass(250, ...ids);
      for (const id of ids) if (this.rounds.wanted(id) !== undefined) this.upload(id);
    }
  }

  #carryOut(): void {
    for (let effects = this.rounds.drain(); effects.length > 0; effects = this.rounds.drain()) {
      for (const effect of effects) {
        this.effects.push(effect);
        if (effect.type === 'record') this.entries.push(effect.entry);
        if (effect.type === 'roundComplete') this.#commit(effect.key, `${effect.key.exchange}`);
        if (effect.type === 'sweepCut') this.#commit(effect.key, 'cut');
      }
    }
  }

  #commit(key: RoundKey, what: string): void {
    this.committed.push(`${key.sweep}.${what}`);
    this.rounds.receive({ type: 'committed', round: key.round }, this.nowMs);
  }
}

/** Three participants; one leaves in the second round of the first sweep. */
function runWithLoss(): Host {
  const host = new Host(PLAN);
  host.pass(1000, 'a', 'b', 'c');
  for (const id of ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b']) host.upload(id);
  host.rounds.receive({ type: 'left', participantId: 'c' }, host.nowMs);
  host.finish('a', 'b');
  return host;
}

const EXPECTED = ['-1.0', '0.0', '0.cut', '1.0', '1.1', '1.2', '2.0', '2.1', '2.2'];

describe('rounds', () => {
  it('of a sweep that loses a participant end with a cut, and the next sweep goes on without it', () => {
    const host = runWithLoss();
    expect(host.committed).toEqual(EXPECTED);
    expect(host.effects.at(-1)).toEqual({ type: 'ended', outcome: 'completed', cuts: 1 });
  });

  it('go on to the same end after a restart behind any entry', () => {
    const { entries } = runWithLoss();
    for (let length = 1; length <= entries.length; length++) {
      const kept = entries.slice(0, length);
      const host = new Host(PLAN, kept, 1e6);
      host.finish('a', 'b');
      const last = kept.filter(({ type }) => type === 'committed').length;
      const isInSweep = kept.some(
        (entry) => entry.type === 'answered' && entry.round === 2 && entry.participantId === 'c',
      );
      // What was committed is not done again; and one that was never in the sweep cannot cut it.
      const expected = isInSweep
        ? EXPECTED
        : EXPECTED.flatMap((one) => (one === '0.cut' ? ['0.1', '0.2'] : [one]));
      expect(host.committed, `after ${length} entries`).toEqual(expected.slice(last));
      const rounds = host.effects.flatMap((effect) =>
        effect.type === 'record' && effect.entry.type === 'opened' ? [effect.entry.key.round] : [],
      );
      const used = kept.flatMap((entry) => (entry.type === 'opened' ? [entry.key.round] : []));
      expect(new Set([...used, ...rounds]).size).toBe(used.length + rounds.length);
    }
  });

  it('do not take an answer for a round that has failed', () => {
    const rounds = new Rounds({ ...PLAN, hasCensus: false }, [], 0);
    const answer = (participantId: string, round: number) =>
      rounds.receive({ type: 'answered', participantId, round, step: 'upload', deliveryId: 1 }, 1000);
    for (const participantId of ['a', 'b']) rounds.receive({ type: 'heard', participantId }, 0);
    rounds.tick(1000);
    answer('a', 1);
    answer('b', 1);
    rounds.receive({ type: 'committed', round: 1 }, 1000);
    answer('a', 2);
    rounds.receive({ type: 'left', participantId: 'b' }, 1000);
    rounds.drain();
    // The sweep is being cut; the cut is not on disk yet.
    answer('b', 2);
    expect(rounds.drain()).toEqual([
      { type: 'settled', deliveryId: 1, participantId: 'b', disposition: 'late' },
    ]);
  });

  it('end a step at its deadline though the clock is read as going back again and again', () => {
    const host = new Host(PLAN);
    host.pass(1000, 'a', 'b', 'c');
    host.upload('a');
    host.upload('b');
    const startMs = host.nowMs;
    while (host.rounds.wanted('c') !== undefined && host.nowMs < startMs + 60_000) {
      host.nowMs += 200;
      for (const readMs of [host.nowMs - 4000, host.nowMs]) {
        host.rounds.receive({ type: 'heard', participantId: 'c' }, readMs);
        host.rounds.tick(readMs);
      }
    }
    expect(host.nowMs - startMs).toBeLessThan(PLAN.timing.uploadMs + 500);
  });

  it('ask one that was late for the next round, and one that is late over and over ever less', () => {
    const host = new Host({ ...PLAN, sweeps: 40, exchanges: 1, hasCensus: false });
    host.pass(1000, 'a', 'b', 'slow');
    const asked: boolean[] = [];
    const late: string[] = [];
    while (!host.rounds.isEnded) {
      const { key, cohort } = host.rounds.round!;
      asked.push(cohort.includes('slow'));
      host.upload('a');
      host.upload('b');
      if (host.rounds.round?.key.round === key.round) host.pass(PLAN.timing.uploadMs + 500, 'a', 'b', 'slow');
      late.push(host.upload('slow', key.round));
    }
    expect(asked.map((isAsked, n) => (isAsked ? n : -1)).filter((n) => n >= 0)).toEqual([0, 1, 3, 7, 15, 31]);
    expect(new Set(late)).toEqual(new Set(['late']));
  });

  it('say once that they wait, and begin when enough are there', () => {
    const host = new Host(PLAN);
    host.pass(20_000, 'a');
    expect(host.effects).toEqual([{ type: 'waiting', present: 0, wanted: 2 }]);
    host.pass(1000, 'a', 'b');
    expect(host.rounds.round?.cohort).toEqual(['a', 'b']);
  });

  it('refuse a plan that is none, and name the setting', () => {
    expect(() => new Rounds({ ...PLAN, cohortMax: 1 }, [], 0)).toThrow(
      'cohortMax is 1: a whole number of at least 2',
    );
    expect(() => new Rounds({ ...PLAN, sweeps: 0.5 }, [], 0)).toThrow('sweeps is 0.5');
    expect(() => new Rounds({ ...PLAN, timing: DEFAULT_ROUND_TIMING }, [], 0)).not.toThrow();
  });
});

describe('a thousand institutions in one process', () => {
  it('take no more memory in round 100 than in round 10', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const ids = Array.from({ length: 1000 }, (_, n) => `institution-${n}`);
    const heap: number[] = [];
    const rounds = new Rounds(
      { ...PLAN, sweeps: 101, exchanges: 1, hasCensus: false, isMasked: true },
      [],
      0,
    );
    const carryOut = () => {
      for (const effect of rounds.drain()) {
        if (effect.type === 'roundComplete')
          rounds.receive({ type: 'committed', round: effect.key.round }, 1000);
      }
    };
    for (const participantId of ids) rounds.receive({ type: 'heard', participantId }, 0);
    rounds.tick(1000);
    carryOut();
    for (let round = 1; round <= 100; round++) {
      for (const step of stepsOf(rounds.plan)) {
        for (const [n, participantId] of ids.entries()) {
          // A different one in fifty refuses in each round.
          if ((n + round) % 50 === 0) rounds.receive({ type: 'declined', participantId, round }, 1000);
          else rounds.receive({ type: 'answered', participantId, round, step, deliveryId: n }, 1000);
          carryOut();
        }
      }
      if (round === 10 || round === 100) {
        collect();
        heap.push(process.memoryUsage().heapUsed);
      }
    }
    expect(rounds.round?.key.round).toBe(101);
    expect(heap[1]! / heap[0]!).toBeLessThan(1.05);
  });
});
