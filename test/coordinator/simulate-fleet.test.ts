// The simulated fleet against what can be worked out by hand, and against properties of any schedule.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import { type FleetModel, recommendWorkers, simulateFleet } from '../../coordinator/plan/simulate-fleet.js';
import { speedUpChart } from '../../coordinator/report/speed-up-chart.js';

function blocksOf(works: readonly number[], rows = 10): PlanBlock[] {
  return works.map((work, index) => ({
    side: 'users',
    index,
    shard: 0,
    rowStart: index * rows,
    rowEnd: (index + 1) * rows,
    interactions: 1,
    work,
  }));
}

const GFLOPS = { alone: 1e9, together: 1e9, threads: 1, prepareSeconds: 0 };

function modelOf(works: readonly number[], more: Partial<FleetModel> = {}): FleetModel {
  const phase = { blocks: blocksOf(works), fixedBytes: 4000, speed: GFLOPS };
  const place = { bytesPerSecond: 1e12 };
  return { phases: [phase, phase], rowBytes: 40, threads: 1, sharesBlocks: false, place, ...more };
}

const at = (model: FleetModel, workers: number) => simulateFleet(model, [workers])[0]!;

describe('a fleet', () => {
  it('of workers on machines of their own is as many times faster where blocks are many and rows few', () => {
    const model = modelOf(new Array(960).fill(1e9));
    for (const [n, { speedup, bottleneck }] of simulateFleet(model, [2, 3, 8]).map(
      (e) => [e.workers, e] as const,
    )) {
      expect(speedup).toBeGreaterThan(0.97 * n);
      expect(speedup).toBeLessThanOrEqual(n);
      expect(bottleneck).toBe('compute');
    }
  });

  it('waits for the last block: five of a second on three workers take two seconds a phase', () => {
    const { secondsPerEpoch, parts } = at(modelOf(new Array(5).fill(1e9)), 3);
    expect(secondsPerEpoch).toBeGreaterThan(4);
    expect(secondsPerEpoch).toBeLessThan(4.1);
    expect(parts.tail).toBeCloseTo(2 * (2 - 5 / 3), 2);
  });

  it('of more workers than blocks gains nothing by another, and says so', () => {
    const model = modelOf([1e9, 1e9, 1e9, 1e9]);
    expect(at(model, 9).parts.compute + at(model, 9).parts.tail).toBeCloseTo(2, 1);
    expect(at(model, 9).bottleneck).toBe('blocks');
    expect(at(model, 9).speedup).toBeLessThanOrEqual(at(model, 4).speedup);
    expect(at(model, 9).speedup).toBeGreaterThan(0.95 * at(model, 4).speedup);
  });

  it('shares a block among the threads of a worker where the device does', () => {
    const one = [6e9];
    expect(at(modelOf(one, { threads: 3, sharesBlocks: true }), 1).secondsPerEpoch).toBeCloseTo(4, 1);
    expect(at(modelOf(one, { threads: 3, sharesBlocks: false }), 1).secondsPerEpoch).toBeCloseTo(12, 1);
  });

  it('on one machine is no faster than its cores', () => {
    const model = modelOf(new Array(960).fill(1e9), { place: { cores: 2 } });
    const [two, four] = simulateFleet(model, [2, 4]);
    expect(two!.speedup).toBeGreaterThan(1.9);
    expect(four!.speedup).toBeLessThanOrEqual(two!.speedup);
    expect(four!.bottleneck).toBe('cores');
  });

  it('computes as fast as threads do that share a memory', () => {
    const blocks = blocksOf(new Array(960).fill(1e9));
    const speed = { alone: 1e9, together: 0.6e9, threads: 3, prepareSeconds: 0 };
    const phases = [{ blocks, fixedBytes: 0, speed }];
    const model = modelOf([], { phases, place: { cores: 3 } });
    const [one, two, three] = simulateFleet(model, [1, 2, 3]);
    expect(two!.speedup).toBeCloseTo(2 * 0.8, 1);
    expect(three!.speedup).toBeCloseTo(3 * 0.6, 1);
    expect(one!.speedup).toBe(1);
  });

  it('waits for a link: tables of 1 GB for three of four workers, at 1 GB/s, take at least three seconds', () => {
    const phase = { blocks: blocksOf(new Array(64).fill(1e8)), fixedBytes: 1e9, speed: GFLOPS };
    const slow = modelOf([], { phases: [phase], place: { bytesPerSecond: 1e8 } });
    const { parts, bottleneck, bytesPerEpoch } = at(slow, 4);
    expect(parts.exchange).toBeCloseTo(30, 0);
    expect(bottleneck).toBe('network');
    expect(bytesPerEpoch).toBe(3e9 + 64 * 10 * 40);
    const fast = modelOf([], { phases: [phase], place: { bytesPerSecond: 1e12 } });
    expect(at(fast, 4).bottleneck).toBe('coordinator');
    expect(at(fast, 4).parts.exchange).toBeLessThan(30);
  });

  it('waits for the parameter process with the most rows, and less long than for a coordinator with all', () => {
    const blocks = blocksOf(new Array(64).fill(1e8));
    const phase = { blocks, fixedBytes: 1e9, speed: GFLOPS };
    const of = (bytesPerSecond: number, placed?: { fixed: number; own: number }) =>
      at(modelOf([], { phases: [{ ...phase, placed }], place: { bytesPerSecond } }), 4);
    // Three of four workers read 1 GB each: 0.4 of it from one process, over a link of 100 MB/s.
    expect(of(1e8, { fixed: 0.4, own: 0.5 }).parts.exchange).toBeCloseTo(12, 1);
    expect(of(1e8, { fixed: 0.4, own: 0.5 }).bottleneck).toBe('network');
    const [here, there] = [of(1e12), of(1e12, { fixed: 0.4, own: 0.5 })];
    expect(there.bottleneck).toBe('parameters');
    expect(there.parts.exchange / here.parts.exchange).toBeCloseTo(0.4, 1);
    expect(there.bytesPerEpoch).toBe(here.bytesPerEpoch);
    // With rows spread thin, who lends the blocks is the last one.
    const small = { ...phase, blocks: blocksOf(new Array(5000).fill(1e4), 1000), fixedBytes: 0 };
    const thin = modelOf([], { phases: [{ ...small, placed: { fixed: 0.02, own: 0.02 } }], rowBytes: 4 });
    expect(at(thin, 100).bottleneck).toBe('coordinator');
  });

  it('makes the other side ready once on every worker, all threads of one machine helping', () => {
    const speed = { ...GFLOPS, prepareSeconds: 0.9 };
    const phases = [{ blocks: blocksOf(new Array(960).fill(1e8)), fixedBytes: 0, speed }];
    const without = modelOf([], { phases: [{ ...phases[0]!, speed: GFLOPS }], place: { cores: 2 } });
    const added = (workers: number, threads: number, place: FleetModel['place']) =>
      at({ ...without, phases, threads, place }, workers).secondsPerEpoch -
      at({ ...without, threads, place }, workers).secondsPerEpoch;
    expect(added(1, 1, { cores: 2 })).toBeCloseTo(0.9, 6);
    expect(added(4, 1, { cores: 2 })).toBeCloseTo(1.8, 6);
    expect(added(1, 3, { bytesPerSecond: 1e12 })).toBeCloseTo(0.3, 6);
    expect(added(5, 3, { bytesPerSecond: 1e12 })).toBeCloseTo(0.3, 6);
  });

  it('never beats perfect sharing, and never waits longer than one block more than it', () => {
    const anyWorks = fc.array(fc.integer({ min: 1e7, max: 5e9 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(
        anyWorks,
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 4 }),
        (works, workers, threads) => {
          const { parts, secondsPerEpoch, speedup } = at(modelOf(works, { threads }), workers);
          const total = works.reduce((sum, work) => sum + work / 1e9, 0);
          const slack = 1.01 * 0.0015 * works.length;
          expect(parts.compute).toBeGreaterThanOrEqual((2 * total) / (workers * threads));
          expect(parts.tail).toBeGreaterThanOrEqual(-1e-9);
          // Graham, "Bounds on multiprocessing timing anomalies", 1969: the last task began before all were busy no more.
          expect(parts.tail).toBeLessThan(2 * (Math.max(...works) / 1e9 + slack));
          expect(secondsPerEpoch).toBeCloseTo(parts.compute + parts.exchange + parts.tail + parts.barrier, 9);
          // Beyond their number workers win only what one alone loses to an uneven end: the same source's anomalies.
          const alone = at(modelOf(works, { threads }), 1);
          const evenly = alone.secondsPerEpoch - alone.parts.tail;
          expect(speedup).toBeLessThanOrEqual(workers * (alone.secondsPerEpoch / evenly) * (1 + 1e-9));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('the recommended number', () => {
  const estimates = (speedups: Record<number, number>) =>
    Object.entries(speedups).map(([workers, speedup]) => ({
      ...at(modelOf([1e9]), 1),
      workers: Number(workers),
      speedup,
    }));

  it('is the last one up to which an added worker is worth its share', () => {
    const seen = estimates({ 1: 1, 2: 1.9, 4: 3.3, 8: 4.5, 16: 4.4 });
    expect(recommendWorkers(seen, 0.5)).toBe(4);
    expect(recommendWorkers(seen, 0.2)).toBe(8);
    expect(recommendWorkers(seen, 0.95)).toBe(1);
  });

  it('goes over a step where blocks happen not to share evenly', () => {
    expect(recommendWorkers(estimates({ 1: 1, 2: 2, 3: 2.1, 4: 3.9 }), 0.5)).toBe(4);
  });
});

describe('the drawing', () => {
  it('is one SVG document with a mark for each number and the recommended one', () => {
    const estimates = simulateFleet(modelOf(new Array(30).fill(1e9)), [1, 2, 4, 8, 64]);
    const text = speedUpChart({ estimates, recommended: 8 });
    expect(text).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" .*<\/svg>$/s);
    expect(text.match(/<circle/g)).toHaveLength(5);
    expect(text).toContain('recommended: 8');
    expect(text).not.toMatch(/NaN|undefined|Infinity/);
  });
});
