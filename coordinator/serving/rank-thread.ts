// Entry of a ranking thread: many queries against one table of items.

import { topN } from '../../models/rank/top-n.js';

export interface RankTask {
  /** f32, [count, factors]. */
  queries: Float32Array;
  count: number;
  /** f32, row-major, [itemCount, factors], over a SharedArrayBuffer. */
  items: Float32Array;
  itemCount: number;
  factors: number;
  n: number;
  /** Excluded rows as CSR: [count + 1], [excludePtr[count]]. */
  excludePtr: Int32Array;
  excludeIdx: Int32Array;
}

export interface RankResult {
  /** [count, n]; -1 where there are fewer. */
  ids: Int32Array;
  scores: Float32Array;
}

export default function rank(task: RankTask): RankResult {
  const { queries, count, items, itemCount, factors, n, excludePtr, excludeIdx } = task;
  const exclude = { rows: count, cols: itemCount, ptr: excludePtr, idx: excludeIdx };
  const { ids, scores } = topN({ queries, count, items, itemCount, factors, n, exclude });
  return { ids, scores };
}
