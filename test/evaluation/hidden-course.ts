// Reads a real data set for the tests: each learner's last course hidden, ids as rows in sorted order.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { packageRoot } from '../../common/package-root.js';
import type { Csr } from '../../models/csr.js';

export const MOOC_FILE = path.join(packageRoot, '../shared/datasets/mooc/interactions.csv.gz');

export const hasMooc = existsSync(MOOC_FILE);

/** The course that a learner enrolled in last is the one of the highest position. */
export async function loadMooc(): Promise<{ train: Csr; test: Csr }> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const reader = await connection.runAndReadAll(`
    SELECT dense_rank() OVER (ORDER BY user_id) - 1 AS user,
           dense_rank() OVER (ORDER BY item_id) - 1 AS item,
           position = max(position) OVER (PARTITION BY user_id) AS hidden
    FROM read_csv('${MOOC_FILE}') ORDER BY user, item`);
  const [users, items, hidden] = reader.getColumns() as [bigint[], bigint[], boolean[]];
  const counts = {
    rows: Number(users.at(-1)!) + 1,
    cols: 1 + items.reduce((max, i) => Math.max(max, Number(i)), 0),
  };
  const part = (wanted: boolean): Csr => {
    const kept = users.flatMap((_, e) => (hidden[e] === wanted ? [e] : []));
    const ptr = new Int32Array(counts.rows + 1);
    for (const e of kept) ptr[Number(users[e]) + 1]! += 1;
    for (let row = 0; row < counts.rows; row++) ptr[row + 1]! += ptr[row]!;
    return { ...counts, ptr, idx: Int32Array.from(kept, (e) => Number(items[e])) };
  };
  return { train: part(false), test: part(true) };
}
