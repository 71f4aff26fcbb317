// Shows that queries ranked together in threads get what each would get alone, and that the queue has an end.

import { describe, expect, it } from 'vitest';
import { StoaError } from '../../common/errors.js';
import { sharedFloat32 } from '../../common/shared-memory.js';
import { RankPool } from '../../coordinator/serving/rank-pool.js';
import type { RankQuery } from '../../coordinator/serving/recommender.js';
import { smallModel } from '../support/small-model.js';

function tableOf(rows: number, factors: number, seed: number): Float32Array {
  const table = sharedFloat32(rows * factors);
  table.set(smallModel({ items: rows, factors, seed, users: 1 }).itemFactors);
  return table;
}

const tables = [
  { items: tableOf(90, 5, 1), itemCount: 90, factors: 5 },
  { items: tableOf(40, 8, 2), itemCount: 40, factors: 8 },
];

function queryOf(at: number): RankQuery {
  const table = tables[at % 3 === 0 ? 1 : 0]!;
  return {
    ...table,
    vector: Float32Array.from({ length: table.factors }, (_, f) => Math.sin(at * 7 + f * 3)),
    n: 1 + (at % 30),
    exclude: Int32Array.from({ length: at % 6 }, (_, step) => step * 3),
  };
}

/** Scores everything in float64 and sorts. */
function plainRanking({ vector, items, itemCount, factors, n, exclude }: RankQuery): number[] {
  return Array.from({ length: itemCount }, (_, row) => ({
    row,
    score: Math.fround(vector.reduce((sum, value, f) => sum + value * items[row * factors + f]!, 0)),
  }))
    .filter(({ row }) => !exclude.includes(row))
    .sort((a, b) => b.score - a.score || a.row - b.row)
    .slice(0, n)
    .map(({ row }) => row);
}

describe('the rank pool', () => {
  it('answers each of many queries at once by its own table, length and exclusions', async () => {
    const pool = new RankPool(2);
    const queries = Array.from({ length: 500 }, (_, at) => queryOf(at));
    const rankings = await Promise.all(queries.map((query) => pool.rank(query)));
    rankings.forEach((ranking, at) => {
      expect([...ranking.rows]).toEqual(plainRanking(queries[at]!));
      expect(ranking.scores).toHaveLength(ranking.rows.length);
    });
    await pool.close();
  });

  it('refuses what it could only keep waiting, and says to try again', async () => {
    const pool = new RankPool(1);
    const asked = Array.from({ length: 6000 }, async (_, at) => pool.rank(queryOf(at)));
    const refused = (await Promise.allSettled(asked)).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThan(2000);
    for (const { reason } of refused as PromiseRejectedResult[]) {
      expect(reason).toBeInstanceOf(StoaError);
      expect(reason).toMatchObject({ code: 'STOA_BUSY' });
    }
    expect((await pool.rank(queryOf(1))).rows).toHaveLength(2);
    await pool.close();
  });

  it('ends what it has begun when it is closed, and takes nothing more', async () => {
    const pool = new RankPool(1);
    const begun = Array.from({ length: 100 }, (_, at) => pool.rank(queryOf(at)));
    const closed = pool.close();
    expect(() => pool.rank(queryOf(0))).toThrow(expect.objectContaining({ code: 'STOA_DRAINING' }) as Error);
    expect(await Promise.all(begun)).toHaveLength(100);
    await closed;
  });
});
