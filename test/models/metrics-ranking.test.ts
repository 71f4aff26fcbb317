// Metrics of one user's ranking: worked examples with the arithmetic written out, then a brute-force twin that follows
// the textbook definitions with sets, over random rankings.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addRankingMetrics,
  RANKING_METRICS,
  rankingMetricNames,
} from '../../models/metrics/ranking-metrics.js';

const NOVELTY = Float64Array.from({ length: 40 }, (_, item) => item / 4);

function metricsOf(ranking: number[], relevant: number[], cutoffs: number[]): Record<string, number> {
  const out = new Float64Array(cutoffs.length * RANKING_METRICS.length);
  const user = { ranking: Int32Array.from(ranking), relevant: Int32Array.from(relevant) };
  addRankingMetrics({ ...user, cutoffs, novelty: NOVELTY }, out, 0);
  return Object.fromEntries(rankingMetricNames(cutoffs).map((name, i) => [name, out[i]!]));
}

describe('a worked example', () => {
  // Held out: 2, 5, 9. Recommended: 7, 5, 1, 2, 8. Hits at ranks 2 and 4.
  const metrics = metricsOf([7, 5, 1, 2, 8], [2, 5, 9], [1, 2, 3, 5]);

  it('counts hits against the fewer of k and the held-out items', () => {
    expect(metrics['recall@1']).toBe(0);
    expect(metrics['recall@2']).toBe(1 / 2);
    expect(metrics['recall@3']).toBe(1 / 3);
    expect(metrics['recall@5']).toBe(2 / 3);
  });

  it('discounts gains by rank and divides by the ideal of the same length', () => {
    const ideal3 = 1 + 1 / Math.log2(3) + 1 / Math.log2(4);
    expect(metrics['ndcg@1']).toBe(0);
    expect(metrics['ndcg@2']).toBeCloseTo(1 / Math.log2(3) / (1 + 1 / Math.log2(3)), 12);
    expect(metrics['ndcg@3']).toBeCloseTo(1 / Math.log2(3) / ideal3, 12);
    expect(metrics['ndcg@5']).toBeCloseTo((1 / Math.log2(3) + 1 / Math.log2(5)) / ideal3, 12);
  });

  it('says whether there was a hit at all', () => {
    expect([metrics['hr@1'], metrics['hr@2'], metrics['hr@5']]).toEqual([0, 1, 1]);
  });

  it('averages the precision at each hit', () => {
    expect(metrics['map@2']).toBeCloseTo(1 / 2 / 2, 12);
    expect(metrics['map@5']).toBeCloseTo((1 / 2 + 2 / 4) / 3, 12);
  });

  it('averages the bits of surprise of what was shown', () => {
    expect(metrics['novelty@1']).toBe(7 / 4);
    expect(metrics['novelty@5']).toBeCloseTo((7 + 5 + 1 + 2 + 8) / 4 / 5, 12);
  });
});

it('a perfect ranking scores 1 at every cutoff, with fewer or more held-out items than places', () => {
  const metrics = metricsOf([3, 1, 4, 0, 2], [1, 3, 4], [2, 3, 5]);
  for (const [name, value] of Object.entries(metrics)) {
    if (!name.startsWith('novelty')) expect([name, value]).toEqual([name, 1]);
  }
});

it('a ranking shorter than k counts what it has', () => {
  const metrics = metricsOf([6, 3, -1, -1], [3, 8], [2, 4, 100]);
  expect(metrics['recall@100']).toBe(1 / 2);
  expect(metrics['recall@4']).toBe(metrics['recall@100']);
  expect(metrics['novelty@100']).toBe((6 + 3) / 4 / 2);
});

it('adds users up', () => {
  const out = new Float64Array(7 + RANKING_METRICS.length);
  const user = { relevant: Int32Array.of(4), cutoffs: [2], novelty: NOVELTY };
  addRankingMetrics({ ...user, ranking: Int32Array.of(4, 1) }, out, 7);
  addRankingMetrics({ ...user, ranking: Int32Array.of(1, 2) }, out, 7);
  expect([...out.subarray(0, 7)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  expect([...out.subarray(7, 11)]).toEqual([1, 1, 1, 1]);
});

it('agrees with the definitions written out over sets', () => {
  const item = fc.integer({ min: 0, max: 39 });
  fc.assert(
    fc.property(
      fc.uniqueArray(item, { minLength: 1, maxLength: 25 }),
      fc.uniqueArray(item, { minLength: 1, maxLength: 12 }),
      fc.uniqueArray(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
      (ranking, relevant, ks) => {
        const cutoffs = ks.sort((a, b) => a - b);
        const metrics = metricsOf(
          ranking,
          [...relevant].sort((a, b) => a - b),
          cutoffs,
        );
        for (const k of cutoffs) {
          for (const [metric, value] of Object.entries(bruteForce(ranking, new Set(relevant), k))) {
            expect(metrics[`${metric}@${k}`]).toBeCloseTo(value, 10);
          }
        }
      },
    ),
  );
});

function bruteForce(ranking: number[], relevant: Set<number>, k: number): Record<string, number> {
  const shown = ranking.slice(0, k);
  const gains = shown.map((item): number => (relevant.has(item) ? 1 : 0));
  const dcg = (values: number[]) => values.reduce((sum, gain, i) => sum + gain / Math.log2(i + 2), 0);
  const hitsUpTo = (i: number) => gains.slice(0, i + 1).reduce((a, b) => a + b, 0);
  const attainable = Math.min(k, relevant.size);
  const hits = hitsUpTo(shown.length);
  return {
    recall: hits / attainable,
    ndcg: dcg(gains) / dcg(new Array(attainable).fill(1)),
    hr: hits > 0 ? 1 : 0,
    map: gains.reduce((sum, gain, i) => sum + gain * (hitsUpTo(i) / (i + 1)), 0) / attainable,
    novelty: shown.reduce((sum, item) => sum + NOVELTY[item]!, 0) / shown.length,
  };
}
