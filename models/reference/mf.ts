// Matrix factorisation of ratings in f64, written to be read: one rating after the other, its loss and the gradient
// of it. The fast steps of models/sgd/ are held against it; it shares no code with them.

export interface BiasedRow {
  readonly factors: readonly number[];
  readonly bias: number;
}

/** (1/2)(r − μ − b_u − b_i − x·y)² + (λ/2)(‖x‖² + ‖y‖² + b_u² + b_i²). */
export function mfLoss(
  user: BiasedRow,
  item: BiasedRow,
  o: { rating: number; mean: number; regularization: number },
): number {
  const square = ({ factors, bias }: BiasedRow) =>
    factors.reduce((sum, value) => sum + value ** 2, bias ** 2);
  return (errorOf(user, item, o) ** 2 + o.regularization * (square(user) + square(item))) / 2;
}

/** Both rows after one step against the gradient of `mfLoss`. */
export function mfDescent(
  user: BiasedRow,
  item: BiasedRow,
  o: { rating: number; mean: number; regularization: number; learningRate: number },
): { user: BiasedRow; item: BiasedRow } {
  const error = errorOf(user, item, o);
  const moved = (row: BiasedRow, other: BiasedRow): BiasedRow => ({
    factors: row.factors.map(
      (value, k) => value - o.learningRate * (-error * other.factors[k]! + o.regularization * value),
    ),
    bias: row.bias - o.learningRate * (-error + o.regularization * row.bias),
  });
  return { user: moved(user, item), item: moved(item, user) };
}

function errorOf(user: BiasedRow, item: BiasedRow, o: { rating: number; mean: number }): number {
  const product = user.factors.reduce((sum, x, k) => sum + x * item.factors[k]!, 0);
  return o.rating - o.mean - user.bias - item.bias - product;
}
