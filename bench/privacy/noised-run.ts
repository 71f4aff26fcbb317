// Training as a federation does it, in one process: learners are solved from the items, and the items from sums over
// learners that are bounded and noised. The sums are those of all institutions together; what masking would add to them
// cancels, so that it is left out.

import {
  boundWeights,
  clipRows,
  countShares,
  type WeightRule,
} from '../../federation/privacy/bound-learners.js';
import { fromGrid, scaleOffDiagonals, toGrid } from '../../federation/privacy/fixed-point.js';
import type { LearnerBounds, ReleaseKind } from '../../federation/privacy/learner-bounds.js';
import { OutgoingSum } from '../../federation/privacy/outgoing-sum.js';
import type { PlannedRelease } from '../../federation/privacy/planned-releases.js';
import type { RandomWords } from '../../federation/privacy/random-words.js';
import { SpendPermit } from '../../federation/privacy/spend-permit.js';
import { transposeCsr } from '../../models/baselines/transpose-csr.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { ComputeDevice, IalsObjective } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { initFactors } from '../../models/ials/init-factors.js';
import { solveItems } from './solve-items.js';
import { addTargets, addWeightedGrams } from './weighted-sums.js';

/** Steps of the grid of the sums: 2^−24, as masks would have it. */
const FRACTION_BITS = 24;
const BLOCK_ROWS = 8192;

export interface NoisedRunSettings {
  factors: number;
  sweeps: number;
  /** Of the learners' half-step, which is never noised. */
  alpha0: number;
  lambda: number;
  /** Weight of the Gram, and ridge, in the items' systems: relative to weights that are bounded. */
  itemAlpha0: number;
  itemLambda: number;
  bounds: LearnerBounds;
  /** Weights of a learner: shrunk alike, or adapted to the items' counts. */
  weights: 'scale' | 'adaptive';
  /**
   * A_i from sums of their own, or from the Gram: n̂_i/|U| of it, weighted. The second needs no release for A, and is
   * right where the learners of an item are like all learners.
   */
  statistics: 'summed' | 'from gram';
}

export interface Noise {
  /** Of the whole run; used up by it. */
  releases: readonly PlannedRelease[];
  /** Participants that add a share, and h. 1 and 1: noise as one party would add it. */
  participants: number;
  honestMin: number;
  words: RandomWords;
}

/** A trained model: f32 [users, K], [items, K]. */
export interface NoisedModel {
  users: Float32Array;
  items: Float32Array;
}

/** @param noise absent: the sums as they are, of learners that are bounded all the same. */
export async function noisedRun(
  byUser: Csr,
  device: ComputeDevice,
  settings: NoisedRunSettings,
  noise: Noise | undefined,
): Promise<NoisedModel> {
  const { factors, bounds } = settings;
  const items = byUser.cols;
  const left = [...(noise?.releases ?? [])];
  const release = (kind: ReleaseKind, sum: Float64Array) => {
    if (noise === undefined) return;
    const planned = left.splice(
      left.findIndex((one) => one.kind === kind),
      1,
    )[0]!;
    addNoiseTo(sum, planned, bounds, noise);
  };
  const counts = countsOf(byUser, bounds.rowsMax);
  release('itemCounts', counts);
  const learners = Float64Array.of(byUser.rows);
  release('learnerCount', learners);
  const rule: WeightRule = settings.weights === 'adaptive' ? { kind: 'adaptive', counts } : { kind: 'scale' };
  const weighted = boundWeights(byUser, bounds, rule);
  const y = initialItems(items, factors);
  for (let sweep = 0; sweep < settings.sweeps; sweep++) {
    const x = await solveSide(byUser, y, device, settings);
    clipRows(x, factors, bounds.rowNormMax);
    const gram = packedGramOf(x, byUser.rows, factors);
    releaseTriangles(gram, factors, (sum) => release('gram', sum));
    const targets = addTargets(weighted, x, factors);
    release('targets', targets);
    const grams = settings.statistics === 'summed' ? addWeightedGrams(weighted, x, factors) : undefined;
    if (grams !== undefined) releaseTriangles(grams, factors, (sum) => release('statistics', sum));
    solveItems(y, {
      factors,
      grams,
      targets,
      gram,
      counts,
      learners: Math.max(1, learners[0]!),
      isNoised: noise !== undefined,
      settings,
    });
  }
  return { users: await solveSide(byUser, y, device, settings), items: y };
}

/** Training as it is without privacy: both sides exact. */
export async function plainRun(
  byUser: Csr,
  device: ComputeDevice,
  settings: { factors: number; epochs: number; alpha0: number; lambda: number },
): Promise<NoisedModel> {
  const byItem = transposeCsr(byUser);
  let y = initialItems(byUser.cols, settings.factors);
  for (let epoch = 0; epoch < settings.epochs; epoch++) {
    y = await solveSide(byItem, await solveSide(byUser, y, device, settings), device, settings);
  }
  return { users: await solveSide(byUser, y, device, settings), items: y };
}

function initialItems(items: number, factors: number): Float32Array {
  const y = new Float32Array(items * factors);
  initFactors(y, { seed: 1, side: 'items', rowStart: 0, rowEnd: items, factors, stdDev: 1 });
  return y;
}

/** A half-step: rows exact, from their own entries. */
async function solveSide(
  rows: Csr,
  y: Float32Array,
  device: ComputeDevice,
  o: { factors: number; alpha0: number; lambda: number },
): Promise<Float32Array> {
  const { factors } = o;
  const objective: IalsObjective = {
    objective: 'ials',
    weights: 'binary',
    alpha: 1,
    alpha0: o.alpha0,
    regularization: o.lambda,
    nu: 1,
  };
  const solver = { name: 'cholesky', cgSteps: 1, block: factors } as const;
  const fixed = await device.createTable(rows.cols, factors);
  await device.write(fixed, 0, y);
  const gram = unpackGram(packedGramOf(y, rows.cols, factors), factors);
  const solved = new Float32Array(rows.rows * factors);
  for (let start = 0; start < rows.rows; start += BLOCK_ROWS) {
    const block = csrSlice(rows, start, Math.min(rows.rows, start + BLOCK_ROWS));
    const answer = await device.solveBlock({ block, fixed, gram, objective, solver, wantLoss: false });
    solved.set(answer.rows, start * factors);
  }
  fixed.dispose();
  return solved;
}

function countsOf(byUser: Csr, rowsMax: number): Float64Array {
  const counts = new Float64Array(byUser.cols);
  const shares = countShares(byUser, rowsMax);
  for (let user = 0; user < byUser.rows; user++) {
    for (let e = byUser.ptr[user]!; e < byUser.ptr[user + 1]!; e++) counts[byUser.idx[e]!]! += shares[user]!;
  }
  return counts;
}

function releaseTriangles(packed: Float64Array, factors: number, release: (sum: Float64Array) => void): void {
  scaleOffDiagonals(packed, factors, Math.SQRT2);
  release(packed);
  scaleOffDiagonals(packed, factors, Math.SQRT1_2);
}

/** Each participant adds a share to its own sum; here all of them to the one sum that there is. */
function addNoiseTo(sum: Float64Array, release: PlannedRelease, bounds: LearnerBounds, noise: Noise): void {
  const nothing = new Float64Array(sum.length);
  const { honestMin, words } = noise;
  const grid = toGrid(sum, FRACTION_BITS);
  for (let who = 0; who < noise.participants; who++) {
    const permit = new SpendPermit({
      releases: [{ name: release.name, noiseMultiplier: release.noiseMultiplier }],
    });
    const options = { permit, bounds, honestMin, words, fractionBits: FRACTION_BITS };
    const share = new OutgoingSum(release, options).noised(nothing);
    for (let i = 0; i < grid.length; i++) grid[i]! += share[i]!;
  }
  fromGrid(grid, FRACTION_BITS, sum);
}
