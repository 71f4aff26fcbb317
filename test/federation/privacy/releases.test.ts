// A whole noised training of small data through the ledger: each sum that leaves is on the list of the run, is paid for
// before it leaves, and leaves once. Then a game against it: whoever sees all that left guesses whether one learner took
// part.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { boundWeights, clipRows } from '../../../federation/privacy/bound-learners.js';
import { calibrateNoise } from '../../../federation/privacy/calibrate.js';
import { chachaWords } from '../../../federation/privacy/chacha-words.js';
import { fromGrid, scaleOffDiagonals, toGrid } from '../../../federation/privacy/fixed-point.js';
import { membershipBound } from '../../../federation/privacy/gaussian-privacy.js';
import { type LearnerBounds, sensitivitiesOf } from '../../../federation/privacy/learner-bounds.js';
import { EpsilonLedger } from '../../../federation/privacy/ledger/epsilon-ledger.js';
import { LEDGER_LINES } from '../../../federation/privacy/ledger/ledger-records.js';
import { addNoise, noiseShareSteps } from '../../../federation/privacy/noise-share.js';
import { OutgoingSum } from '../../../federation/privacy/outgoing-sum.js';
import { plannedReleases, type RunShape } from '../../../federation/privacy/planned-releases.js';
import { muOf, muSquaredOf, privacyLoss } from '../../../federation/privacy/privacy-loss.js';
import type { SolverName } from '../../../models/device.js';

const SHAPE: RunShape = {
  solver: 'cholesky',
  sweeps: 3,
  items: 12,
  factors: 4,
  cgSteps: 2,
  block: 3,
  needsCounts: true,
  metrics: 1,
};
const GOAL = { epsilon: 3, delta: 1e-5, adjacency: 'add-remove' } as const;

/** The kinds that leave in a sweep, and before the first, by what the server must learn to solve the items. */
const EXPECTED: Record<SolverName, string[]> = {
  cholesky: ['gram', 'statistics', 'targets', 'metric'],
  cg: ['gram', 'residual', 'cgProduct', 'cgProduct', 'metric'],
  'ials++': ['gram', 'statistics', 'residual', 'metric'],
};

describe('the list of releases', () => {
  it.each(['cholesky', 'cg', 'ials++'] as const)(
    'of %s has every sum of every sweep, counts and metrics too',
    (solver) => {
      const shape = { ...SHAPE, solver };
      const releases = plannedReleases(shape, calibrateNoise(shape, GOAL));
      const kinds = (sweep: number) => releases.filter((one) => one.sweep === sweep).map(({ kind }) => kind);
      expect(kinds(0)).toEqual(['itemCounts', 'learnerCount']);
      for (const sweep of [1, 2, 3]) expect(kinds(sweep)).toEqual(EXPECTED[solver]);
      expect(new Set(releases.map(({ name }) => name)).size).toBe(releases.length);
      expect(privacyLoss(releases, GOAL).epsilon).toBeLessThanOrEqual(3);
    },
  );

  it('has no counts where no one needs them', () => {
    const shape = { ...SHAPE, needsCounts: false, metrics: 0 };
    const releases = plannedReleases(shape, calibrateNoise(shape, GOAL));
    expect(releases.length).toBe(9);
    expect(releases[0]!.name).toBe('sweep 1, gram');
  });

  it('has no statistics where they are made from the Gram, and less noise for the rest then', () => {
    const shape = { ...SHAPE, statisticsFromGram: true };
    const releases = plannedReleases(shape, calibrateNoise(shape, GOAL));
    expect(releases.map(({ kind }) => kind)).not.toContain('statistics');
    expect(releases[0]!.noiseMultiplier).toBeLessThan(calibrateNoise(SHAPE, GOAL).itemCounts);
    expect(privacyLoss(releases, GOAL).epsilon).toBeCloseTo(3, 5);
  });

  it('says how large each sum is: that of full statistics, of blocks and of steps', () => {
    const size = (solver: SolverName, kind: string) => {
      const shape = { ...SHAPE, solver };
      const releases = plannedReleases(shape, calibrateNoise(shape, GOAL));
      return releases.find((one) => one.kind === kind)!.coordinates;
    };
    expect(size('cholesky', 'statistics')).toBe(12 * 10);
    expect(size('cholesky', 'targets')).toBe(12 * 4);
    // Blocks of 3 and of 1 dimension: triangles of 6 and of 1.
    expect(size('ials++', 'statistics')).toBe(12 * 7);
    expect(size('cg', 'cgProduct')).toBe(12 * 4);
    expect(size('cg', 'gram')).toBe(10);
  });
});

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'stoa-releases-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a run of the mechanism', () => {
  it('sends nothing that the ledger does not have, and all that it plans', async () => {
    const noise = calibrateNoise(SHAPE, GOAL);
    const planned = plannedReleases(SHAPE, noise);
    const budget = { group: 'g', epsilon: 3, runEpsilon: 3, delta: 1e-5 };
    const options = { now: () => new Date() };
    const ledger = await EpsilonLedger.create(
      path.join(folder, 'ledger'),
      { ledgerId: 'l', adjacency: 'add-remove', budgets: [budget] },
      options,
    );
    const messages: { name: string; entries: number }[] = [];
    const words = chachaWords();
    for (let sweep = 0; sweep <= SHAPE.sweeps; sweep++) {
      const releases = planned.filter((one) => one.sweep === sweep);
      const permit = await ledger.spend({ group: 'g', run: 'r', round: `sweep ${sweep}`, releases });
      const out = { permit, bounds: BOUNDS, honestMin: 3, fractionBits: 24, words };
      for (const release of releases) {
        const sum = new OutgoingSum(release, out);
        while (sum.entriesLeft > 0) {
          const chunk = sum.noised(new Float64Array(Math.min(7, sum.entriesLeft)));
          messages.push({ name: release.name, entries: chunk.length });
        }
        expect(() => sum.noised(new Float64Array(1))).toThrow(/nothing was sent/);
        expect(() => new OutgoingSum(release, out)).toThrow(/sent before/);
      }
      expect(permit.left).toEqual([]);
      const foreign = planned.find((one) => one.sweep !== sweep)!;
      expect(() => new OutgoingSum(foreign, out)).toThrow(/no record of the ledger/);
    }
    // Every message is of a release that stands in the ledger's file, and no release has more entries than it says.
    const file = await readFile(path.join(folder, 'ledger', 'ledger.jsonl'));
    const recorded = LEDGER_LINES.read(file, 'ledger').records.flatMap((one) =>
      one.kind === 'spend' ? one.releases : [],
    );
    expect(recorded.map(({ name }) => name)).toEqual(planned.map(({ name }) => name));
    for (const { name, coordinates } of planned) {
      const entries = messages.filter((one) => one.name === name).reduce((sum, one) => sum + one.entries, 0);
      expect(entries, name).toBe(coordinates);
    }
    expect(ledger.spent('g').epsilon).toBeCloseTo(3, 5);
    const more = { group: 'g', run: 'r', round: 'sweep 4', releases: planned.slice(-1) };
    await expect(ledger.spend(more)).rejects.toMatchObject({ code: 'STOA_BUDGET' });
    await ledger.close();
  });
});

const ITEMS = 6;
const K = 3;
const SWEEPS = 4;
const GAMES = 6000;
const BOUNDS: LearnerBounds = { rowsMax: 4, rowNormMax: 0.5, weightMax: 1, targetMax: 1 };
const KINDS = ['statistics', 'targets', 'gram'] as const;

/** What one learner adds to the sums of a sweep, through the bounds, in the coordinates that are noised. */
function contribution(items: readonly number[], row: readonly number[]): Record<string, Float64Array> {
  const csr = { rows: 1, cols: ITEMS, ptr: Int32Array.of(0, items.length), idx: Int32Array.from(items) };
  const { values } = boundWeights(csr, BOUNDS);
  const x = Float32Array.from(row);
  clipRows(x, K, BOUNDS.rowNormMax);
  const triangle: number[] = [];
  for (let r = 0; r < K; r++) for (let c = 0; c <= r; c++) triangle.push(x[r]! * x[c]!);
  const statistics = new Float64Array(ITEMS * triangle.length);
  const targets = new Float64Array(ITEMS * K);
  items.forEach((item, e) => {
    const weight = values![e]!;
    statistics.set(
      triangle.map((value) => weight * value),
      item * triangle.length,
    );
    targets.set(
      Array.from(x, (value) => weight * value),
      item * K,
    );
  });
  const gram = Float64Array.from(triangle);
  scaleOffDiagonals(statistics, K, Math.SQRT2);
  scaleOffDiagonals(gram, K, Math.SQRT2);
  return { statistics, targets, gram };
}

/**
 * Plays the game: a coin decides whether a learner at all bounds takes part in sweeps of noised sums. The one who guesses
 * knows every other learner, so that their sums fall out, and the learner's data, so that the likelihood of all that was
 * seen, with the learner against without, is the best there is to guess by (Neyman and Pearson).
 *
 * @param part share of the noise that the account assumes which is really added: below 1 for a planted fault.
 * @returns how often the guess was right.
 */
function guessedRight(noiseMultiplier: number, seed: number, part: number): number {
  const words = chachaWords(() => new Uint8Array(32).fill(seed));
  const fractionBits = 20;
  const own = contribution([0, 2, 3, 5], [3, -2, 6]);
  const plans = KINDS.map((kind) => {
    const change = toGrid(own[kind]!, fractionBits);
    const sensitivity = sensitivitiesOf(BOUNDS)[kind];
    const setting = { sensitivity, noiseMultiplier, honestMin: 1, fractionBits, coordinates: change.length };
    return { change, share: Math.round(noiseShareSteps(setting) * part) };
  });
  let right = 0;
  for (let game = 0; game < GAMES; game++) {
    const takesPart = words.below(2) === 1;
    let evidence = 0;
    for (let sweep = 0; sweep < SWEEPS; sweep++) {
      for (const { change, share } of plans) {
        const seen = takesPart ? change.slice() : new Float64Array(change.length);
        addNoise(seen, share, words);
        for (let i = 0; i < seen.length; i++) {
          evidence += (change[i]! * (seen[i]! - change[i]! / 2)) / (share * share);
        }
      }
    }
    if (evidence > 0 === takesPart) right++;
  }
  return right / GAMES;
}

describe('a guess at who took part', () => {
  const noiseMultiplier = 2;
  const bound = membershipBound(
    muOf(muSquaredOf([{ noiseMultiplier, count: KINDS.length * SWEEPS }]), 'add-remove'),
  );
  // 4.75 standard deviations of a share of games: passed by chance once in 10^6.
  const tolerance = 4.75 * Math.sqrt((bound * (1 - bound)) / GAMES);

  it('by the best test on all that left is right no more often than Φ(√(mT)/2σ), and nearly as often', () => {
    expect(bound).toBeCloseTo(0.8068, 3);
    const right = guessedRight(noiseMultiplier, 1, 1);
    expect(right).toBeLessThan(bound + tolerance);
    expect(right).toBeGreaterThan(bound - tolerance);
  });

  it('is right too often where noise is missing: shares of σ/√n when three of ten dropped out', () => {
    expect(guessedRight(noiseMultiplier, 2, Math.sqrt(0.7))).toBeGreaterThan(bound + tolerance);
  });
});

describe('noised sums', () => {
  it('come back from the grid as the sums with the noise that was planned', () => {
    const words = chachaWords(() => new Uint8Array(32).fill(77));
    const values = Float64Array.from({ length: 20_000 }, (_, i) => Math.sin(i) * 100);
    const share = noiseShareSteps({
      sensitivity: 0.5,
      noiseMultiplier: 3,
      honestMin: 1,
      fractionBits: 24,
      coordinates: values.length,
    });
    const grid = toGrid(values, 24);
    addNoise(grid, share, words);
    const back = fromGrid(grid, 24);
    let square = 0;
    back.forEach((value, i) => {
      square += (value - values[i]!) ** 2;
    });
    // Variance of 1.5² within 4.89 standard deviations of its estimate.
    expect(Math.abs(square / values.length / 1.5 ** 2 - 1)).toBeLessThan(
      4.89 * Math.sqrt(2 / values.length) + 1e-4,
    );
  });
});
