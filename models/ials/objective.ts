// The two objectives of iALS, and what each makes of a row and of an interaction.
//
// With users' factors x_u (rows of X), items' factors y_i (rows of Y), S the interactions, r_ui their values:
//
// `ials` (Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
// RecSys 2022; weights are an extension):
//
//   L = Σ_{(u,i)∈S} w_ui (x_u·y_i − 1)² + α₀ Σ_u Σ_i (x_u·y_i)²
//     + λ ( Σ_u (|S_u| + α₀|I|)^ν ‖x_u‖² + Σ_i (|S_i| + α₀|U|)^ν ‖y_i‖² )
//
//   (α₀ YᵀY + Σ_{i∈S_u} w_ui y_i y_iᵀ + λ_u I) x_u = Σ_{i∈S_u} w_ui y_i,   λ_u = λ (|S_u| + α₀|I|)^ν
//
//   w = 1 (`binary`) or α·r (`value`).
//
// `hu2008` (Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, eq. 3 to 5):
//
//   L = Σ_{u,i} c_ui (p_ui − x_u·y_i)² + λ ( Σ_u ‖x_u‖² + Σ_i ‖y_i‖² ),   p = 1 on S and 0 elsewhere, c = 1 off S
//
//   (YᵀY + Σ_{i∈S_u} (c_ui − 1) y_i y_iᵀ + λI) x_u = Σ_{i∈S_u} c_ui y_i
//
//   c = 1 + α on S (`binary`) or 1 + α·r (`value`).
//
// Both have the form (s·G + Σ w y yᵀ + λ_row I) x = Σ c y with G the other side's Gram: `gramScale` gives s,
// `entryWeight` w, `entryTarget` c, `rowPenalty` λ_row. The items' half-step is the same with the sides exchanged.

import type { IalsObjective } from '../device.js';

/** s: the weight of the other side's Gram in every row's system. */
export function gramScale(objective: IalsObjective): number {
  return objective.objective === 'ials' ? objective.alpha0 : 1;
}

/**
 * λ_row: what stands on the diagonal of a row's system.
 *
 * @param entries   the row's interactions, |S_row|.
 * @param otherSize rows of the other side.
 */
export function rowPenalty(objective: IalsObjective, entries: number, otherSize: number): number {
  if (objective.objective === 'hu2008') return objective.regularization;
  return objective.regularization * (entries + objective.alpha0 * otherSize) ** objective.nu;
}

/** w: the weight of y yᵀ of one interaction, >= 0. @param value the interaction's value; 1 where data have none. */
export function entryWeight(objective: IalsObjective, value: number): number {
  if (objective.weights === 'value') return objective.alpha * value;
  return objective.objective === 'ials' ? 1 : objective.alpha;
}

/** c: the weight of y on the right-hand side, given the interaction's w. */
export function entryTarget(objective: IalsObjective, weight: number): number {
  return objective.objective === 'ials' ? weight : 1 + weight;
}
