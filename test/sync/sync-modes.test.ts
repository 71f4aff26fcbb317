// The rules of the sync modes: proved by an oracle from what thousands of simulated runs really read, and the oracle by
// mutations that it must catch; the makespans of a worked example.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StalenessCounts } from '../../coordinator/schedule/sync/staleness-counts.js';
import { SyncClocks } from '../../coordinator/schedule/sync/sync-clocks.js';
import { leadMax, parseSyncMode, type SyncMode } from '../../coordinator/schedule/sync/sync-mode.js';
import { violations } from '../support/sync-oracle.js';
import vectors from '../vectors/ssp.json' with { type: 'json' };
import { type Mutation, type SimulationOptions, simulateSync } from './sync-simulation.js';

const FAULTS = { crash: 0.05, duplicate: 0.2, late: 0.1 };
/** Simulated runs of each mode; together a few seconds. */
const RUNS = 600;

const MODES = ['bsp', 'ssp:0', 'ssp:1', 'ssp:2', 'ssp:5', 'asp', 'local:3'];

function optionsOf(seed: number, mode: SyncMode): SimulationOptions {
  return {
    seed,
    mode,
    blocks: 1 + (seed % 5),
    clocks: 1 + (seed % 9),
    workers: 1 + (seed % 4),
    faults: FAULTS,
  };
}

describe.each(MODES)('%s', (text) => {
  const mode = parseSyncMode(text);

  it(`keeps its rules in ${RUNS} runs with delays, duplicates, reordering, crashes and expired leases`, () => {
    for (let seed = 1; seed <= RUNS; seed++) {
      const options = optionsOf(seed, mode);
      const { history, table } = simulateSync(options);
      const { blocks, clocks } = options;
      const wrong = violations(history, { blocks, clocks, staleness: leadMax(mode) });
      expect(wrong, `seed ${seed}`).toEqual([]);
      // Every update is in the table exactly once.
      expect(
        table.every((times) => times === 1),
        `seed ${seed}`,
      ).toBe(true);
    }
  });
});

describe('the oracle', () => {
  const caught = (mutation: Mutation, mode: string) => {
    for (let seed = 1; seed <= 200; seed++) {
      const options = { ...optionsOf(seed, parseSyncMode(mode)), mutation, blocks: 4, clocks: 8, workers: 3 };
      try {
        const { history } = simulateSync(options);
        const rules = { blocks: 4, clocks: 8, staleness: leadMax(options.mode) };
        if (violations(history, rules).length > 0) return true;
      } catch {
        return true;
      }
    }
    return false;
  };

  it.each([
    ['apply-duplicates', 'bsp'],
    ['apply-duplicates', 'asp'],
    ['ignore-bound', 'bsp'],
    ['ignore-bound', 'ssp:1'],
    ['serve-held-reads', 'ssp:1'],
    ['commit-early', 'bsp'],
    ['forget-own', 'ssp:2'],
  ] as const)('catches %s under %s', (mutation, mode) => {
    expect(caught(mutation, mode)).toBe(true);
  });
});

describe('the makespan of a worked example', () => {
  const { workers, clocks, duration } = vectors.makespan;

  it.each([
    ['ssp:0', vectors.makespan.s0],
    ['bsp', vectors.makespan.s0],
    ['ssp:1', vectors.makespan.s1],
    ['ssp:2', vectors.makespan.s2],
    ['ssp:3', vectors.makespan.s3],
    ['asp', vectors.makespan.asp],
  ])('with a rotating straggler is, under %s, %i', (mode, expected) => {
    const takes = (block: number, clock: number) => (clock % workers === block ? 3 : duration);
    expect(makespan(parseSyncMode(mode), workers, clocks, takes)).toBe(expected);
  });

  it.each([0, 1, 3, 10])('with a straggler for good is not cured by a staleness of %i', (staleness) => {
    const takes = (block: number) => (block === 0 ? vectors.permanent_straggler.worker_0_takes : duration);
    const mode = parseSyncMode(`ssp:${staleness}`);
    expect(makespan(mode, workers, clocks, takes)).toBe(vectors.permanent_straggler.every_s);
  });
});

describe('the clocks', () => {
  it('tell a push that came before from one that comes too soon', () => {
    const clocks = new SyncClocks({ mode: { kind: 'bsp' }, blocks: 2, clockStart: 4, clockEnd: 6 });
    expect([clocks.judge(0, 3), clocks.judge(0, 4), clocks.judge(0, 5)]).toEqual([
      'duplicate',
      'accepted',
      'early',
    ]);
    expect(clocks.finish(0, 4)).toEqual({ completed: [], startable: [] });
    expect([clocks.judge(0, 4), clocks.judge(0, 5)]).toEqual(['duplicate', 'early']);
    expect(clocks.read(0, 5)).toEqual({ kind: 'held' });
    expect(clocks.read(0, 4)).toEqual({ kind: 'gone' });
    expect(clocks.finish(1, 4)).toEqual({ completed: [4], startable: [0, 1] });
    expect(clocks.read(0, 5)).toEqual({ kind: 'served', clock: 5, staleness: 0 });
  });

  it('name exactly the blocks that could not start before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 1, max: 5 }),
        fc.infiniteStream(fc.nat()),
        (staleness, blocks, choices) => {
          const mode: SyncMode = { kind: 'ssp', staleness };
          const clocks = new SyncClocks({ mode, blocks, clockStart: 0, clockEnd: 5 });
          const all = Array.from({ length: blocks }, (_, block) => block);
          while (!clocks.isComplete) {
            const able = all.filter((block) => clocks.mayStart(block));
            const block = able[choices.next().value % able.length]!;
            const { startable } = clocks.finish(block, clocks.clockOf(block));
            const others = able.filter((other) => other !== block);
            expect([...others, ...startable].sort()).toEqual(all.filter((other) => clocks.mayStart(other)));
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('the name of a mode', () => {
  it.each(['', 'ssp', 'ssp:', 'ssp:-1', 'ssp:65', 'ssp:1.5', 'local', 'local:0', 'bsp:1', 'phases'])(
    '"%s" is refused with what is known',
    (text) => {
      expect(() => parseSyncMode(text)).toThrow(/must be bsp, ssp:S .* asp, or local:K/);
    },
  );
});

describe('counts of staleness', () => {
  it('grow to the greatest one seen and are bounded', () => {
    const counts = new StalenessCounts();
    for (const staleness of [0, 2, 2, 0, 0]) counts.add(staleness);
    expect(counts.toArray()).toEqual([3, 0, 2]);
    counts.add(1e9);
    expect(counts.toArray()).toHaveLength(256);
  });
});

/** When all blocks have finished, each a worker of its own that starts its next clock as soon as it may. */
function makespan(
  mode: SyncMode,
  blocks: number,
  clockEnd: number,
  takes: (block: number, clock: number) => number,
): number {
  const clocks = new SyncClocks({ mode, blocks, clockStart: 0, clockEnd });
  const busy = new Map<number, number>();
  const start = (block: number, now: number) => busy.set(block, now + takes(block, clocks.clockOf(block)));
  for (let block = 0; block < blocks; block++) start(block, 0);
  let now = 0;
  while (!clocks.isComplete) {
    const [block, end] = [...busy].reduce((first, other) => (other[1] < first[1] ? other : first));
    now = end;
    busy.delete(block);
    for (const next of clocks.finish(block, clocks.clockOf(block)).startable) start(next, now);
  }
  return now;
}
