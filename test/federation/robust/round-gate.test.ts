// Decisions about rounds, from reports as institutions would send them: honest, mistaken and lying.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decideRound,
  FIRST_STATE,
  type GateState,
  type RoundReport,
} from '../../../federation/robust/round-gate.js';

const STATE: GateState = { acceptedRound: 4, best: 0.3 };

function report(source: string, before: number, after: number, learners = 400): RoundReport {
  return { source, learners, before, after, deviation: 0.3 };
}

const steady = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((source) => report(source, 0.3, 0.305));

describe('the gate of a round', () => {
  it('accepts what is as good as before, and remembers the best', () => {
    const decision = decideRound(5, steady, STATE);
    expect(decision).toMatchObject({ verdict: 'accept', modelRound: 5, harmed: [], refused: [] });
    expect(decision.state).toEqual({ acceptedRound: 5, best: 0.305 });
  });

  it('rolls back to the accepted round when the middle falls', () => {
    const fallen = steady.map(({ source }) => report(source, 0.3, 0.27));
    const decision = decideRound(5, fallen, STATE);
    expect(decision).toMatchObject({ verdict: 'rollback', modelRound: 4, state: STATE });
    expect(decision.reason).toBe('the middle metric fell from 0.3000 to 0.2700');
  });

  it('stops harm in small steps, each of which is within chance', () => {
    let state = STATE;
    let metric = 0.3;
    const verdicts: string[] = [];
    for (let round = 5; round < 12; round++) {
      const next = metric - 0.005;
      const decision = decideRound(
        round,
        steady.map(({ source }) => report(source, metric, next)),
        state,
      );
      verdicts.push(decision.verdict);
      state = decision.state;
      if (decision.verdict === 'accept') metric = next;
    }
    expect(verdicts.slice(0, 4)).toEqual(['accept', 'accept', 'accept', 'accept']);
    expect(verdicts.slice(4)).toEqual(['rollback', 'rollback', 'rollback']);
    expect(metric).toBeGreaterThanOrEqual(0.28 - 1e-9);
  });

  it('rolls back for a third that is harmed while the middle is well, and not for one that says so', () => {
    const harmed = (count: number) =>
      steady.map(({ source }, index) => report(source, 0.3, index < count ? 0.15 : 0.31));
    expect(decideRound(5, harmed(1), STATE)).toMatchObject({ verdict: 'accept', harmed: ['a'] });
    expect(decideRound(5, harmed(3), STATE)).toMatchObject({ verdict: 'rollback', harmed: ['a', 'b', 'c'] });
  });

  it('takes a loss of a few learners for the chance that it is', () => {
    const few = steady.map(({ source }, index) => report(source, 0.3, index < 4 ? 0.2 : 0.31, 20));
    expect(decideRound(5, few, STATE)).toMatchObject({ verdict: 'accept', harmed: [] });
  });

  it('is not turned by liars with less than half of the weight, whatever they claim', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            learners: fc.integer({ min: 1, max: 1e9 }),
            before: fc.double({ min: 0, max: 1, noNaN: true }),
            after: fc.double({ min: 0, max: 1, noNaN: true }),
            deviation: fc.double({ min: 0, max: 1, noNaN: true }),
          }),
          { minLength: 1, maxLength: 1 },
        ),
        fc.boolean(),
        (lies, isHarmful) => {
          const truth = steady.map(({ source }) => report(source, 0.3, isHarmful ? 0.2 : 0.305));
          const all = [...truth, ...lies.map((one, index) => ({ source: `z${index}`, ...one }))];
          expect(decideRound(5, all, STATE).verdict).toBe(isHarmful ? 'rollback' : 'accept');
        },
      ),
    );
  });

  it('waits while fewer than three reports came, and keeps the model', () => {
    const decision = decideRound(5, steady.slice(0, 2), STATE);
    expect(decision).toMatchObject({ verdict: 'wait', modelRound: 4, state: STATE });
  });

  it('counts no report that cannot be, and names who sent it', () => {
    const impossible: RoundReport[] = [
      { ...report('nan', 0.3, Number.NaN) },
      { ...report('inf', 0.3, 0.3), deviation: Number.POSITIVE_INFINITY },
      { ...report('many', 0.3, 1.2) },
      { ...report('none', 0.3, 0.3, 0) },
      { ...report('part', 0.3, 0.3, 2.5) },
      { ...report('below', -0.1, 0.3) },
    ];
    const decision = decideRound(5, [...impossible, ...steady.slice(0, 2)], STATE);
    expect(decision.verdict).toBe('wait');
    expect(decision.refused.sort()).toEqual(['below', 'inf', 'many', 'nan', 'none', 'part']);
  });

  it('accepts a first round, which has nothing before it', () => {
    const first = steady.map(({ source }) => report(source, 0, 0.1));
    expect(decideRound(1, first, FIRST_STATE)).toMatchObject({ verdict: 'accept', modelRound: 1 });
  });

  it('decides the same in any order of the reports', () => {
    const mixed = steady.map(({ source }, index) => report(source, 0.3, 0.2 + index / 50, 100 + 77 * index));
    fc.assert(
      fc.property(fc.shuffledSubarray(mixed, { minLength: mixed.length }), (shuffled) => {
        expect(decideRound(5, shuffled, STATE)).toEqual(decideRound(5, mixed, STATE));
      }),
    );
  });
});
