// The whole evaluation in threads, against a twin that scores, sorts and counts in the obvious way.

import { describe, expect, it } from 'vitest';
import { createRandom } from '../../common/random.js';
import { type EvaluationInput, evaluate, metricsJson } from '../../coordinator/evaluation/evaluate.js';
import type { ScorerMetrics } from '../../coordinator/evaluation/evaluation-report.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { solveBlock } from '../../models/ials/solve-block.js';

const FACTORS = 5;
const OBJECTIVE: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.2,
  alpha: 1,
  regularization: 0.05,
  nu: 1,
};

describe('a model and its baselines', () => {
  const input = { ...randomCase(150, 23), cutoffs: [10, 3] };

  it('are measured as if every list were sorted whole', async () => {
    const report = await evaluate({ ...input, threads: 2, seed: 5 });
    expect(report.cutoffs).toEqual([3, 10]);
    expect(report.usersEvaluated).toBe(usersWith(input.test).length);
    const expected = {
      model: obviousMetrics(input, (user, item) => dot(input, user, item)),
      popular: obviousMetrics(input, (_, item) => usersOf(input.train, item).length),
      itemknn: obviousMetrics(input, (user, item) => cosineSum(input.train, user, item)),
    };
    expectMetrics(report.model, expected.model);
    expectMetrics(report.baselines.popular, expected.popular);
    expectMetrics(report.baselines.itemknn, expected.itemknn);
    expect(report.baselines.ease).toHaveProperty('metrics');
  });

  it('have the same report bit for bit with one thread and with three', async () => {
    const one = await evaluate({ ...input, threads: 1, seed: 5 });
    expect(await evaluate({ ...input, threads: 3, seed: 5 })).toEqual(one);
  });

  it('come in the fixed JSON shape', async () => {
    const report = await evaluate({ ...input, baselines: ['popular'], threads: 1, seed: 5 });
    const json = metricsJson(report) as Record<string, never>;
    expect(json['recall@3']).toBe(report.model.metrics['recall@3']);
    expect(json['users_evaluated']).toBe(report.usersEvaluated);
    expect(json['intervals']['ndcg@10']).toHaveLength(2);
    expect(Object.keys(json['baselines'])).toEqual(['popular']);
    expect(json['baselines']['popular']['hr@10']).toBeGreaterThan(0);
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });
});

it('more users than bootstrap groups change no mean', async () => {
  const input = { ...randomCase(12_000, 9), cutoffs: [2] };
  const report = await evaluate({ ...input, baselines: ['popular'], threads: 2, seed: 1 });
  const expected = obviousMetrics(input, (user, item) => dot(input, user, item));
  expectMetrics(report.model, expected);
  const [low, high] = report.model.intervals['hr@2']!;
  const rate = expected['hr@2']!;
  const normalWidth = 2 * 1.96 * Math.sqrt((rate * (1 - rate)) / report.usersEvaluated);
  expect((high - low) / normalWidth).toBeGreaterThan(0.9);
  expect((high - low) / normalWidth).toBeLessThan(1.1);
});

it('a model whose one factor is the popularity of items has the report of popularity', async () => {
  const input = randomCase(400, 31);
  const userFactors = new Float32Array(400).fill(1);
  const itemFactors = Float32Array.from({ length: 31 }, (_, item) => usersOf(input.train, item).length);
  const report = await evaluate({ ...input, userFactors, itemFactors, factors: 1, threads: 2, seed: 3 });
  expect(report.model).toEqual(report.baselines.popular);
});

describe('users who were not trained', () => {
  // The last 40 of 100 users have no training row; what is known of them is their history.
  const whole = randomCase(100, 17);
  const train = withoutRows(whole.train, (user) => user >= 60);
  const test = withoutRows(whole.test, (user) => user < 60);
  const heldOut = { ...whole, train, test, history: whole.train, cutoffs: [5] };

  it('are ranked by factors solved from their history, and never shown what is in it', async () => {
    const report = await evaluate({
      ...heldOut,
      foldIn: OBJECTIVE,
      threads: 2,
      seed: 2,
      baselines: ['itemknn'],
    });
    const solved = solveBlock({
      block: whole.train,
      fixed: whole.itemFactors,
      fixedRows: whole.train.cols,
      factors: FACTORS,
      gram: unpackGram(packedGramOf(whole.itemFactors, whole.train.cols, FACTORS), FACTORS),
      objective: OBJECTIVE,
      solver: { name: 'cholesky', cgSteps: 1, block: FACTORS },
      wantLoss: false,
    }).rows;
    const folded = { ...heldOut, userFactors: solved };
    expectMetrics(
      report.model,
      obviousMetrics(folded, (user, item) => dot(folded, user, item)),
    );
    const knn = obviousMetrics(heldOut, (user, item) => cosineSum(train, user, item, whole.train));
    expectMetrics(report.baselines.itemknn, knn);
  });

  it('keep the factors they were given where nothing says how to solve them', async () => {
    const report = await evaluate({ ...heldOut, threads: 1, seed: 2, baselines: [] });
    expectMetrics(
      report.model,
      obviousMetrics(heldOut, (user, item) => dot(heldOut, user, item)),
    );
    expect(report.baselines).toEqual({});
  });
});

it('without any test item there is nothing to measure, and that is no error', async () => {
  const input = randomCase(6, 8);
  const test = withoutRows(input.test, () => true);
  const report = await evaluate({ ...input, test, threads: 1, seed: 1 });
  expect(report).toMatchObject({ usersEvaluated: 0, model: { metrics: {} }, baselines: {} });
});

it('reports progress up to the last user', async () => {
  const input = randomCase(30, 8);
  const seen: string[] = [];
  await evaluate({
    ...input,
    threads: 1,
    seed: 1,
    onProgress: ({ scorer, done, total }) => {
      if (done === total) seen.push(scorer);
    },
  });
  expect(seen).toEqual(['model', 'popular', 'itemknn', 'ease']);
});

it('an abort ends it with the given reason', async () => {
  const input = randomCase(3000, 40);
  const controller = new AbortController();
  const reason = new Error('enough');
  const running = evaluate({
    ...input,
    threads: 1,
    seed: 1,
    signal: controller.signal,
    onProgress: () => controller.abort(reason),
  });
  await expect(running).rejects.toBe(reason);
  await expect(evaluate({ ...input, threads: 1, seed: 1, signal: controller.signal })).rejects.toBe(reason);
});

it('parts that do not belong together are refused with what is wrong', async () => {
  const input = randomCase(6, 8);
  const other = randomCase(6, 9);
  const evaluated = (changed: Partial<EvaluationInput>) =>
    evaluate({ ...input, threads: 1, seed: 1, ...changed });
  await expect(evaluated({ test: other.test })).rejects.toThrow(
    'the test interactions have 6 users and 9 items, the training has 6 and 8: both must be parts of one split',
  );
  await expect(evaluated({ itemFactors: other.itemFactors })).rejects.toThrow(
    'the model has 9 items, the data have 8',
  );
});

it('a catalogue too large for EASE skips it, with the reason', async () => {
  const input = randomCase(8, 8200);
  const report = await evaluate({
    ...input,
    threads: 1,
    seed: 1,
    cutoffs: [5],
    baselines: ['itemknn', 'ease'],
  });
  expect(report.baselines.ease).toEqual({
    skipped: expect.stringMatching(/8200 items; it is used up to 8192$/),
  });
  // Beyond that size item-kNN keeps the nearest neighbours only; here that is all there are.
  expectMetrics(
    report.baselines.itemknn,
    obviousMetrics({ ...input, cutoffs: [5] }, (user, item) => cosineSum(input.train, user, item)),
  );
});

type Case = Pick<
  EvaluationInput,
  'train' | 'test' | 'history' | 'userFactors' | 'itemFactors' | 'factors'
> & {
  cutoffs?: number[];
};

/** Users with training items, test items, both or neither, and random factors. */
function randomCase(users: number, items: number): Case {
  const random = createRandom(users * 1000 + items);
  const train: number[][] = [];
  const test: number[][] = [];
  for (let user = 0; user < users; user++) {
    const taken = new Set(Array.from({ length: random.int(7) }, () => random.int(items)));
    const hidden = new Set(Array.from({ length: random.int(4) }, () => random.int(items)));
    train.push([...taken].sort((a, b) => a - b));
    test.push([...hidden].filter((item) => !taken.has(item)).sort((a, b) => a - b));
  }
  const normal = (length: number) => Float32Array.from({ length }, () => random.normal());
  return {
    train: csrOf(train, items),
    test: csrOf(test, items),
    userFactors: normal(users * FACTORS),
    itemFactors: normal(items * FACTORS),
    factors: FACTORS,
  };
}

function csrOf(rows: number[][], cols: number): Csr {
  const ptr = [0];
  for (const row of rows) ptr.push(ptr.at(-1)! + row.length);
  return { rows: rows.length, cols, ptr: Int32Array.from(ptr), idx: Int32Array.from(rows.flat()) };
}

function withoutRows(csr: Csr, isGone: (row: number) => boolean): Csr {
  const rows = Array.from({ length: csr.rows }, (_, row) => (isGone(row) ? [] : rowOf(csr, row)));
  return csrOf(rows, csr.cols);
}

function rowOf(csr: Csr, row: number): number[] {
  return [...csr.idx.subarray(csr.ptr[row]!, csr.ptr[row + 1]!)];
}

function usersWith(csr: Csr): number[] {
  return Array.from({ length: csr.rows }, (_, user) => user).filter((user) => rowOf(csr, user).length > 0);
}

function usersOf(csr: Csr, item: number): number[] {
  return usersWith(csr).filter((user) => rowOf(csr, user).includes(item));
}

function dot({ userFactors, itemFactors }: Case, user: number, item: number): number {
  let sum = 0;
  for (let f = 0; f < FACTORS; f++)
    sum += userFactors[user * FACTORS + f]! * itemFactors[item * FACTORS + f]!;
  return sum;
}

function cosineSum(train: Csr, user: number, item: number, history = train): number {
  const own = usersOf(train, item);
  return rowOf(history, user)
    .map((other) => usersOf(train, other))
    .map((users) => users.filter((u) => own.includes(u)).length / Math.sqrt(users.length * own.length || 1))
    .reduce((sum, cosine) => sum + cosine, 0);
}

/** Scores every item that is not in the history, sorts all of them, and counts. */
function obviousMetrics(input: Case, score: (user: number, item: number) => number): Record<string, number> {
  const { test, history = input.train, cutoffs = [10] } = input;
  const users = usersWith(test);
  const sums: Record<string, number> = {};
  const shown: Record<number, Set<number>> = Object.fromEntries(cutoffs.map((k) => [k, new Set<number>()]));
  for (const user of users) {
    const known = rowOf(history, user);
    const scores = Array.from({ length: test.cols }, (_, item) => Math.fround(score(user, item)));
    const ranked = scores
      .map((_, item) => item)
      .filter((item) => !known.includes(item))
      .sort((a, b) => scores[b]! - scores[a]! || a - b);
    const hidden = rowOf(test, user);
    for (const k of cutoffs) {
      const top = ranked.slice(0, k);
      for (const item of top) shown[k]!.add(item);
      const hits = top.filter((item) => hidden.includes(item));
      const gain = (ranks: number[]) => ranks.reduce((sum, rank) => sum + 1 / Math.log2(rank + 2), 0);
      const ideal = Array.from({ length: Math.min(k, hidden.length) }, (_, rank) => rank);
      const add = (name: string, value: number) => {
        sums[`${name}@${k}`] = (sums[`${name}@${k}`] ?? 0) + value;
      };
      add('recall', hits.length / ideal.length);
      add('hr', Number(hits.length > 0));
      add('ndcg', gain(hits.map((item) => ranked.indexOf(item))) / gain(ideal));
    }
  }
  const means = Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / users.length]));
  for (const k of cutoffs) means[`coverage@${k}`] = shown[k]!.size / test.cols;
  return means;
}

function expectMetrics(
  actual: ScorerMetrics | { skipped: string } | undefined,
  expected: Record<string, number>,
) {
  const { metrics } = actual as ScorerMetrics;
  for (const [name, value] of Object.entries(expected))
    expect([name, metrics[name]]).toEqual([name, expect.closeTo(value, 9)]);
}
