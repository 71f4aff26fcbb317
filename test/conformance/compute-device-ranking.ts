// The part of the device suite that ranks: against a full sort in f64, where close scores may change places.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NumericError, ShapeError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, TopNResult } from '../../models/device.js';
import { referenceTopN } from '../../models/reference/top-n.js';

/** Scores closer than this part of ‖query‖·‖item‖ may change places. */
const GAP = 1e-6;
/** Error of a score, as a part of ‖query‖·‖item‖. */
const SCORE = 1e-5;

interface Ranking {
  queries: Float32Array;
  count: number;
  items: Float32Array;
  itemCount: number;
  factors: number;
  n: number;
  exclude: Csr;
}

const shapes = fc.record({
  count: fc.integer({ min: 1, max: 80 }),
  itemCount: fc.integer({ min: 1, max: 140 }),
  factors: fc.integer({ min: 1, max: 21 }),
  n: fc.integer({ min: 1, max: 25 }),
  seed: fc.nat(),
});

export function describeDeviceRanking(device: () => ComputeDevice): void {
  describe('ranking', () => {
    it('finds the best items that are not excluded, best first', async () => {
      await fc.assert(
        fc.asyncProperty(shapes, async (shape) => {
          const ranking = buildRanking(shape);
          expectRanking(await rank(device(), ranking), ranking);
        }),
        { numRuns: 40 },
      );
    });

    it('puts the lower row first where scores are equal', async () => {
      const items = Float32Array.of(1, 3, 2, 3, 3, 1);
      const exclude = { rows: 1, cols: 6, ptr: Int32Array.of(0, 1), idx: Int32Array.of(3) };
      const ranking = {
        queries: Float32Array.of(2),
        count: 1,
        items,
        itemCount: 6,
        factors: 1,
        n: 8,
        exclude,
      };
      const { ids, scores } = await rank(device(), ranking);
      const none = Number.NEGATIVE_INFINITY;
      expect([...ids]).toEqual([1, 4, 2, 0, 5, -1, -1, -1]);
      expect([...scores]).toEqual([6, 6, 4, 2, 2, none, none, none]);
    });

    it('answers no queries with nothing', async () => {
      const ranking = buildRanking({ count: 1, itemCount: 5, factors: 3, n: 2, seed: 1 });
      const exclude = { rows: 0, cols: 5, ptr: new Int32Array(1), idx: new Int32Array(0) };
      const none = { ...ranking, queries: new Float32Array(0), count: 0, exclude };
      expect((await rank(device(), none)).ids.length).toBe(0);
    });

    it('refuses queries that are not whole, too many items and exclusions of other queries', async () => {
      const ranking = buildRanking({ count: 3, itemCount: 5, factors: 3, n: 2, seed: 1 });
      const n = device().capabilities.topNMax + 1;
      await expect(rank(device(), { ...ranking, n })).rejects.toBeInstanceOf(ShapeError);
      await expect(rank(device(), { ...ranking, n: 0 })).rejects.toBeInstanceOf(ShapeError);
      const queries = new Float32Array(8);
      await expect(rank(device(), { ...ranking, queries })).rejects.toBeInstanceOf(ShapeError);
      const exclude = { ...ranking.exclude, rows: 2, ptr: ranking.exclude.ptr.subarray(0, 3) };
      await expect(rank(device(), { ...ranking, exclude })).rejects.toBeInstanceOf(ShapeError);
    });

    it('refuses a query that is not finite and names it', async () => {
      const ranking = buildRanking({ count: 70, itemCount: 5, factors: 3, n: 2, seed: 1 });
      ranking.queries[66 * 3 + 1] = Number.NaN;
      await expect(rank(device(), ranking)).rejects.toBeInstanceOf(NumericError);
      await expect(rank(device(), ranking)).rejects.toThrow(/66/);
    });

    it('rejects with the reason of a signal', async () => {
      const ranking = buildRanking({ count: 70, itemCount: 5, factors: 3, n: 2, seed: 1 });
      const reason = new Error('too late');
      await expect(rank(device(), ranking, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}

async function rank(device: ComputeDevice, ranking: Ranking, signal?: AbortSignal): Promise<TopNResult> {
  const items = await device.createTable(ranking.itemCount, ranking.factors);
  try {
    await device.write(items, 0, ranking.items);
    const { queries, n, exclude } = ranking;
    return await device.topN({ queries, items, n, exclude, signal });
  } finally {
    items.dispose();
  }
}

function buildRanking(o: {
  count: number;
  itemCount: number;
  factors: number;
  n: number;
  seed: number;
}): Ranking {
  const random = createRandom(o.seed);
  const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
  const rows = Array.from({ length: o.count }, () => {
    const part = random.next() ** 2;
    return Array.from({ length: o.itemCount }, (_, item) => item).filter(() => random.next() < part);
  });
  const ptr = new Int32Array(o.count + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  return {
    queries: draw(o.count * o.factors),
    count: o.count,
    items: draw(o.itemCount * o.factors),
    itemCount: o.itemCount,
    factors: o.factors,
    n: o.n,
    exclude: { rows: o.count, cols: o.itemCount, ptr, idx: Int32Array.from(rows.flat()) },
  };
}

function expectRanking({ ids, scores }: TopNResult, ranking: Ranking): void {
  const { queries, items, itemCount, factors, n, exclude } = ranking;
  const product = (q: number, item: number): number => {
    let sum = 0;
    for (let k = 0; k < factors; k++) sum += queries[q * factors + k]! * items[item * factors + k]!;
    return sum;
  };
  const norm = (rows: Float32Array, row: number): number => {
    return Math.hypot(...rows.subarray(row * factors, (row + 1) * factors));
  };
  const longest = Math.max(...Array.from({ length: itemCount }, (_, item) => norm(items, item)));
  for (const [q, expected] of referenceTopN(ranking).entries()) {
    const size = norm(queries, q) * longest;
    const found = ids.subarray(q * n, (q + 1) * n);
    const excluded = exclude.idx.subarray(exclude.ptr[q]!, exclude.ptr[q + 1]!);
    expect(new Set(found.subarray(0, expected.ids.length)).size).toBe(expected.ids.length);
    for (let place = 0; place < n; place++) {
      const score = scores[q * n + place]!;
      if (place >= expected.ids.length) {
        expect([found[place], score]).toEqual([-1, Number.NEGATIVE_INFINITY]);
        continue;
      }
      expect(excluded.includes(found[place]!)).toBe(false);
      const actual = product(q, found[place]!);
      expect(Math.abs(score - actual)).toBeLessThanOrEqual(SCORE * size);
      expect(Math.abs(actual - expected.scores[place]!)).toBeLessThanOrEqual(GAP * size);
    }
  }
}
