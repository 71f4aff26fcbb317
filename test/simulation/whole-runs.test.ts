// Whole clusters in one thread: production's schedule, clocks, tables and deliveries; simulated machines, network, disks
// and clocks that fail by a seed; an oracle that looks at every step. `npm run simulate` runs more of them.

import { describe, expect, it } from 'vitest';
import { simulateLeaders } from './leaders/simulate-leaders.js';
import { type Outcome, simulateRun } from './simulate-run.js';

const RUNS = 2000;
/** A quarter of a minute on one core that nobody else uses. */
const TEST_MS_MAX = 240_000;

/** Seeds that showed a bug once. */
const REGRESSIONS: readonly number[] = [
  // A worker whose two results of one block differ was found out before the block was done, which then came back.
  1147,
  // A block that had failed at the only other worker was computed by the first one over and over.
  5747,
  // A call to keep the rows of an earlier clock came late, and a parameter process forgot that it had kept later ones.
  7276,
  // A clock that was read as early made parameter processes silent, again and again, or forgave them their silence.
  20_188,
  23_591,
];

function complaintOf({ seed, complaint, trace }: Outcome): string[] {
  if (complaint === undefined) return [];
  return [`seed ${seed}: ${complaint}; replay: npm run simulate -- --seed ${seed}`, ...trace.slice(-20)];
}

/** How often each thing happened in all of them. */
function total(
  outcomes: readonly Outcome[],
  of: (outcome: Outcome) => Readonly<Record<string, number>>,
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const outcome of outcomes) {
    for (const [name, count] of Object.entries(of(outcome))) sums[name] = (sums[name] ?? 0) + count;
  }
  return sums;
}

describe('simulated runs', () => {
  it(
    `keep every promise in ${RUNS} clusters whose machines, network, disks and clocks fail`,
    () => {
      const outcomes = Array.from({ length: RUNS }, (_, n) => simulateRun(n + 1));
      const complaints = outcomes.flatMap(complaintOf);
      expect(complaints.slice(0, 60)).toEqual([]);
      // The seeds met what they are meant to meet.
      for (const [name, count] of Object.entries(total(outcomes, ({ faults }) => faults))) {
        expect(count, name).toBeGreaterThan(RUNS / 4);
      }
      const met = total(outcomes, ({ counts }) => counts);
      for (const name of ['backups', 'expiries', 'lost', 'duplicates', 'stale', 'cut', 'retreats']) {
        expect(met[name], name).toBeGreaterThan(RUNS / 4);
      }
      expect(met['refused'], 'refused').toBeGreaterThan(RUNS / 25);
      const families = new Set(outcomes.map(({ family }) => family));
      expect([...families].sort()).toEqual(['asp', 'bsp', 'local', 'phases', 'ssp']);
      const placed = outcomes.filter(({ isPlaced }) => isPlaced);
      expect(placed.length).toBeGreaterThan(RUNS / 5);
      expect(new Set(placed.map(({ family }) => family)).size).toBe(5);
    },
    TEST_MS_MAX,
  );

  it('of the seeds that showed a bug once keep every promise', () => {
    expect(REGRESSIONS.map((seed) => simulateRun(seed)).flatMap(complaintOf)).toEqual([]);
  });

  it('of one seed are the same to the last event', () => {
    for (const seed of [3, 17, 99]) expect(simulateRun(seed, true)).toEqual(simulateRun(seed, true));
  });
});

describe('simulated coordinators that stand in for one another', () => {
  it(
    `lose nothing that was acknowledged and lend nothing twice in ${RUNS} clusters`,
    () => {
      const outcomes = Array.from({ length: RUNS }, (_, n) => simulateLeaders(n + 1));
      expect(outcomes.flatMap(complaintOf).slice(0, 60)).toEqual([]);
      const faults = total(outcomes, (outcome) => outcome.faults);
      expect(Object.keys(faults)).toHaveLength(5);
      for (const [name, count] of Object.entries(faults)) expect(count, name).toBeGreaterThan(RUNS / 4);
      const met = total(outcomes, ({ counts }) => counts);
      for (const name of ['acknowledged', 'leases', 'applied', 'torn']) {
        expect(met[name], name).toBeGreaterThan(10 * RUNS);
      }
      // A term after the first of each cluster, and writes that a crash has cut off.
      expect(met['terms'], 'terms').toBeGreaterThan(2 * RUNS);
      for (const name of ['refused', 'vanished']) expect(met[name], name).toBeGreaterThan(RUNS / 10);
    },
    TEST_MS_MAX,
  );

  it('of one seed are the same to the last event', () => {
    for (const seed of [2, 8, 30]) expect(simulateLeaders(seed, true)).toEqual(simulateLeaders(seed, true));
  });
});
