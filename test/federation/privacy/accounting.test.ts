// The accounts against published vectors, against each other, and against integrals taken numerically.

import { describe, expect, it } from 'vitest';
import { calibrateNoise } from '../../../federation/privacy/calibrate.js';
import {
  deltaOf,
  epsilonOf,
  membershipBound,
  muWithin,
} from '../../../federation/privacy/gaussian-privacy.js';
import { normalCdf } from '../../../federation/privacy/normal-distribution.js';
import { plannedReleases, type RunShape } from '../../../federation/privacy/planned-releases.js';
import { privacyLoss } from '../../../federation/privacy/privacy-loss.js';
import { renyiEpsilon } from '../../../federation/privacy/zcdp.js';
import { readText } from '../../house/source-files.js';

/** ε at δ = 1e-6 of T sweeps with m releases each, noise multiplier σ; computed in Python and in Node, and the exact
 * ones by dp-accounting. */
const VECTORS = [
  { sigma: 1, sweeps: 1, m: 1, simple: 5.756522, renyi: 5.221534, exact: 4.886554 },
  { sigma: 10, sweeps: 16, m: 2, simple: 3.133538, renyi: 2.769271, exact: 2.582273 },
  { sigma: 20, sweeps: 16, m: 3, simple: 1.880913, renyi: 1.623759, exact: 1.509771 },
];

interface Grid {
  rows: { sigma: number; count: number; delta: number; exact: number; renyi: number }[];
}
const GRID = JSON.parse(readText('test/vectors/dp-accounting.json')) as Grid;

const RUN: RunShape = {
  solver: 'cholesky',
  sweeps: 16,
  items: 50,
  factors: 6,
  cgSteps: 2,
  block: 4,
  needsCounts: false,
  metrics: 0,
};

describe('the account of a run', () => {
  it.each(VECTORS)('is that of the vectors for σ = $sigma, $sweeps sweeps of $m releases', (row) => {
    const releases = [{ noiseMultiplier: row.sigma, count: row.sweeps * row.m }];
    const loss = privacyLoss(releases, { delta: 1e-6, adjacency: 'add-remove' });
    expect(Math.abs(loss.epsilon - row.exact)).toBeLessThan(1e-6);
    expect(Math.abs(loss.epsilonRenyi - row.renyi)).toBeLessThan(1e-6);
    expect(Math.abs(loss.epsilonSimple - row.simple)).toBeLessThan(1e-6);
  });

  it('is that of dp-accounting over its grid, exact and by Rényi orders', () => {
    expect(GRID.rows.length).toBe(72);
    for (const { sigma, count, delta, exact, renyi } of GRID.rows) {
      const loss = privacyLoss([{ noiseMultiplier: sigma, count }], { delta, adjacency: 'add-remove' });
      const where = `σ ${sigma}, ${count} releases, δ ${delta}`;
      expect(Math.abs(loss.epsilon - exact), where).toBeLessThan(1e-6 * Math.max(1, exact));
      expect(Math.abs(loss.epsilonRenyi - renyi), where).toBeLessThan(1e-3 * Math.max(1, renyi));
    }
  });

  it('is that of the vectors when a learner is replaced by another', () => {
    const releases = [{ noiseMultiplier: 20, count: 48 }];
    const loss = privacyLoss(releases, { delta: 1e-6, adjacency: 'replace-one' });
    expect(Math.abs(loss.epsilon - 3.233197)).toBeLessThan(1e-6);
  });

  it('of many releases is that of one with the noise that they have together', () => {
    const many = [{ noiseMultiplier: 3 }, { noiseMultiplier: 4, count: 2 }, { noiseMultiplier: 12 }];
    const together = 1 / Math.sqrt(1 / 9 + 2 / 16 + 1 / 144);
    const goal = { delta: 1e-7, adjacency: 'add-remove' } as const;
    expect(privacyLoss(many, goal).epsilon).toBeCloseTo(
      privacyLoss([{ noiseMultiplier: together }], goal).epsilon,
      12,
    );
  });

  it('is never above the Rényi account, and that never above the simple one', () => {
    for (const noiseMultiplier of [0.3, 1, 4.7, 60]) {
      for (const delta of [1e-3, 1e-6, 1e-12]) {
        const loss = privacyLoss([{ noiseMultiplier, count: 7 }], { delta, adjacency: 'add-remove' });
        expect(loss.epsilon).toBeLessThan(loss.epsilonRenyi);
        expect(loss.epsilonRenyi).toBeLessThan(loss.epsilonSimple);
      }
    }
  });

  it('is nothing where nothing left', () => {
    const loss = privacyLoss([], { delta: 1e-6, adjacency: 'replace-one' });
    expect([loss.epsilon, loss.epsilonRenyi, loss.rho]).toEqual([0, 0, 0]);
  });
});

/** Φ(x) by Simpson's rule over the density, from far out. */
function integratedCdf(x: number): number {
  const low = Math.min(x, 0) - 12;
  const steps = 20_000;
  const width = (x - low) / steps;
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const at = low + i * width;
    sum += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp((-at * at) / 2);
  }
  return (sum * width) / 3 / Math.sqrt(2 * Math.PI);
}

/** δ(ε) from its definition: ∫ max(0, p(x) − e^ε p(x − μ)) dx. */
function integratedDelta(mu: number, epsilon: number): number {
  const steps = 400_000;
  const width = (40 + mu) / steps;
  let sum = 0;
  for (let i = 0; i < steps; i++) {
    const x = -20 + (i + 0.5) * width;
    sum += Math.max(0, Math.exp((-(x - mu) * (x - mu)) / 2) - Math.exp(epsilon - (x * x) / 2));
  }
  return (sum * width) / Math.sqrt(2 * Math.PI);
}

describe('the formulas', () => {
  it('give the normal distribution to 12 digits, far into its tail', () => {
    for (const x of [-8.3, -5, -3.6, -3.5, -1.7, -0.2, 0, 0.4, 2.9, 6]) {
      expect(Math.abs(normalCdf(x) / integratedCdf(x) - 1)).toBeLessThan(1e-11);
    }
    // Tabulated: Q(10) and Q(30).
    expect(normalCdf(-10) / 7.61985302416e-24).toBeCloseTo(1, 11);
    expect(normalCdf(-30) / 4.906713927148e-198).toBeCloseTo(1, 11);
  });

  it('give δ as its definition does, by integration', () => {
    for (const [mu, epsilon] of [
      [0.35, 0.2],
      [0.35, 1.5],
      [1, 0],
      [1, 4],
      [3, 2],
      [3, 9],
    ] as const) {
      const expected = integratedDelta(mu, epsilon);
      expect(Math.abs(deltaOf({ mu, epsilon }) - expected)).toBeLessThan(1e-9 + 1e-6 * expected);
    }
  });

  it('find ε for δ and μ for ε, and back again', () => {
    for (const mu of [0.01, 0.3, 1, 2.5, 20]) {
      for (const delta of [1e-2, 1e-6, 1e-10, 1e-30]) {
        const epsilon = epsilonOf({ mu, delta });
        expect(deltaOf({ mu, epsilon })).toBeLessThanOrEqual(delta);
        if (epsilon === 0) continue;
        expect(deltaOf({ mu, epsilon: epsilon * (1 - 1e-9) })).toBeGreaterThan(delta);
        expect(muWithin({ epsilon, delta }) / mu).toBeCloseTo(1, 9);
      }
    }
  });

  it('give Rényi orders that no finer search beats', () => {
    for (const rho of [1e-6, 0.06, 0.5, 12, 300]) {
      const delta = 1e-6;
      let best = Number.POSITIVE_INFINITY;
      for (let i = 1; i < 60_000; i++) {
        const order = 1 + 1e-4 * 1.0005 ** i;
        const at = order * rho + Math.log((order - 1) / order) - Math.log(delta * order) / (order - 1);
        best = Math.min(best, at);
      }
      const found = renyiEpsilon({ rho, delta });
      expect(found).toBeLessThan(best + 1e-9);
      expect(found).toBeGreaterThan(best - 1e-5 - 1e-3 * best);
    }
  });

  it('bound a guess at membership between even odds and certainty', () => {
    expect(membershipBound(0)).toBe(0.5);
    expect(membershipBound(Math.sqrt(48) / 20)).toBeCloseTo(normalCdf(Math.sqrt(48) / 40), 15);
  });

  it.each([0, 1, -1e-6, Number.NaN])('refuse δ = %s', (delta) => {
    expect(() => epsilonOf({ mu: 1, delta })).toThrow(/δ/);
    expect(() => renyiEpsilon({ rho: 1, delta })).toThrow(/δ/);
  });
});

describe('calibration', () => {
  it.each([
    { solver: 'cholesky', adjacency: 'add-remove', epsilon: 1 },
    { solver: 'cg', adjacency: 'add-remove', epsilon: 5 },
    { solver: 'ials++', adjacency: 'replace-one', epsilon: 2 },
  ] as const)('spends just ε = $epsilon over a run of $solver', ({ solver, adjacency, epsilon }) => {
    const shape = { ...RUN, solver, needsCounts: true, metrics: 1 };
    const goal = { epsilon, delta: 1e-6, adjacency };
    const noise = calibrateNoise(shape, goal, { gram: 3, targets: 0.5 });
    const spent = privacyLoss(plannedReleases(shape, noise), goal).epsilon;
    expect(spent).toBeLessThanOrEqual(epsilon);
    expect(spent).toBeGreaterThan(epsilon * (1 - 1e-6));
    expect(noise.gram / noise.targets).toBeCloseTo(6, 9);
  });

  it('finds the noise of the vectors', () => {
    const goal = { epsilon: 1.509771, delta: 1e-6, adjacency: 'add-remove' } as const;
    expect(calibrateNoise(RUN, goal).gram).toBeCloseTo(20, 4);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('refuses ε = %s', (epsilon) => {
    expect(() => calibrateNoise(RUN, { epsilon, delta: 1e-6, adjacency: 'add-remove' })).toThrow(/ε/);
  });
});
