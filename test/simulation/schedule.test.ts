// A cluster in one thread: the real schedule, simulated workers, a seeded network that delays, loses, duplicates and
// reorders, workers that crash, freeze, leave and join, a coordinator that freezes. An oracle checks every effect.
// STOA_SIMULATION_SEEDS=N runs more seeds, STOA_SIMULATION_SEED=S replays one.

import { afterEach, describe, expect, it, vi } from 'vitest';
import { PhaseProgress } from '../../coordinator/schedule/phase-progress.js';
import { RunProgress } from '../../coordinator/schedule/run-progress.js';
import { type Outcome, simulateRun } from './simulate-run.js';

const replay = process.env['STOA_SIMULATION_SEED'];
const count = Number(process.env['STOA_SIMULATION_SEEDS'] ?? 3000);
const seeds = replay === undefined ? Array.from({ length: count }, (_, n) => n + 1) : [Number(replay)];

function complaintOf(outcome: Outcome): string | undefined {
  const replayHint = `replay with STOA_SIMULATION_SEED=${outcome.seed}`;
  if (outcome.violation !== undefined) return `seed ${outcome.seed}: ${outcome.violation}; ${replayHint}`;
  if (outcome.ended === undefined) return `seed ${outcome.seed}: the run never ended; ${replayHint}`;
  const expected = outcome.isStopped ? ['completed', 'stopped'] : ['completed'];
  if (expected.includes(outcome.ended.outcome)) return undefined;
  return `seed ${outcome.seed}: ${outcome.ended.outcome}: ${outcome.ended.reason}; ${replayHint}`;
}

it(`in ${seeds.length} simulated runs every block counts once, no phase advances early and every run ends`, () => {
  const outcomes = seeds.map(simulateRun);
  const complaints = outcomes.map(complaintOf).filter((complaint) => complaint !== undefined);
  expect(complaints.slice(0, 5)).toEqual([]);
  if (replay !== undefined) return;
  // The seeds met what they are meant to meet.
  const total = (count: (outcome: Outcome) => number) => outcomes.reduce((sum, o) => sum + count(o), 0);
  expect(total((o) => o.faults)).toBeGreaterThan(seeds.length);
  for (const kind of ['backups', 'expiries', 'lost', 'duplicates', 'stale'] as const) {
    expect(
      total((o) => o.counts[kind]),
      kind,
    ).toBeGreaterThan(seeds.length / 20);
  }
});

it('a seed replays exactly', () => {
  expect(simulateRun(17)).toEqual(simulateRun(17));
});

describe('a planted bug is found', () => {
  afterEach(() => vi.restoreAllMocks());

  const complaints = () =>
    Array.from({ length: 50 }, (_, seed) => complaintOf(simulateRun(seed + 1))).filter(
      (text) => text !== undefined,
    );

  it('a phase that ends one block early', () => {
    vi.spyOn(PhaseProgress.prototype, 'isComplete', 'get').mockImplementation(function (this: PhaseProgress) {
      return this.doneCount >= this.blocks.length - 1;
    });
    expect(complaints()[0]).toMatch(/completed early.*replay with STOA_SIMULATION_SEED=\d+/);
  });

  it('leases that end without their blocks being offered again', () => {
    vi.spyOn(RunProgress.prototype, 'giveBack').mockImplementation(function (this: RunProgress, lease) {
      this.leases.remove(lease);
    });
    expect(complaints()[0]).toMatch(/never ended/);
  });
});
