// What the thread of a tfjs device does, in this process: tasks on WebAssembly against the f64 references.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../models/device.js';
import { unpackGram } from '../../models/gram.js';
import { referenceGram } from '../../models/reference/gram.js';
import { referenceSolve } from '../../models/reference/solve-rows.js';
import { referenceSubspaces } from '../../models/reference/subspace.js';
import { referenceTopN } from '../../models/reference/top-n.js';
import { loadTfjs } from '../../worker/devices/tfjs-backend.js';
import { batchRows, paddedWidth, padEntries } from '../../worker/devices/tfjs-batches.js';
import { TfjsEngine } from '../../worker/devices/tfjs-engine.js';
import type { TableVersion, TfjsSolveTask } from '../../worker/devices/tfjs-messages.js';
import {
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
} from '../support/ials-problems.js';

describe('the engine of a tfjs device', () => {
  let engine: TfjsEngine;
  let lastTable = 0;
  beforeAll(async () => {
    engine = new TfjsEngine(await loadTfjs('wasm', 1));
  });
  afterAll(() => {
    engine.dispose();
    expect(engine.memory().tensors).toBe(0);
  });

  const tableOf = (problem: IalsProblem): TableVersion => ({
    id: ++lastTable,
    version: 1,
    rows: problem.fixedRows,
    factors: problem.factors,
    data: problem.fixed,
  });
  const taskOf = (problem: IalsProblem, solver: SolverOptions): TfjsSolveTask => ({
    kind: 'solve',
    block: problem.block,
    fixed: tableOf(problem),
    gram: problem.gram,
    prior: problem.prior,
    objective: problem.objective,
    solver,
    wantLoss: true,
    out: new Float32Array(problem.block.rows * problem.factors),
    outGram: new Float64Array((problem.factors * (problem.factors + 1)) / 2),
    abort: new Int32Array(1),
  });
  const problem = buildProblem({ rows: 12, cols: 90, factors: 11, objective: huObjective, seed: 2 });

  it.each([
    ['cholesky', { name: 'cholesky', cgSteps: 1, block: 1 }, 11],
    ['cg to convergence', { name: 'cg', cgSteps: 16, block: 1 }, 11],
    ['ials++ with blocks of 4', { name: 'ials++', cgSteps: 1, block: 4 }, 4],
  ] as [string, SolverOptions, number][])('solves by %s', async (_, solver, width) => {
    const task = taskOf(problem, solver);
    expect(await engine.run(task)).toMatchObject({ kind: 'done', loss: { penalty: expect.any(Number) } });
    const { block, fixed, factors, objective, prior } = problem;
    const expected =
      width === factors
        ? referenceSolve(block, fixed, factors, objective)
        : referenceSubspaces(block, fixed, factors, objective, width, prior);
    expect(Math.max(...rowDistances(task.out, expected, factors))).toBeLessThan(1e-4);
    const gram = referenceGram(task.out, block.rows, factors);
    const largest = Math.max(...gram);
    for (const [i, value] of unpackGram(task.outGram, factors).entries()) {
      expect(Math.abs(value - gram[i]!)).toBeLessThan(2e-6 * largest);
    }
  });

  it('solves a weight of zero, and one table after it has changed', async () => {
    const valued = buildProblem({
      rows: 6,
      cols: 30,
      factors: 9,
      objective: huObjective,
      seed: 3,
      valueMax: 2,
    });
    const objective = { ...huObjective, weights: 'value' as const };
    valued.block.values![0] = 0;
    const task = taskOf({ ...valued, objective }, { name: 'cholesky', cgSteps: 1, block: 1 });
    for (const version of [1, 2]) {
      valued.fixed[3] = version;
      const gram = referenceGram(valued.fixed, 30, 9);
      await engine.run({ ...task, gram, fixed: { ...task.fixed, version } });
      const expected = referenceSolve(valued.block, valued.fixed, 9, objective);
      expect(Math.max(...rowDistances(task.out, expected, 9))).toBeLessThan(1e-5);
    }
  });

  it('leaves a row that f32 loses to f64, and says what is wrong with one that nothing solves', async () => {
    const objective = { ...defaultObjective, alpha0: 0, regularization: 0 };
    const singular = taskOf({ ...problem, objective }, { name: 'cholesky', cgSteps: 1, block: 1 });
    expect(await engine.run(singular)).toMatchObject({ code: 'STOA_NUMERIC_PIVOT', fields: { row: 1 } });
    const options = { rows: 8, cols: 160, factors: 32, seed: 5, valueMax: 5000, decay: 0.7 };
    const hard = buildProblem({
      ...options,
      objective: { ...defaultObjective, regularization: 1e-3, weights: 'value' },
    });
    const task = taskOf(hard, { name: 'cholesky', cgSteps: 1, block: 1 });
    await engine.run(task);
    const expected = referenceSolve(hard.block, hard.fixed, 32, hard.objective);
    // The row that touches everything: 160 entries, a condition of 1e9.
    expect(rowDistances(task.out, expected, 32)[2]).toBeLessThan(1e-5);
  });

  it('answers an abort, and errors in parts', async () => {
    const task = taskOf(problem, { name: 'cg', cgSteps: 3, block: 1 });
    expect(await engine.run({ ...task, abort: Int32Array.of(1) })).toEqual({ kind: 'aborted' });
    const idx = problem.block.idx.map((column, e) => (e === 4 ? 90 : column));
    const outside = { ...task, block: { ...problem.block, idx } };
    expect(await engine.run(outside)).toMatchObject({ kind: 'failed', name: 'ShapeError' });
    const gram = problem.gram.map((value, i) => (i === 3 ? Number.NaN : value));
    expect(await engine.run({ ...task, gram })).toMatchObject({ code: 'STOA_NUMERIC_NOT_FINITE' });
    const objective = { ...huObjective, alpha: Number.NaN };
    expect(await engine.run({ ...task, objective })).toMatchObject({ code: 'STOA_NUMERIC_NOT_FINITE' });
  });

  it('ranks and scores', async () => {
    const items = tableOf(problem);
    const queries = problem.prior.subarray(0, 3 * 11);
    const out = { ids: new Int32Array(12), scores: new Float32Array(12) };
    const abort = new Int32Array(1);
    const rank = { kind: 'rank' as const, queries, count: 3, items, n: 4, exclude: undefined, out, abort };
    expect(await engine.run(rank)).toMatchObject({ kind: 'done' });
    const expected = referenceTopN({
      queries,
      count: 3,
      items: problem.fixed,
      itemCount: 90,
      factors: 11,
      n: 4,
    });
    expect([...out.ids]).toEqual(expected.flatMap(({ ids }) => ids));
    const pairs = { rows: 3, cols: 90, ptr: Int32Array.of(0, 4, 8, 12), idx: out.ids.slice() };
    const scores = new Float32Array(12);
    await engine.run({ kind: 'score', queries, items, pairs, out: scores, abort });
    for (const [i, score] of scores.entries()) expect(score).toBeCloseTo(out.scores[i]!, 5);
    const bad = queries.map((value, i) => (i === 12 ? Number.NaN : value));
    expect(await engine.run({ ...rank, queries: bad })).toMatchObject({ fields: { row: 1 } });
    const score = { kind: 'score' as const, queries: bad, items, pairs, out: scores, abort };
    expect(await engine.run(score)).toMatchObject({ kind: 'failed', fields: { row: 1 } });
    engine.free(items.id);
  });
});

describe('batches of rows', () => {
  it('hold every row with entries once, padded to a power of two that is less than twice its length', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 40 }), { maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        (lengths, step) => {
          const ptr = Int32Array.from([0, ...lengths]);
          for (let row = 0; row < lengths.length; row++) ptr[row + 1] = ptr[row]! + lengths[row]!;
          const idx = Int32Array.from({ length: ptr[lengths.length]! }, (_, e) => e % 50);
          const csr = { rows: lengths.length, cols: 50, ptr, idx };
          const batches = batchRows(csr, lengths.keys(), () => step);
          const rows = batches.flatMap((batch) => [...batch.rows]).sort((a, b) => a - b);
          expect(rows).toEqual([...lengths.keys()].filter((row) => lengths[row]! > 0));
          for (const batch of batches) {
            expect(batch.rows.length).toBeLessThanOrEqual(step);
            const weights = Float64Array.from(idx, (_, e) => e + 1);
            const padded = padEntries(csr, batch, weights);
            for (const [b, row] of batch.rows.entries()) {
              expect(paddedWidth(lengths[row]!)).toBe(batch.width);
              expect(batch.width).toBeLessThan(Math.max(5, 2 * lengths[row]!));
              const own = padded.idx.subarray(b * batch.width, (b + 1) * batch.width);
              expect([...own.subarray(0, lengths[row])]).toEqual([...idx.subarray(ptr[row], ptr[row + 1])]);
              expect([...own.subarray(lengths[row])].every((column) => column === 50)).toBe(true);
              expect(padded.weights![b * batch.width]).toBe(ptr[row]! + 1);
            }
          }
        },
      ),
    );
  });
});
