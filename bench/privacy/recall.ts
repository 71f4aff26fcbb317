import type { Csr } from '../../models/csr.js';
import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice } from '../../models/device.js';

const BATCH = 4096;

/** Recall at a cutoff, with half of its 95 % interval over learners. */
export interface Recall {
  recall: number;
  halfWidth: number;
}

/**
 * Full ranking of all items but those of the training data, for every `every`-th learner with a hidden item.
 *
 * @param model `users` f32 [users, K], `items` f32 [items, K].
 */
export async function recallAt(
  cutoff: number,
  model: { users: Float32Array; items: Float32Array; factors: number },
  split: { train: Csr; test: Csr },
  device: ComputeDevice,
  every: number,
): Promise<Recall> {
  const { factors } = model;
  const table = await device.createTable(split.train.cols, factors);
  await device.write(table, 0, model.items);
  let learners = 0;
  let sum = 0;
  let square = 0;
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
      learners++;
      sum += recall;
      square += recall * recall;
    });
  }
  table.dispose();
  const recall = sum / learners;
  return { recall, halfWidth: 1.96 * Math.sqrt((square / learners - recall * recall) / learners) };
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
