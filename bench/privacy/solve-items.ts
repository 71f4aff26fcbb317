import { choleskyFactor } from '../../models/dense/cholesky-factor.js';
import { symmetricEigen } from '../../models/dense/symmetric-eigen.js';
import { backwardSolve, forwardSolve } from '../../models/dense/triangular-solve.js';
import { packedGramLength, unpackGram } from '../../models/gram.js';
import type { NoisedRunSettings } from './noised-run.js';

export interface ItemSums {
  /** K, a multiple of 4. */
  factors: number;
  /** A_i, packed, [items, K(K+1)/2]; absent: made from the Gram. */
  grams: Float64Array | undefined;
  /** b_i, [items, K]. */
  targets: Float64Array;
  /** XᵀX, packed. */
  gram: Float64Array;
  /** n̂, [items]. */
  counts: Float64Array;
  /** |U|, noised. */
  learners: number;
  /** False: the matrices are positive semi-definite already. */
  isNoised: boolean;
  settings: NoisedRunSettings;
}

/**
 * Solves every item from sums that may be noised: (A⁺ + α₀ G⁺ + λ(w̄n̂ + α₀|U|) I) y = b, where ⁺ is the nearest positive
 * semi-definite matrix and w̄ what an interaction of an item weighs on average.
 *
 * @param y written, f32 [items, K].
 */
export function solveItems(y: Float32Array, sums: ItemSums): void {
  const { factors: k, settings, learners } = sums;
  const items = y.length / k;
  const length = packedGramLength(k);
  const whole = (packed: Float64Array) => {
    const matrix = unpackGram(packed, k);
    return sums.isNoised ? nearestPositive(matrix, k) : matrix;
  };
  const gram = whole(sums.gram);
  const weights = averageWeights(sums);
  const system = new Float64Array(k * k);
  const inverse = new Float64Array(k);
  const solution = new Float64Array(k);
  for (let item = 0; item < items; item++) {
    const weight = weights[item]! * Math.max(sums.counts[item]!, 0);
    const own =
      sums.grams === undefined ? undefined : whole(sums.grams.subarray(item * length, (item + 1) * length));
    const ridge = settings.itemLambda * (weight + settings.itemAlpha0 * learners);
    for (let p = 0; p < k * k; p++) {
      system[p] =
        settings.itemAlpha0 * gram[p]! + (own === undefined ? (weight / learners) * gram[p]! : own[p]!);
    }
    for (let d = 0; d < k; d++) system[d * k + d]! += ridge;
    if (choleskyFactor(system, inverse, k) >= 0)
      throw new Error(`the system of item ${item} is not positive definite`);
    solution.set(sums.targets.subarray(item * k, (item + 1) * k));
    forwardSolve(system, inverse, k, solution);
    backwardSolve(system, inverse, k, solution);
    for (let d = 0; d < k; d++) y[item * k + d] = solution[d]!;
  }
}

/**
 * What an interaction of each item weighs: known from public numbers. A learner with `rowsMax` rows or more spends
 * √(Σw²) = W√k over them; a typical one of this data has about ten.
 */
function averageWeights({ settings, counts }: ItemSums): Float64Array {
  const { bounds, weights } = settings;
  const typical = bounds.weightMax * Math.min(1, Math.sqrt(bounds.rowsMax / 10));
  if (weights === 'scale') return new Float64Array(counts.length).fill(typical);
  const shares = counts.map((count) => Math.max(count, 1) ** -0.25);
  // The interactions' mean share stands for the learner's norm, that each share is divided by.
  const total = counts.reduce((sum, count) => sum + Math.max(count, 1), 0);
  const square = counts.reduce((sum, count, i) => sum + Math.max(count, 1) * shares[i]! ** 2, 0);
  return shares.map((share) => (typical * share) / Math.sqrt(square / total));
}

/** The nearest positive semi-definite matrix in Frobenius norm: negative eigenvalues become zero. */
function nearestPositive(matrix: Float64Array, k: number): Float64Array {
  const { values, vectors } = symmetricEigen(matrix, k);
  if (values.every((value) => value >= 0)) return matrix;
  const out = new Float64Array(k * k);
  for (let v = 0; v < k; v++) {
    if (values[v]! <= 0) continue;
    for (let r = 0; r < k; r++) {
      const scaled = values[v]! * vectors[r * k + v]!;
      for (let c = 0; c < k; c++) out[r * k + c]! += scaled * vectors[c * k + v]!;
    }
  }
  return out;
}
