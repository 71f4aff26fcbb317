import type { StepSamples } from './draw-samples.js';

/**
 * Descends over the samples of one step, one after the other, in place.
 *
 *   s = x_u·(y_i − y_j),  loss = −ln σ(s)                       rows with their bias columns: see `sgdColumns`
 *   x_u += η (σ(−s)(y_i − y_j) − λ x_u)
 *   y_i += η (σ(−s) x_u − λ y_i),  y_j += η (−σ(−s) x_u − λ y_j)  with x_u as it was before
 *
 * The user's last column is 1 and stays it, so that the items' last column is their bias.
 *
 * @param users  [rows, factors + 1] f32, changed.
 * @param items  [places, factors + 1] f32, changed.
 * @param counts [places]: how often each row was changed, added to.
 * @returns Σ loss before each change, and the samples that counted (those with a negative).
 *
 * f64 inside, rounded to f32 where it is stored. Cost: 12 (K + 1) flops a sample.
 * Source: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, "BPR: Bayesian Personalized Ranking from Implicit Feedback",
 * UAI 2009, figure 4 and section 4.3.1 (matrix factorisation).
 */
export function bprStep(
  samples: StepSamples,
  rows: { users: Float32Array; items: Float32Array; counts: Uint32Array; factors: number },
  rates: { learningRate: number; regularization: number },
): { loss: number; samples: number } {
  const { users, items, counts, factors } = rows;
  const columns = factors + 1;
  const { learningRate } = rates;
  const keep = 1 - learningRate * rates.regularization;
  let loss = 0;
  let counted = 0;
  for (let n = 0; n < samples.count; n++) {
    const negative = samples.negatives[n]!;
    if (negative < 0) continue;
    const positive = samples.positives[n]!;
    const u = samples.users[n]! * columns;
    const i = positive * columns;
    const j = negative * columns;
    const score = scoreDifference(users, items, u, i, j, columns);
    const pull = learningRate / (1 + Math.exp(score));
    for (let k = 0; k < factors; k++) {
      const x = users[u + k]!;
      const yi = items[i + k]!;
      const yj = items[j + k]!;
      users[u + k] = keep * x + pull * (yi - yj);
      items[i + k] = keep * yi + pull * x;
      items[j + k] = keep * yj - pull * x;
    }
    items[i + factors] = keep * items[i + factors]! + pull;
    items[j + factors] = keep * items[j + factors]! - pull;
    counts[positive] = counts[positive]! + 1;
    counts[negative] = counts[negative]! + 1;
    loss += logisticLoss(score);
    counted++;
  }
  return { loss, samples: counted };
}

/** −ln σ(s), without overflow for either sign. */
export function logisticLoss(score: number): number {
  return score > 0 ? Math.log1p(Math.exp(-score)) : Math.log1p(Math.exp(score)) - score;
}

function scoreDifference(
  users: Float32Array,
  items: Float32Array,
  u: number,
  i: number,
  j: number,
  columns: number,
): number {
  let even = 0;
  let odd = 0;
  let k = 0;
  for (; k + 1 < columns; k += 2) {
    even += users[u + k]! * (items[i + k]! - items[j + k]!);
    odd += users[u + k + 1]! * (items[i + k + 1]! - items[j + k + 1]!);
  }
  if (k < columns) even += users[u + k]! * (items[i + k]! - items[j + k]!);
  return even + odd;
}
