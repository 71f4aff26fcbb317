// BPR in f64, written to be read: one sample after the other, its loss and the gradient of it. The fast steps of
// models/sgd/ are held against it; it shares no code with them.

/** Factors and bias of an item, factors of a user. */
export interface BprTriple {
  readonly user: readonly number[];
  readonly positive: { readonly factors: readonly number[]; readonly bias: number };
  readonly negative: { readonly factors: readonly number[]; readonly bias: number };
}

/** −ln σ(s) + (λ/2)(‖x‖² + ‖y_i‖² + ‖y_j‖² + b_i² + b_j²), s = x·(y_i − y_j) + b_i − b_j. */
export function bprLoss({ user, positive, negative }: BprTriple, regularization: number): number {
  let score = positive.bias - negative.bias;
  let squares = positive.bias ** 2 + negative.bias ** 2;
  for (let k = 0; k < user.length; k++) {
    score += user[k]! * (positive.factors[k]! - negative.factors[k]!);
    squares += user[k]! ** 2 + positive.factors[k]! ** 2 + negative.factors[k]! ** 2;
  }
  return Math.log(1 + Math.exp(-score)) + (regularization / 2) * squares;
}

/** The triple after one step against the gradient of `bprLoss`. */
export function bprDescent(triple: BprTriple, learningRate: number, regularization: number): BprTriple {
  const { user, positive, negative } = triple;
  const score =
    positive.bias -
    negative.bias +
    user.reduce((sum, x, k) => sum + x * (positive.factors[k]! - negative.factors[k]!), 0);
  const slope = -1 / (1 + Math.exp(score));
  const item = (row: BprTriple['positive'], sign: number) => ({
    factors: row.factors.map((y, k) => y - learningRate * (sign * slope * user[k]! + regularization * y)),
    bias: row.bias - learningRate * (sign * slope + regularization * row.bias),
  });
  return {
    user: user.map(
      (x, k) =>
        x - learningRate * (slope * (positive.factors[k]! - negative.factors[k]!) + regularization * x),
    ),
    positive: item(positive, 1),
    negative: item(negative, -1),
  };
}
