import type { Csr } from '../csr.js';
import type { IalsObjective } from '../device.js';

/**
 * The objective, pair by pair in f64, straight from its definition; see `models/ials/objective.ts`.
 *
 * @param byUser rows are users, columns items.
 * @param users  X, [users, factors]; @param items Y, [items, factors].
 *
 * Cost: users · items · factors.
 */
export function referenceLoss(
  byUser: Csr,
  users: ArrayLike<number>,
  items: ArrayLike<number>,
  factors: number,
  objective: IalsObjective,
): number {
  const isIals = objective.objective === 'ials';
  const values = valuesByPair(byUser);
  const itemCounts = new Float64Array(byUser.cols);
  let loss = 0;
  for (let u = 0; u < byUser.rows; u++) {
    for (let i = 0; i < byUser.cols; i++) {
      let score = 0;
      for (let k = 0; k < factors; k++) score += users[u * factors + k]! * items[i * factors + k]!;
      const value = values.get(u * byUser.cols + i);
      if (value !== undefined) itemCounts[i] = itemCounts[i]! + 1;
      const scaled = objective.weights === 'value' ? objective.alpha * (value ?? 0) : undefined;
      if (isIals) {
        loss += objective.alpha0 * score ** 2;
        if (value !== undefined) loss += (scaled ?? 1) * (score - 1) ** 2;
      } else if (value === undefined) {
        loss += score ** 2;
      } else {
        loss += (1 + (scaled ?? objective.alpha)) * (1 - score) ** 2;
      }
    }
  }
  const penalty = (rows: ArrayLike<number>, row: number, count: number, otherSize: number): number => {
    let square = 0;
    for (let k = 0; k < factors; k++) square += rows[row * factors + k]! ** 2;
    if (!isIals) return objective.regularization * square;
    return objective.regularization * (count + objective.alpha0 * otherSize) ** objective.nu * square;
  };
  for (let u = 0; u < byUser.rows; u++) {
    loss += penalty(users, u, byUser.ptr[u + 1]! - byUser.ptr[u]!, byUser.cols);
  }
  for (let i = 0; i < byUser.cols; i++) loss += penalty(items, i, itemCounts[i]!, byUser.rows);
  return loss;
}

function valuesByPair(byUser: Csr): Map<number, number> {
  const values = new Map<number, number>();
  for (let u = 0; u < byUser.rows; u++) {
    for (let e = byUser.ptr[u]!; e < byUser.ptr[u + 1]!; e++) {
      values.set(u * byUser.cols + byUser.idx[e]!, byUser.values?.[e] ?? 1);
    }
  }
  return values;
}
