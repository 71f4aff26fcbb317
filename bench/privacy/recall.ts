import type { Csr } from '../../models/csr.js';
import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice } from '../../models/device.js';

const BATCH = 4096;

/** Recall at a cutoff, with half of its 95 % interval over learners. */
export interface Recall {
  recall: number;
  halfWidth: number;
  learners: number;
}

export interface RecallBySegment {
  all: Recall;
  /** Learners whose hidden item is a rare one. */
  rare: Recall;
}

/**
 * Full ranking of all items but those of the training data, for every `every`-th learner with a hidden item.
 *
 * @param model  `users` f32 [users, K], `items` f32 [items, K].
 * @param isRare [items].
 */
export async function recallAt(
  cutoff: number,
  model: { users: Float32Array; items: Float32Array; factors: number },
  split: { train: Csr; test: Csr },
  o: { device: ComputeDevice; every: number; isRare: Uint8Array },
): Promise<RecallBySegment> {
  const { device, every, isRare } = o;
  const { factors } = model;
  const table = await device.createTable(split.train.cols, factors);
  await device.write(table, 0, model.items);
  const recalls: number[] = [];
  const rare: number[] = [];
  for (let start = 0; start < split.train.rows; start += BATCH) {
    const end = Math.min(split.train.rows, start + BATCH);
    const chosen = rowsOf(split.test, start, end, every);
    const queries = new Float32Array(chosen.length * factors);
    chosen.forEach((user, q) => {
      queries.set(model.users.subarray(user * factors, (user + 1) * factors), q * factors);
    });
    const exclude = gatherRows(split.train, chosen);
    const { ids } = await device.topN({ queries, items: table, n: cutoff, exclude });
    chosen.forEach((user, q) => {
      const relevant = split.test.idx.subarray(split.test.ptr[user]!, split.test.ptr[user + 1]!);
      const hits = ids.subarray(q * cutoff, (q + 1) * cutoff).filter((id) => relevant.includes(id)).length;
      const recall = hits / Math.min(cutoff, relevant.length);
      recalls.push(recall);
      if (relevant.some((item) => isRare[item] === 1)) rare.push(recall);
    });
  }
  table.dispose();
  return { all: meanOf(recalls), rare: meanOf(rare) };
}

function meanOf(recalls: readonly number[]): Recall {
  const learners = recalls.length;
  const recall = recalls.reduce((sum, one) => sum + one, 0) / learners;
  const variance = recalls.reduce((sum, one) => sum + (one - recall) ** 2, 0) / learners;
  return { recall, halfWidth: 1.96 * Math.sqrt(variance / learners), learners };
}

function rowsOf(test: Csr, start: number, end: number, every: number): number[] {
  const rows: number[] = [];
  for (let user = start; user < end; user++) {
    if (user % every === 0 && test.ptr[user + 1]! > test.ptr[user]!) rows.push(user);
  }
  return rows;
}

function gatherRows(csr: Csr, rows: readonly number[]): Csr {
  const parts = rows.map((row) => csrSlice(csr, row, row + 1).idx);
  const ptr = new Int32Array(rows.length + 1);
  parts.forEach((part, i) => {
    ptr[i + 1] = ptr[i]! + part.length;
  });
  const idx = new Int32Array(ptr[rows.length]!);
  parts.forEach((part, i) => {
    idx.set(part, ptr[i]!);
  });
  return { rows: rows.length, cols: csr.cols, ptr, idx };
}
