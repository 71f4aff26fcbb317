import type { Csr } from '../../models/csr.js';
import { foldIn } from '../../models/ials/fold-in.js';
import { topN } from '../../models/rank/top-n.js';
import { gatherRows } from './gather-rows.js';
import type { FactorScorer } from './scorer.js';

/** Writes the best items of some users by inner product, [users, width], what they took left out. */
export function rankByFactors(
  scorer: FactorScorer,
  users: Int32Array,
  history: Csr,
  width: number,
  rankings: Int32Array,
): void {
  const { itemFactors, factors } = scorer;
  const exclude = gatherRows(history, users);
  const itemCount = history.cols;
  const n = Math.min(width, itemCount);
  const queries = queriesOf(scorer, users, history);
  const { ids } = topN({ queries, count: users.length, items: itemFactors, itemCount, factors, n, exclude });
  for (let b = 0; b < users.length; b++) {
    rankings.set(ids.subarray(b * n, (b + 1) * n), b * width);
    rankings.fill(-1, b * width + n, (b + 1) * width);
  }
}

/** [users, factors]: the trained factors; those of users who were not trained are solved from their history. */
function queriesOf(scorer: FactorScorer, users: Int32Array, history: Csr): Float32Array {
  const { userFactors, itemFactors, factors, foldIn: fold } = scorer;
  const queries = new Float32Array(users.length * factors);
  users.forEach((user, b) => {
    queries.set(userFactors.subarray(user * factors, (user + 1) * factors), b * factors);
  });
  if (fold === undefined) return queries;
  const isHeldOut = (user: number) => fold.train.ptr[user] === fold.train.ptr[user + 1];
  const heldOut = users.filter(isHeldOut);
  if (heldOut.length === 0) return queries;
  const rows = foldIn({
    histories: gatherRows(history, heldOut),
    items: itemFactors,
    itemCount: history.cols,
    factors,
    gram: fold.gram,
    objective: fold.objective,
  });
  let solved = 0;
  users.forEach((user, b) => {
    if (!isHeldOut(user)) return;
    queries.set(rows.subarray(solved * factors, (solved + 1) * factors), b * factors);
    solved += 1;
  });
  return queries;
}
