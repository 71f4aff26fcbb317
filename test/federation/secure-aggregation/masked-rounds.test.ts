// Whole rounds: the sum of the survivors is exact whoever drops out and when; with too few there is none.

import { describe, expect, it, vi } from 'vitest';
import { memoisedCrypto } from '../../support/memoised-crypto.js';
import { subsets, VirtualCohort } from './virtual-cohort.js';

vi.mock('node:crypto', async (original) => memoisedCrypto(await original()));

const STEPS = ['keys', 'shares', 'masked', 'signature', 'unmask-shares'] as const;
const ALL = Array.from({ length: 10 }, (_, member) => member);
const SIZE = { count: 10, length: 2 };

/** Who is in the sum: those whose masked words came. A member that is silent only later is in it all the same. */
function survivorsOf(step: (typeof STEPS)[number], silent: readonly number[]): number[] {
  return STEPS.indexOf(step) <= 2 ? ALL.filter((member) => !silent.includes(member)) : ALL;
}

describe('ten participants of whom seven are needed', () => {
  it.each(STEPS.slice(0, 4))(
    'give the exact sum when any three or fewer are silent from the step of "%s"',
    (step) => {
      let rounds = 0;
      for (const size of [0, 1, 2, 3]) {
        for (const silent of subsets(10, size)) {
          const cohort = new VirtualCohort(SIZE);
          expect(cohort.run({ [step]: silent }), `silent: ${silent}`).toEqual(
            cohort.sumOf(survivorsOf(step, silent)),
          );
          rounds++;
        }
      }
      expect(rounds).toBe(176);
    },
  );

  it('give the exact sum when any three or fewer are silent from the last step on', () => {
    // The participants that speak in it say what they say in a whole round.
    const whole = new VirtualCohort(SIZE);
    const expected = whole.run();
    expect(expected).toEqual(whole.sumOf(ALL));
    for (const size of [1, 2, 3]) {
      for (const silent of subsets(10, size)) {
        const server = whole.freshServer();
        for (const step of STEPS) {
          for (const message of whole.sent(step)) {
            if (step !== 'unmask-shares' || !silent.includes(message.member)) server.receive(message);
          }
          server.closeStep();
        }
        const sum = new Float64Array(SIZE.length);
        server.takeSum(sum);
        expect([...sum], `silent: ${silent}`).toEqual(expected);
      }
    }
  });

  it.each(STEPS)('release nothing when any four are silent from the step of "%s"', (step) => {
    // Until the step all are there: what they sent in one round is what they send in each.
    const whole = new VirtualCohort(SIZE);
    whole.run();
    let rounds = 0;
    for (const silent of subsets(10, 4)) {
      const server = whole.freshServer();
      for (const now of STEPS.slice(0, STEPS.indexOf(step))) {
        for (const message of whole.sent(now)) server.receive(message);
        server.closeStep();
      }
      for (const message of whole.sent(step)) if (!silent.includes(message.member)) server.receive(message);
      expect(server.isEnough).toBe(false);
      expect(() => server.closeStep(), `silent: ${silent}`).toThrow(
        expect.objectContaining({ code: 'STOA_COHORT_TOO_SMALL' }),
      );
      expect(server.step).toBe('aborted');
      expect(() => server.takeSum(new Float64Array(1))).toThrow('the sum is uncovered');
      // Those who were silent come back too late.
      for (const message of whole.sent(step)) expect(server.receive(message)).toBe('late');
      rounds++;
    }
    expect(rounds).toBe(210);
  });

  it('give the exact sum when one is lost in each of three steps', () => {
    const cohort = new VirtualCohort({ count: 10, length: 7 });
    expect(cohort.run({ shares: [4], masked: [0], signature: [9] })).toEqual(
      cohort.sumOf([1, 2, 3, 5, 6, 7, 8, 9]),
    );
    expect(cohort.server.survivors).toEqual([1, 2, 3, 5, 6, 7, 8, 9]);
  });
});

describe('a cohort', () => {
  // Each dropout of two hundred costs the server 199 key agreements: one shows what sixty-six would.
  it.each([
    [2, []],
    [3, []],
    [4, [1]],
    [5, [3]],
    [17, [0, 4, 8, 12, 16]],
    [200, [77]],
  ])(
    'of %i without %j gives the exact sum',
    (count, silent) => {
      const cohort = new VirtualCohort({ count, length: 2, cohortMin: 2 });
      const survivors = [...cohort.participants.keys()].filter((member) => !silent.includes(member));
      expect(cohort.run({ masked: silent })).toEqual(cohort.sumOf(survivors));
    },
    300_000,
  );

  it.each([2, 3, 4, 5, 17])('of %i gives nothing with one fewer than t', (count) => {
    const cohort = new VirtualCohort({ count, length: 2, cohortMin: 2 });
    const silent = [...cohort.participants.keys()].slice(cohort.server.threshold - 1);
    expect(() => cohort.run({ masked: silent })).toThrow('nothing of its sum was uncovered');
  });
});
