/**
 * Scores all items for a user by a dense matrix W of item-to-item weights: score_i = Σ_{j in history} W_ji.
 *
 * @param history the user's item rows j.
 * @param weights W, f32, [items, items], row-major; row j holds what having j says about every item.
 * @param scores written whole, one number for each item.
 */
export function scoreByWeights(history: Int32Array, weights: Float32Array, scores: Float64Array): void {
  const items = scores.length;
  scores.fill(0);
  for (let h = 0; h < history.length; h++) addRow(scores, weights, history[h]! * items);
}

function addRow(scores: Float64Array, weights: Float32Array, from: number): void {
  for (let item = 0; item < scores.length; item++) scores[item]! += weights[from + item]!;
}
