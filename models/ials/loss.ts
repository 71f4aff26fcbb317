import type { IalsObjective } from '../device.js';
import { entryTarget, entryWeight, gramScale } from './objective.js';

/**
 * What one interaction adds to `BlockLoss.observed`: the objective's term on it, less what the sum over all pairs
 * counts for it already.
 *
 *   `ials`    w (s − 1)²            α₀ s² is part of the sum over all pairs, on interactions too
 *   `hu2008`  c (1 − s)² − s²       1·s² is what the sum over all pairs counts
 *
 * @param value the interaction's value; @param score s = x·y.
 */
export function entryLoss(objective: IalsObjective, value: number, score: number): number {
  const weight = entryWeight(objective, value);
  const miss = entryTarget(objective, weight) * (1 - score) * (1 - score);
  return objective.objective === 'ials' ? miss : miss - score * score;
}

/**
 * Puts the loss together from what blocks report.
 *
 *   L = Σ_S (see `entryLoss`) + s tr(XᵀX · YᵀY) + penalties,   since Σ_u Σ_i (x_u·y_i)² = tr(XᵀX · YᵀY)
 *
 * @param o `observed`: Σ of `BlockLoss.observed` over the blocks of one side (either: the interactions are the same);
 *          `penaltyUsers`, `penaltyItems`: Σ of `BlockLoss.penalty` of each side; the packed Grams of both sides.
 */
export function totalLoss(o: {
  objective: IalsObjective;
  observed: number;
  penaltyUsers: number;
  penaltyItems: number;
  gramUsers: Float64Array;
  gramItems: Float64Array;
  factors: number;
}): number {
  let trace = 0;
  for (let r = 0, at = 0; r < o.factors; r++) {
    for (let c = 0; c < r; c++, at++) trace += 2 * o.gramUsers[at]! * o.gramItems[at]!;
    trace += o.gramUsers[at]! * o.gramItems[at]!;
    at++;
  }
  return o.observed + gramScale(o.objective) * trace + o.penaltyUsers + o.penaltyItems;
}
