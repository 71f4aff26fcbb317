// The part of the device suite that scores given pairs: against products in f64, pair by pair.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeviceError, NumericError, ShapeError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice } from '../../models/device.js';

/** Error of a score, as a part of ‖query‖·‖item‖. */
const SCORE = 1e-5;

interface Scoring {
  queries: Float32Array;
  items: Float32Array;
  itemCount: number;
  factors: number;
  pairs: Csr;
}

const shapes = fc.record({
  count: fc.integer({ min: 1, max: 80 }),
  itemCount: fc.integer({ min: 1, max: 140 }),
  factors: fc.integer({ min: 1, max: 37 }),
  seed: fc.nat(),
});

export function describeDeviceScoring(device: () => ComputeDevice): void {
  describe('scoring', () => {
    it('answers the product of every pair, in the order of the pairs', async () => {
      await fc.assert(
        fc.asyncProperty(shapes, async (shape) => {
          const scoring = buildScoring(shape);
          expectScores(await score(device(), scoring), scoring);
        }),
        { numRuns: 40 },
      );
    });

    it('answers no queries, and queries without pairs, with nothing', async () => {
      const scoring = buildScoring({ count: 2, itemCount: 5, factors: 3, seed: 1 });
      const none = { rows: 2, cols: 5, ptr: new Int32Array(3), idx: new Int32Array(0) };
      expect((await score(device(), { ...scoring, pairs: none })).length).toBe(0);
      const nobody = { rows: 0, cols: 5, ptr: new Int32Array(1), idx: new Int32Array(0) };
      const queries = new Float32Array(0);
      expect((await score(device(), { ...scoring, queries, pairs: nobody })).length).toBe(0);
    });

    it('refuses queries that are not whole, and pairs of other queries or other items', async () => {
      const scoring = buildScoring({ count: 3, itemCount: 5, factors: 4, seed: 1 });
      const { pairs } = scoring;
      const refused = [
        { ...scoring, queries: new Float32Array(11) },
        { ...scoring, pairs: { ...pairs, rows: 2, ptr: pairs.ptr.subarray(0, 3) } },
        { ...scoring, pairs: { ...pairs, cols: 6 } },
        { ...scoring, pairs: { ...pairs, idx: pairs.idx.subarray(1) } },
        { ...scoring, pairs: { ...pairs, ptr: pairs.ptr.subarray(1) } },
        { ...scoring, pairs: { ...pairs, idx: pairs.idx.map((item, e) => (e === 1 ? 5 : item)) } },
        { ...scoring, pairs: { ...pairs, idx: pairs.idx.map((item, e) => (e === 1 ? -1 : item)) } },
      ];
      for (const wrong of refused) await expect(score(device(), wrong)).rejects.toBeInstanceOf(ShapeError);
    });

    it('refuses a query that is not finite and names it', async () => {
      const scoring = buildScoring({ count: 70, itemCount: 5, factors: 3, seed: 1, part: 1 });
      scoring.queries[66 * 3 + 1] = Number.NaN;
      await expect(score(device(), scoring)).rejects.toBeInstanceOf(NumericError);
      await expect(score(device(), scoring)).rejects.toThrow(/66/);
    });

    it('refuses a table that was disposed of', async () => {
      const { queries, pairs } = buildScoring({ count: 2, itemCount: 5, factors: 3, seed: 1 });
      const items = await device().createTable(5, 3);
      items.dispose();
      await expect(device().score({ queries, items, pairs })).rejects.toBeInstanceOf(DeviceError);
    });

    it('rejects with the reason of a signal', async () => {
      const scoring = buildScoring({ count: 70, itemCount: 5, factors: 3, seed: 1 });
      const reason = new Error('too late');
      await expect(score(device(), scoring, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}

async function score(device: ComputeDevice, scoring: Scoring, signal?: AbortSignal): Promise<Float32Array> {
  const items = await device.createTable(scoring.itemCount, scoring.factors);
  try {
    await device.write(items, 0, scoring.items);
    const { queries, pairs } = scoring;
    return await device.score({ queries, items, pairs, signal });
  } finally {
    items.dispose();
  }
}

/** The first query asks for everything, the others for parts that are mostly small; values are there to be ignored. */
function buildScoring(o: {
  count: number;
  itemCount: number;
  factors: number;
  seed: number;
  /** Part of the items that each query asks for. @default drawn */
  part?: number;
}): Scoring {
  const random = createRandom(o.seed);
  const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
  const rows = Array.from({ length: o.count }, (_, query) => {
    const part = o.part ?? (query === 0 ? 1 : random.next() ** 3);
    return Array.from({ length: o.itemCount }, (_, item) => item).filter(() => random.next() < part);
  });
  const ptr = new Int32Array(o.count + 1);
  for (const [row, columns] of rows.entries()) ptr[row + 1] = ptr[row]! + columns.length;
  const idx = Int32Array.from(rows.flat());
  return {
    queries: draw(o.count * o.factors),
    items: draw(o.itemCount * o.factors),
    itemCount: o.itemCount,
    factors: o.factors,
    pairs: { rows: o.count, cols: o.itemCount, ptr, idx, values: draw(idx.length) },
  };
}

function expectScores(scores: Float32Array, { queries, items, factors, pairs }: Scoring): void {
  expect(scores.length).toBe(pairs.idx.length);
  for (let query = 0; query < pairs.rows; query++) {
    const q = queries.subarray(query * factors, (query + 1) * factors);
    for (let e = pairs.ptr[query]!; e < pairs.ptr[query + 1]!; e++) {
      const y = items.subarray(pairs.idx[e]! * factors, (pairs.idx[e]! + 1) * factors);
      let expected = 0;
      for (let k = 0; k < factors; k++) expected += q[k]! * y[k]!;
      expect(Math.abs(scores[e]! - expected)).toBeLessThanOrEqual(
        SCORE * Math.hypot(...q) * Math.hypot(...y),
      );
    }
  }
}
