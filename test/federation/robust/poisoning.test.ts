// Ten institutions train together, and one of them lies about one course: how many more learners are shown it, with the
// plain sum and with robust aggregation; what the bounds find; and what they cannot find.

import { describe, expect, it } from 'vitest';
import {
  makeWorld,
  type Quality,
  qualityOf,
  solveUsers,
  statistics,
  trainTogether,
} from '../../../bench/poisoning/institutions.js';
import { type Lie, lie, type Tamper } from '../../../bench/poisoning/lies.js';
import {
  type ContributionBounds,
  requireSound,
  violationsOf,
} from '../../../federation/robust/contribution-bounds.js';
import { type ItemContribution, itemWidth } from '../../../federation/robust/item-contribution.js';
import { maskedGroups } from '../../../federation/robust/masked-groups.js';
import { type RobustRule, robustSums } from '../../../federation/robust/robust-sums.js';
import { decideRound, FIRST_STATE, type RoundReport } from '../../../federation/robust/round-gate.js';
import { initFactors } from '../../../models/ials/init-factors.js';

const FACTORS = 16;
const ITEMS = 120;
const SWEEPS = 6;
const WIDTH = itemWidth(FACTORS);
const world = makeWorld({
  sizes: [400, 60, 90, 120, 150, 80, 200, 100, 70, 130],
  items: ITEMS,
  topics: 8,
  seed: 5,
});

function train(rule: RobustRule, tamper?: Tamper): Quality {
  const aggregate = (contributions: ItemContribution[]) =>
    robustSums(contributions, { items: ITEMS, factors: FACTORS, rule });
  return qualityOf(world, trainTogether(world, { factors: FACTORS, sweeps: SWEEPS, aggregate, tamper }));
}

const honest = train('sum');

/** How many times as many learners are shown the course as when nobody lies and everything is added up. */
function rise(rule: RobustRule, one: Lie): number {
  return train(rule, lie(one, FACTORS)).exposure[one.course]! / honest.exposure[one.course]!;
}

const LIES: Lie[] = (
  ['A and b', 'b alone', 'learners, A and b', 'as its most popular course', 'the same x 100'] as const
).flatMap((how) => [
  { who: 4, course: 43, how },
  { who: 9, course: 43, how },
  { who: 0, course: 104, how },
]);

describe('one of ten institutions that scales a course by a hundred', () => {
  it('multiplies what learners see of it when contributions are added up', () => {
    expect(rise('sum', { who: 9, course: 43, how: 'b alone' })).toBeGreaterThan(5);
    expect(rise('sum', { who: 4, course: 43, how: 'A and b' })).toBeGreaterThan(3);
    expect(rise('sum', { who: 0, course: 104, how: 'the same x 100' })).toBeGreaterThan(4);
  });

  it.each(LIES)('raises it at most twofold with robust aggregation: $how, by institution $who', (one) => {
    expect(rise('trimmed', one)).toBeLessThanOrEqual(2);
    expect(rise('median', one)).toBeLessThanOrEqual(2);
  });

  it('raises it at most twofold whichever institution it is', () => {
    const rises = world.institutions.map((_, who) => rise('median', { who, course: 43, how: 'b alone' }));
    expect(Math.max(...rises)).toBeLessThanOrEqual(2);
  });
});

describe('robust aggregation', () => {
  it('costs little recall when nobody lies', () => {
    expect(honest.recall).toBeGreaterThan(0.5);
    expect(train('median').recall).toBeGreaterThan(honest.recall - 0.02);
    expect(train('trimmed').recall).toBeGreaterThan(honest.recall - 0.03);
  });

  it('works on groups whose members are masked among themselves', () => {
    const large = makeWorld({
      sizes: Array.from({ length: 25 }, (_, index) => 40 + ((index * 37) % 90)),
      items: ITEMS,
      topics: 8,
      seed: 6,
    });
    const names = large.institutions.map(({ name }) => name);
    const groups = maskedGroups(names, 5, 1);
    expect(groups.map((group) => group.length)).toEqual([5, 5, 5, 5, 5]);
    const course = 43;
    const exposure = (rule: RobustRule, tamper?: Tamper) => {
      const aggregate = (contributions: ItemContribution[]) =>
        robustSums(
          groups.map((group) => added(contributions.filter(({ source }) => group.includes(source)))),
          { items: ITEMS, factors: FACTORS, rule },
        );
      const model = trainTogether(large, { factors: FACTORS, sweeps: SWEEPS, aggregate, tamper });
      return qualityOf(large, model).exposure[course]!;
    };
    const before = exposure('sum');
    const tamper = lie({ who: 9, course, how: 'b alone' }, FACTORS);
    expect(exposure('sum', tamper) / before).toBeGreaterThan(2.5);
    expect(exposure('median', tamper) / before).toBeLessThanOrEqual(2);
  });
});

/** What a group's masks leave to be seen: the sum. */
function added(contributions: readonly ItemContribution[]): ItemContribution {
  const counts = new Float64Array(ITEMS);
  const sums = new Float64Array(ITEMS * WIDTH);
  for (const one of contributions) {
    for (let k = 0; k < counts.length; k++) counts[k] = counts[k]! + one.counts[k]!;
    for (let k = 0; k < sums.length; k++) sums[k] = sums[k]! + one.sums[k]!;
  }
  return { source: contributions.map(({ source }) => source).join('+'), counts, sums };
}

describe('the bounds on unmasked statistics', () => {
  const items = new Float32Array(ITEMS * FACTORS);
  initFactors(items, { seed: 1, side: 'items', rowStart: 0, rowEnd: ITEMS, factors: FACTORS, stdDev: 0.1 });
  const contributions = world.institutions.map((institution) => {
    const users = solveUsers(institution.rows, items, FACTORS);
    return { users, contribution: statistics(institution, users, FACTORS) };
  });
  const rowNormMax = Math.max(...contributions.map(({ users }) => greatestNorm(users)));
  const boundsOf = (who: number): ContributionBounds => ({
    learnersMax: world.institutions[who]!.rows.rows,
    rowNormMax,
    weightMax: 1,
    targetMax: 1,
    ratioMax: 1,
  });
  const shape = { items: ITEMS, factors: FACTORS };

  it('let every honest institution pass', () => {
    for (const [who, { contribution }] of contributions.entries()) {
      expect(violationsOf(contribution, shape, boundsOf(who))).toEqual([]);
    }
  });

  it.each(['A and b', 'b alone', 'learners, A and b', 'the same x 100'] as const)('find a lie: %s', (how) => {
    let liars = 0;
    for (const [who, { contribution }] of contributions.entries()) {
      const learners = contribution.counts[43]!;
      // Who has 400 learners may say that 100 of them took a course which one did: see the next test.
      const isPossible = how === 'learners, A and b' && 100 * learners <= boundsOf(who).learnersMax;
      if (learners === 0 || isPossible) continue;
      const told = lie({ who, course: 43, how }, FACTORS)(contribution, who);
      const found = violationsOf(told, shape, boundsOf(who));
      expect(found.map(({ item }) => item)).toEqual([43]);
      expect(() => requireSound(told, shape, boundsOf(who))).toThrow(
        /item 43: .*the contribution is refused/,
      );
      liars++;
    }
    expect(liars).toBeGreaterThan(5);
  });

  it('find a b within the norms that no weights of learners could make, and a matrix that is none of theirs', () => {
    let liars = 0;
    for (const [who, { contribution }] of contributions.entries()) {
      const sums = contribution.sums.slice();
      const b = sums.subarray(43 * WIDTH + WIDTH - FACTORS, 44 * WIDTH);
      // As long as the bound on its norm allows, and no longer along what A has learnt.
      const length = contribution.counts[43]! * rowNormMax;
      b.fill(0).set([length * 0.999]);
      const matrix = contribution.sums.slice();
      matrix[43 * WIDTH + 1] = 5 * (matrix[43 * WIDTH]! + matrix[43 * WIDTH + 2]!);
      if (contribution.counts[43] === 0) continue;
      for (const told of [
        { ...contribution, sums },
        { ...contribution, sums: matrix },
      ]) {
        expect(violationsOf(told, shape, boundsOf(who))).toMatchObject([
          { item: 43, code: 'STOA_NUMERIC_NOT_POSITIVE' },
        ]);
      }
      liars++;
    }
    expect(liars).toBeGreaterThan(5);
  });

  it('cannot find a lie of the size of a truth, which only the other institutions contradict', () => {
    const told = lie({ who: 4, course: 43, how: 'as its most popular course' }, FACTORS)(
      contributions[4]!.contribution,
      4,
    );
    expect(violationsOf(told, shape, boundsOf(4))).toEqual([]);
  });
});

function greatestNorm(rows: Float32Array): number {
  let most = 0;
  for (let at = 0; at < rows.length; at += FACTORS) {
    most = Math.max(most, Math.hypot(...rows.subarray(at, at + FACTORS)));
  }
  return most;
}

describe('a round that harms', () => {
  it('is rolled back by what the institutions measure, and the model is as good as before', () => {
    let state = FIRST_STATE;
    let model = new Float32Array();
    let best: Quality | undefined;
    const verdicts: string[] = [];
    // From the fourth sweep on, one institution turns the taste of every course around.
    let sweeps = 0;
    const tamper: Tamper = (contribution, institution) => {
      if (institution === 0) sweeps++;
      if (institution !== 0 || sweeps < 4) return contribution;
      const sums = contribution.sums.map((value, k) => (k % WIDTH >= WIDTH - FACTORS ? -20 * value : value));
      return { ...contribution, sums };
    };
    trainTogether(world, {
      factors: FACTORS,
      sweeps: SWEEPS,
      aggregate: (contributions) =>
        robustSums(contributions, { items: ITEMS, factors: FACTORS, rule: 'sum' }),
      tamper,
      onSweep: (next, sweep) => {
        const after = qualityOf(world, { items: next, factors: FACTORS });
        const decision = decideRound(sweep, reportsOf(best ?? after, after), state);
        verdicts.push(decision.verdict);
        state = decision.state;
        if (decision.verdict === 'accept') [model, best] = [next as typeof model, after];
        return model;
      },
    });
    expect(verdicts).toEqual(['accept', 'accept', 'accept', 'rollback', 'rollback', 'rollback']);
    expect(state.acceptedRound).toBe(3);
    expect(qualityOf(world, { items: model, factors: FACTORS }).recall).toBeGreaterThan(0.5);
  });
});

function reportsOf(before: Quality, after: Quality): RoundReport[] {
  return world.institutions.map(({ name }, index) => {
    const [old, now] = [before.hits[index]!, after.hits[index]!];
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const differences = now.map((hit, learner) => hit - old[learner]!);
    const centre = mean(differences);
    const deviation = Math.sqrt(mean(differences.map((one) => (one - centre) ** 2)));
    return { source: name, learners: now.length, before: mean(old), after: mean(now), deviation };
  });
}
