// The suite that every ComputeDevice passes: call `describeComputeDevice` with its factory. Results are held against
// the f64 references of models/reference/, to tolerances that f32 arithmetic can keep on any hardware.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError, NumericError, ShapeError } from '../../common/errors.js';
import { sharedFloat32 } from '../../common/shared-memory.js';
import { csrSlice } from '../../models/csr.js';
import type {
  BlockResult,
  BlockTask,
  ComputeDevice,
  DeviceFactory,
  SolverName,
  SolverOptions,
} from '../../models/device.js';
import { unpackGram } from '../../models/gram.js';
import { referenceConjugateGradients } from '../../models/reference/conjugate-gradients.js';
import { referenceGram } from '../../models/reference/gram.js';
import { backwardError, referenceSolve, referenceSystem } from '../../models/reference/solve-rows.js';
import { referenceSubspaces, subspaceBackwardError } from '../../models/reference/subspace.js';
import {
  anyProblemOptions,
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  type ProblemOptions,
  problemOptionsWith,
  rowConditions,
  rowDistances,
  termSizes,
} from '../support/ials-problems.js';
import { describeDeviceRanking } from './compute-device-ranking.js';
import { describeDeviceScoring } from './compute-device-scoring.js';
import { describeDeviceTraining } from './compute-device-training.js';

/** What f32 arithmetic keeps; a device that computes inside in f64 is far below. */
export const TOLERANCES = {
  /** Backward error of `cholesky`, on any data. */
  backward: 5e-7,
  /** 2-norm distance of a row to the exact one, on well-conditioned data. */
  row: 1e-5,
  /** Distance of a row to the reference's after ten steps of `cg`. */
  tenSteps: 2e-5,
  /** The same after three steps: mean over rows, and worst row. */
  threeStepsMean: 1e-5,
  threeStepsMax: 2e-3,
  /** Distance of a row to the reference's after one pass of `ials++`: a prior far off magnifies rounding. */
  subspaces: 1e-4,
  /** Entries of a Gram, as a part of the largest. */
  gram: 2e-6,
  /** Terms of the loss, relative. */
  loss: 1e-6,
} as const;

/** f32 rounds by half of this part; a few roundings meet in a row. */
const CONDITION_PART = 8 * 2 ** -24;

/** The same systems on every device and in every run: f32 steps on nearly singular ones have no bound of their own. */
const STEPS_SEED = 20_211;

interface Suite {
  /**
   * How far each row is from the expected one, relative to it. In f32 without what rounding makes of the condition of
   * its system, of terms that cancel in its right-hand side, and of a prior that is much longer than the row.
   *
   * @param asGoodAs rows of the reference: one that solves its system as well as these, or as well as an exact solver must,
   *   counts as there, whatever the condition of its system makes of the rest.
   */
  distancesOf(
    problem: SolvedProblem,
    found: Float32Array,
    expected: Float64Array,
    asGoodAs?: Float64Array,
  ): number[];
  lagSteps: number;
  problems: fc.Arbitrary<ProblemOptions>;
}

/** Without a prior it was solved from zero. */
type SolvedProblem = Omit<IalsProblem, 'prior'> & { prior?: Float32Array };

const cholesky: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };

export interface SuiteOptions {
  /**
   * In what a device adds up a row's system. With f32 a row may be as far from the exact one as the condition of its
   * system says, besides the tolerances; backward errors are held to the same bound.
   *
   * @default f64
   */
  arithmetic?: 'f32' | 'f64';
  /**
   * Steps that `cg` may be late after ten: in f32 the directions of many steps do not stay conjugate.
   *
   * @default 0
   */
  lagSteps?: number;
  /** Values of K that most problems are drawn from, for a device that compiles for each. @default 1 to 37 */
  factors?: readonly number[];
}

export function describeComputeDevice(
  factory: DeviceFactory,
  threads: number,
  { arithmetic = 'f64', factors, lagSteps = 0 }: SuiteOptions = {},
): void {
  const distancesOf: Suite['distancesOf'] = (problem, found, expected, asGoodAs) => {
    const distances = rowDistances(found, expected, problem.factors);
    if (arithmetic === 'f64') return distances;
    const conditions = rowConditions(problem);
    return distances.map((distance, row) => {
      if (asGoodAs !== undefined) {
        const enough = Math.max(TOLERANCES.backward, rowError(problem, row, asGoodAs));
        if (rowError(problem, row, found) <= enough) return 0;
      }
      const norm = (rows: ArrayLike<number>): number =>
        Math.hypot(...Array.from({ length: problem.factors }, (_, k) => rows[row * problem.factors + k]!));
      const start = problem.prior === undefined ? 1 : norm(problem.prior) / norm(expected);
      const sizes = conditions[row]!.cancellation * Math.max(1, start);
      return Math.max(0, distance - conditions[row]!.condition * CONDITION_PART * sizes);
    });
  };
  const problems =
    factors === undefined ? anyProblemOptions : problemOptionsWith(fc.constantFrom(...factors));
  const suite: Suite = { distancesOf, lagSteps, problems };
  describe(`the ${factory.kind} device with ${threads} thread${threads === 1 ? '' : 's'}`, () => {
    let device: ComputeDevice;
    const deviceOf = (): ComputeDevice => device;
    beforeAll(async () => {
      device = await factory.open({ threads });
    });
    afterAll(() => device.dispose());

    describeProbe(factory, deviceOf);
    describeTables(deviceOf);
    describeExact(deviceOf, suite);
    describeSteps(deviceOf, suite);
    describeSubspaces(deviceOf, suite);
    describeBits(deviceOf);
    describeRefusals(deviceOf);
    describeAborts(deviceOf);
    describeDeviceRanking(deviceOf);
    describeDeviceScoring(deviceOf);
    describeDeviceTraining(deviceOf);
    describeEnd(factory, threads);
  });
}

function describeProbe(factory: DeviceFactory, device: () => ComputeDevice): void {
  it('says what it is', async () => {
    expect(await factory.probe()).toMatchObject({ ok: true, info: { kind: factory.kind } });
    const { info, capabilities } = device();
    expect(info.kind).toBe(factory.kind);
    expect(info.name).not.toBe('');
    expect(capabilities.solvers.size).toBeGreaterThan(0);
    expect(capabilities.gathers.has('f32')).toBe(true);
    for (const limit of ['factorsMax', 'topNMax', 'blocksInFlight', 'tableBytesMax'] as const) {
      expect(capabilities[limit]).toBeGreaterThanOrEqual(1);
    }
  });
}

function describeTables(device: () => ComputeDevice): void {
  it('keeps a table: zeros at first, then what was written', async () => {
    const table = await device().createTable(9, 5);
    expect([...(await device().read(table, 0, 9))]).toEqual(new Array(45).fill(0));
    const rows = Float32Array.from({ length: 15 }, (_, i) => i + 0.25);
    await device().write(table, 4, rows);
    expect([...(await device().read(table, 3, 7))]).toEqual([0, 0, 0, 0, 0, ...rows]);
    expect([...(await device().read(table, 8, 9))]).toEqual([0, 0, 0, 0, 0]);
    expect((await device().read(table, 2, 2)).length).toBe(0);
    table.dispose();
    table.dispose();
    await expect(device().read(table, 0, 1)).rejects.toBeInstanceOf(DeviceError);
  });

  it('refuses rows that a table does not have', async () => {
    const table = await device().createTable(4, 3);
    await expect(device().read(table, 3, 5)).rejects.toBeInstanceOf(ShapeError);
    await expect(device().read(table, -1, 2)).rejects.toBeInstanceOf(ShapeError);
    await expect(device().write(table, 3, new Float32Array(6))).rejects.toBeInstanceOf(ShapeError);
    await expect(device().write(table, 0, new Float32Array(4))).rejects.toBeInstanceOf(ShapeError);
    expect([...(await device().read(table, 0, 4))]).toEqual(new Array(12).fill(0));
    table.dispose();
  });

  it('refuses a table beyond what it can hold', async () => {
    const rows = Math.ceil(device().capabilities.tableBytesMax / (4 * 512)) + 1;
    await expect(device().createTable(rows, 512)).rejects.toBeInstanceOf(DeviceError);
  });
}

function describeExact(device: () => ComputeDevice, { distancesOf, problems }: Suite): void {
  it('solves rows of every length exactly, for any weights and any K, with their Gram and loss', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async (options) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective } = problem;
        const result = await solve(device(), problem, cholesky, { wantLoss: true });
        const expected = referenceSolve(block, fixed, factors, objective);
        expect(
          Math.max(...distancesOf({ ...problem, prior: undefined }, result.rows, expected)),
        ).toBeLessThan(TOLERANCES.row);
        expect(worstBackwardError(problem, result.rows)).toBeLessThan(TOLERANCES.backward);
        expect([...result.rows.subarray(0, factors)]).toEqual(new Array(factors).fill(0));
        expectGram(result, block.rows, factors);
        expectLoss(result, problem);
      }),
      { numRuns: 40 },
    );
  });

  it.each(['ials', 'hu2008'] as const)(
    'keeps its backward error on an ill-conditioned Gram, for %s',
    async (name) => {
      const base = name === 'ials' ? defaultObjective : huObjective;
      const objective = { ...base, regularization: 1e-3, weights: 'value' as const };
      const options = { rows: 20, cols: 160, factors: 32, objective, seed: 5, valueMax: 5000, decay: 0.7 };
      const problem = buildProblem(options);
      const { rows } = await solve(device(), problem, cholesky);
      expect(worstBackwardError(problem, rows)).toBeLessThan(TOLERANCES.backward);
    },
  );

  it('answers a block without rows', async () => {
    const problem = buildProblem({ rows: 0, cols: 6, factors: 5, objective: defaultObjective, seed: 1 });
    const empty = { ...problem, block: csrSlice(problem.block, 1, 1), prior: new Float32Array(0) };
    const result = await solve(device(), empty, cholesky, { wantLoss: true });
    expect(result.rows.length).toBe(0);
    expect([...result.gram]).toEqual(new Array(15).fill(0));
    expect(result.loss).toEqual({ observed: 0, penalty: 0 });
  });

  it('computes the same rows, whatever is in the memory that it was given for them', async () => {
    const problem = buildProblem({ rows: 7, cols: 9, factors: 5, objective: defaultObjective, seed: 4 });
    const own = await solve(device(), problem, cholesky);
    const out = sharedFloat32(own.rows.length).fill(Number.NaN);
    expect((await solve(device(), problem, cholesky, { out })).rows).toEqual(own.rows);
    const table = await device().createTable(own.rows.length / 5, 5);
    await device().write(table, 0, own.rows);
    const into = sharedFloat32(3 * 5).fill(Number.NaN);
    expect(await device().read(table, 2, 5, into)).toEqual(own.rows.slice(2 * 5, 5 * 5));
    table.dispose();
  });

  it('computes the loss only when asked to', async () => {
    const problem = buildProblem({ rows: 2, cols: 6, factors: 5, objective: defaultObjective, seed: 1 });
    expect((await solve(device(), problem, cholesky)).loss).toBeUndefined();
  });
}

function describeSteps(device: () => ComputeDevice, { distancesOf, lagSteps, problems }: Suite): void {
  it('takes the steps of the reference in conjugate gradients, where it has them', async () => {
    if (!device().capabilities.solvers.has('cg')) return;
    await fc.assert(
      fc.asyncProperty(problems, fc.boolean(), async (options, isWarm) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective } = problem;
        const prior = isWarm ? problem.prior : undefined;
        for (const cgSteps of [3, 10]) {
          const { rows } = await solve(device(), { ...problem, prior }, { name: 'cg', cgSteps, block: 1 });
          const expected = referenceConjugateGradients(block, fixed, factors, objective, cgSteps, prior);
          const asGoodAs =
            lagSteps > 0 && cgSteps === 10
              ? referenceConjugateGradients(block, fixed, factors, objective, cgSteps - lagSteps, prior)
              : expected;
          const distances = distancesOf({ ...problem, prior }, rows, expected, asGoodAs);
          const mean = distances.reduce((sum, value) => sum + value, 0) / distances.length;
          if (cgSteps === 10) expect(Math.max(...distances)).toBeLessThan(TOLERANCES.tenSteps);
          expect(Math.max(...distances)).toBeLessThan(TOLERANCES.threeStepsMax);
          expect(mean).toBeLessThan(TOLERANCES.threeStepsMean);
        }
      }),
      { numRuns: 30, seed: STEPS_SEED },
    );
  });
}

function describeSubspaces(device: () => ComputeDevice, { distancesOf, problems }: Suite): void {
  it('solves blocks of dimensions one after the other, from a prior or from zero, where it has ials++', async () => {
    if (!device().capabilities.solvers.has('ials++')) return;
    const anyBlock = fc.oneof(fc.constant(1), fc.integer({ min: 2, max: 20 }));
    await fc.assert(
      fc.asyncProperty(problems, anyBlock, fc.boolean(), async (options, width, isWarm) => {
        const problem = buildProblem(options);
        const { block, fixed, factors, objective } = problem;
        const prior = isWarm ? problem.prior : undefined;
        const solver = { name: 'ials++' as const, cgSteps: 1, block: width };
        const result = await solve(device(), { ...problem, prior }, solver, { wantLoss: true });
        const expected = referenceSubspaces(block, fixed, factors, objective, width, prior);
        const distances = distancesOf({ ...problem, prior }, result.rows, expected);
        expect(Math.max(...distances)).toBeLessThan(TOLERANCES.subspaces);
        expect(worstSubspaceError({ ...problem, prior }, width, result.rows)).toBeLessThan(
          TOLERANCES.backward,
        );
        expect([...result.rows.subarray(0, factors)]).toEqual(new Array(factors).fill(0));
        expectGram(result, block.rows, factors);
        expectLoss(result, problem);
      }),
      { numRuns: 40 },
    );
  });

  it.each([
    [13, 13],
    [13, 64],
    [16, 16],
    [30, 1000],
  ])(
    'with K = %d and a block of %d solves exactly, whatever the prior, where it has ials++',
    async (factors, width) => {
      if (!device().capabilities.solvers.has('ials++')) return;
      const problem = buildProblem({ rows: 12, cols: 60, factors, objective: huObjective, seed: 3 });
      const { rows } = await solve(device(), problem, { name: 'ials++', cgSteps: 1, block: width });
      const expected = referenceSolve(problem.block, problem.fixed, factors, problem.objective);
      expect(Math.max(...distancesOf(problem, rows, expected))).toBeLessThan(TOLERANCES.row);
      expect(worstBackwardError(problem, rows)).toBeLessThan(TOLERANCES.backward);
    },
  );

  it.each(['ials', 'hu2008'] as const)(
    'keeps the backward error of a block on an ill-conditioned Gram, for %s, where it has ials++',
    async (name) => {
      if (!device().capabilities.solvers.has('ials++')) return;
      const base = name === 'ials' ? defaultObjective : huObjective;
      const objective = { ...base, regularization: 1e-3, weights: 'value' as const };
      const options = { rows: 20, cols: 160, factors: 32, objective, seed: 5, valueMax: 5000, decay: 0.7 };
      const problem = buildProblem(options);
      const { rows } = await solve(device(), problem, { name: 'ials++', cgSteps: 1, block: 12 });
      expect(worstSubspaceError(problem, 12, rows)).toBeLessThan(TOLERANCES.backward);
    },
  );
}

function describeBits(device: () => ComputeDevice): void {
  it('gives a row the same bits in any block, alone or with others in flight, where it says so', async () => {
    if (device().capabilities.determinism !== 'bitwise') return;
    for (const name of device().capabilities.solvers) {
      const problem = buildProblem({ rows: 30, cols: 90, factors: 19, objective: defaultObjective, seed: 6 });
      const solver = { name, cgSteps: 3, block: 4 };
      const whole = await solve(device(), problem, solver);
      const cuts = [0, 1, 2, 9, 17, problem.block.rows];
      const parts = await Promise.all(
        cuts.slice(1).map((end, i) => solve(device(), sliceProblem(problem, cuts[i]!, end), solver)),
      );
      const joined = parts.flatMap((part) => [...bits(part.rows)]);
      expect(joined).toEqual([...bits(whole.rows)]);
    }
  });
}

function describeRefusals(device: () => ComputeDevice): void {
  const problemWith = (change: Partial<ProblemOptions> = {}): IalsProblem =>
    buildProblem({ rows: 4, cols: 30, factors: 10, objective: defaultObjective, seed: 1, ...change });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses a factor of %f and names the row', async (bad) => {
    const problem = problemWith();
    problem.fixed[problem.block.idx[0]! * 10 + 3] = bad;
    const failed = solve(device(), problem, cholesky);
    await expect(failed).rejects.toMatchObject({ code: 'STOA_NUMERIC_NOT_FINITE', fields: { row: 1 } });
    await expect(failed).rejects.toBeInstanceOf(NumericError);
  });

  it('refuses a value that is not a number and names the row', async () => {
    const problem = problemWith({ objective: { ...defaultObjective, weights: 'value' }, valueMax: 2 });
    problem.block.values![5] = Number.NaN;
    await expect(solve(device(), problem, cholesky)).rejects.toMatchObject({ fields: { row: 2 } });
  });

  it('refuses a singular system and names the row', async () => {
    const problem = problemWith({ objective: { ...defaultObjective, alpha0: 0, regularization: 0 } });
    const failed = solve(device(), problem, cholesky);
    await expect(failed).rejects.toMatchObject({ code: 'STOA_NUMERIC_PIVOT', fields: { row: 1 } });
    await expect(failed).rejects.toBeInstanceOf(NumericError);
  });

  it('refuses lengths that disagree', async () => {
    const problem = problemWith();
    const gram = new Float64Array(99);
    await expect(solve(device(), { ...problem, gram }, cholesky)).rejects.toBeInstanceOf(ShapeError);
    const prior = new Float32Array(3);
    await expect(solve(device(), { ...problem, prior }, cholesky)).rejects.toBeInstanceOf(ShapeError);
    const block = { ...problem.block, cols: 31 };
    await expect(solve(device(), { ...problem, block }, cholesky)).rejects.toBeInstanceOf(ShapeError);
  });

  it('refuses by name a solver that it does not have', async () => {
    const missing = (['cholesky', 'cg', 'ials++'] as SolverName[]).filter(
      (name) => !device().capabilities.solvers.has(name),
    );
    for (const name of missing) {
      const failed = solve(device(), problemWith(), { name, cgSteps: 1, block: 1 });
      await expect(failed).rejects.toBeInstanceOf(DeviceError);
      await expect(failed).rejects.toThrow(`"${name}"`);
    }
  });

  it('refuses by name a gather that it does not have', async () => {
    if (device().capabilities.gathers.has('f16')) return;
    const failed = solve(device(), problemWith(), { ...cholesky, gather: 'f16' });
    await expect(failed).rejects.toBeInstanceOf(DeviceError);
    await expect(failed).rejects.toThrow('"f16"');
  });

  it('goes on after a refusal', async () => {
    const problem = problemWith();
    const { rows } = await solve(device(), problem, cholesky);
    expect(worstBackwardError(problem, rows)).toBeLessThan(TOLERANCES.backward);
  });
}

function describeAborts(device: () => ComputeDevice): void {
  it('rejects with the reason of a signal, before and during a block, and is free again at once', async () => {
    // About a minute of work on one core: were it not stopped, the block after it would time out.
    const problem = buildProblem({ rows: 0, cols: 2000, factors: 256, objective: huObjective, seed: 1 });
    const { block } = problem;
    const rows = 2000;
    const from = block.ptr[2]!;
    const idx = new Int32Array(rows * 2000);
    for (let row = 0; row < rows; row++) idx.set(block.idx.subarray(from), row * 2000);
    const ptr = Int32Array.from({ length: rows + 1 }, (_, row) => row * 2000);
    const heavy = { ...problem, block: { rows, cols: 2000, ptr, idx }, prior: undefined };
    const reason = new Error('not wanted any more');
    const isGone = AbortSignal.abort(reason);
    await expect(solve(device(), heavy, cholesky, { signal: isGone })).rejects.toBe(reason);
    const controllers = Array.from(
      { length: device().capabilities.blocksInFlight },
      () => new AbortController(),
    );
    const failures = controllers.map(async ({ signal }) => {
      await expect(solve(device(), heavy, cholesky, { signal })).rejects.toBe(reason);
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const controller of controllers) controller.abort(reason);
    await Promise.all(failures);
    const small = buildProblem({ rows: 4, cols: 30, factors: 10, objective: defaultObjective, seed: 1 });
    const { rows: found } = await solve(device(), small, cholesky);
    expect(worstBackwardError(small, found)).toBeLessThan(TOLERANCES.backward);
  }, 45_000);
}

function describeEnd(factory: DeviceFactory, threads: number): void {
  it('once disposed of says so and answers nothing', async () => {
    const device = await factory.open({ threads });
    const table = await device.createTable(3, 2);
    await device.dispose();
    await device.dispose();
    expect(await device.lost).toMatchObject({ reason: 'disposed' });
    await expect(device.read(table, 0, 1)).rejects.toBeInstanceOf(DeviceError);
    const items = { queries: new Float32Array(2), items: table, n: 1 };
    await expect(device.topN(items)).rejects.toBeInstanceOf(DeviceError);
    const pairs = { rows: 1, cols: 3, ptr: Int32Array.of(0, 1), idx: Int32Array.of(2) };
    const wanted = { queries: new Float32Array(2), items: table, pairs };
    await expect(device.score(wanted)).rejects.toBeInstanceOf(DeviceError);
  });
}

/** Uploads the fixed side, solves, and frees it. */
async function solve(
  device: ComputeDevice,
  problem: SolvedProblem,
  solver: SolverOptions,
  options: Partial<Pick<BlockTask, 'wantLoss' | 'signal' | 'out'>> = {},
): Promise<BlockResult> {
  const { block, gram, prior, objective } = problem;
  const fixed = await device.createTable(problem.fixedRows, problem.factors);
  try {
    await device.write(fixed, 0, problem.fixed);
    return await device.solveBlock({
      block,
      fixed,
      gram,
      prior,
      objective,
      solver,
      wantLoss: false,
      ...options,
    });
  } finally {
    fixed.dispose();
  }
}

function sliceProblem(problem: IalsProblem, start: number, end: number): IalsProblem {
  const { factors } = problem;
  return {
    ...problem,
    block: csrSlice(problem.block, start, end),
    prior: problem.prior.subarray(start * factors, end * factors),
  };
}

function worstBackwardError(problem: IalsProblem, rows: Float32Array): number {
  return Math.max(...Array.from({ length: problem.block.rows }, (_, row) => rowError(problem, row, rows)));
}

/** Backward error of one row; 0 for a row without entries. */
function rowError(problem: SolvedProblem, row: number, rows: Float32Array | Float64Array): number {
  const { block, fixed, factors, objective, gram } = problem;
  if (block.ptr[row] === block.ptr[row + 1]) return 0;
  const system = referenceSystem(block, row, fixed, factors, objective, gram);
  return backwardError(system, rows.subarray(row * factors, (row + 1) * factors), termSizes(problem, row));
}

function worstSubspaceError(problem: SolvedProblem, width: number, rows: Float32Array): number {
  const { block, fixed, factors, objective, gram, prior } = problem;
  const errors = Array.from({ length: block.rows }, (_, row) => {
    if (block.ptr[row] === block.ptr[row + 1]) return 0;
    const system = referenceSystem(block, row, fixed, factors, objective, gram);
    const of = (table: Float32Array) => table.subarray(row * factors, (row + 1) * factors);
    return subspaceBackwardError(system, width, of(rows), prior && of(prior), termSizes(problem, row));
  });
  return Math.max(...errors);
}

function expectGram({ rows, gram }: BlockResult, count: number, factors: number): void {
  const expected = referenceGram(rows, count, factors);
  const scale = Math.max(...expected.map(Math.abs));
  const distance = Math.max(...unpackGram(gram, factors).map((value, i) => Math.abs(value - expected[i]!)));
  expect(distance).toBeLessThanOrEqual(TOLERANCES.gram * scale);
}

/** Compares with Σ w(s−1)² or Σ c(1−s)² − s² over the entries, and Σ λ_row ‖x‖², written out. */
function expectLoss(
  { rows, loss }: BlockResult,
  { block, fixed, fixedRows, factors, objective }: IalsProblem,
): void {
  const isIals = objective.objective === 'ials';
  let observed = 0;
  let size = 0;
  let penalty = 0;
  for (let row = 0; row < block.rows; row++) {
    const [from, to] = [block.ptr[row]!, block.ptr[row + 1]!];
    const x = rows.subarray(row * factors, (row + 1) * factors);
    for (let e = from; e < to; e++) {
      const y = fixed.subarray(block.idx[e]! * factors, (block.idx[e]! + 1) * factors);
      const score = x.reduce((sum, value, k) => sum + value * y[k]!, 0);
      const value = objective.weights === 'value' ? (block.values?.[e] ?? 1) : 1;
      const ials = (objective.weights === 'value' ? objective.alpha * value : 1) * (score - 1) ** 2;
      const hu = (1 + objective.alpha * value) * (1 - score) ** 2;
      observed += isIals ? ials : hu - score ** 2;
      size += isIals ? ials : hu + score ** 2;
    }
    const square = x.reduce((sum, value) => sum + value ** 2, 0);
    const count = isIals ? (to - from + objective.alpha0 * fixedRows) ** objective.nu : 1;
    penalty += objective.regularization * count * square;
  }
  expect(Math.abs(loss!.observed - observed)).toBeLessThanOrEqual(TOLERANCES.loss * size);
  expect(Math.abs(loss!.penalty - penalty)).toBeLessThanOrEqual(TOLERANCES.loss * penalty);
}

function bits(rows: Float32Array): Uint32Array {
  return new Uint32Array(Float32Array.from(rows).buffer);
}
