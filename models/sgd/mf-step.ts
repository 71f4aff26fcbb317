import type { StepSamples } from './draw-samples.js';

/**
 * Descends over the ratings of one step, one after the other, in place.
 *
 *   e = r − (μ + b_u + b_i + x_u·y_i),  loss = e²
 *   b_u += η (e − λ b_u),  b_i += η (e − λ b_i)
 *   x_u += η (e y_i − λ x_u),  y_i += η (e x_u − λ y_i)           with x_u as it was before
 *
 * Rows are laid out as `sgdColumns` says; the columns that are 1 stay it.
 *
 * @param users  [rows, factors + 2] f32, changed.
 * @param items  [places, factors + 2] f32, changed.
 * @param counts [places]: how often each row was changed, added to.
 * @returns Σ e² before each change, and the number of ratings.
 *
 * f64 inside, rounded to f32 where it is stored. Cost: 8 K flops a rating.
 * Source: Koren, Bell, Volinsky, "Matrix Factorization Techniques for Recommender Systems", IEEE Computer 42(8), 2009,
 * the section on adding biases; the factor 2 of the squared error's gradient is part of η.
 */
export function mfStep(
  samples: StepSamples,
  rows: { users: Float32Array; items: Float32Array; counts: Uint32Array; factors: number },
  rates: { learningRate: number; regularization: number; mean: number },
): { loss: number; samples: number } {
  const { users, items, counts, factors } = rows;
  const columns = factors + 2;
  const { learningRate, mean } = rates;
  const keep = 1 - learningRate * rates.regularization;
  const itemBias = factors;
  const userBias = factors + 1;
  let loss = 0;
  for (let n = 0; n < samples.count; n++) {
    const place = samples.positives[n]!;
    const u = samples.users[n]! * columns;
    const i = place * columns;
    const error = samples.values[n]! - mean - innerProduct(users, items, u, i, columns);
    const pull = learningRate * error;
    for (let k = 0; k < factors; k++) {
      const x = users[u + k]!;
      const y = items[i + k]!;
      users[u + k] = keep * x + pull * y;
      items[i + k] = keep * y + pull * x;
    }
    users[u + userBias] = keep * users[u + userBias]! + pull;
    items[i + itemBias] = keep * items[i + itemBias]! + pull;
    counts[place] = counts[place]! + 1;
    loss += error * error;
  }
  return { loss, samples: samples.count };
}

function innerProduct(
  users: Float32Array,
  items: Float32Array,
  u: number,
  i: number,
  columns: number,
): number {
  let even = 0;
  let odd = 0;
  let k = 0;
  for (; k + 1 < columns; k += 2) {
    even += users[u + k]! * items[i + k]!;
    odd += users[u + k + 1]! * items[i + k + 1]!;
  }
  if (k < columns) even += users[u + k]! * items[i + k]!;
  return even + odd;
}
