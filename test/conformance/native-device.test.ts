// The native device passes the device suite with any number of threads and every instruction set of this machine, and
// what is its own: one bit pattern for all of them, rows of any length, subspaces, half precision, scores of pairs.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError, NumericError, ShapeError } from '../../common/errors.js';
import { createRandom } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import type { BlockTask, ComputeDevice, DeviceFactory, SolverOptions } from '../../models/device.js';
import {
  backwardError,
  gaussianElimination,
  referenceSolve,
  referenceSystem,
} from '../../models/reference/solve-rows.js';
import { reproducibilityKey } from '../../models/reproducibility-key.js';
import { nativeDevice, nativeInstructionSets } from '../../worker/devices/native.js';
import {
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
} from '../support/ials-problems.js';
import { describeComputeDevice, type SuiteOptions } from './compute-device.js';
import { describeDeviceSums } from './compute-device-sums.js';

const f32: SuiteOptions = { arithmetic: 'f32', lagSteps: 4 };
const probe = await nativeDevice.probe();
const sets = probe.ok ? await nativeInstructionSets() : [];
/** Those that promise the same bits. */
const fused = sets.filter((isa) => isa !== 'baseline');

if (probe.ok) {
  for (const threads of [1, 2, 3]) describeComputeDevice(nativeDevice, threads, f32);
  for (const isa of sets.slice(1)) {
    const pinned: DeviceFactory = {
      kind: 'native',
      probe: () => nativeDevice.probe(),
      open: ({ threads }) => nativeDevice.open({ threads, isa }),
    };
    describe(`with ${isa}`, () => describeComputeDevice(pinned, 2, f32));
  }
}

/** Threads and instruction set. */
const openings: [number, (typeof sets)[number]][] = [...sets.map((isa): [number, typeof isa] => [2, isa])];
describe.each(openings)('the native device with %i threads and %s', (threads, isa) => {
  let device: ComputeDevice;
  beforeAll(async () => {
    device = await nativeDevice.open({ threads, isa });
  });
  afterAll(() => device.dispose());
  describeDeviceSums(() => device);
});

const why = probe.ok ? '' : ` (not here: ${probe.reason})`;
describe.skipIf(!probe.ok)(`the native device${why}`, () => {
  const solvers: [string, Gathering][] = [
    ['cholesky', { name: 'cholesky', cgSteps: 1, block: 1 }],
    ['cg', { name: 'cg', cgSteps: 3, block: 1 }],
    ['cg on half precision', { name: 'cg', cgSteps: 3, block: 1, gather: 'f16' }],
    ['ials++', { name: 'ials++', cgSteps: 1, block: 24 }],
  ];

  it('sums rows to the same bits with any number of threads and any set that fuses', async () => {
    const { rows, cols, factors } = { rows: 400, cols: 900, factors: 33 };
    const problem = buildProblem({ rows, cols, factors, objective: defaultObjective, seed: 5 });
    const seen = new Set<string>();
    for (const isa of fused) {
      for (const threads of [1, 3]) {
        const device = await nativeDevice.open({ threads, isa });
        const fixed = await device.createTable(problem.fixedRows, factors);
        await device.write(fixed, 0, problem.fixed);
        const all: Float64Array[] = [];
        for (const sum of [
          { kind: 'full' },
          { kind: 'residual' },
          { kind: 'block', start: 3, end: 20 },
        ] as const) {
          const { block, objective, prior } = problem;
          all.push(await device.sumRows!({ rows: block, fixed, objective, sum, operand: prior }));
        }
        await device.dispose();
        seen.add(all.map((sums) => createHash('sha256').update(sums).digest('hex')).join());
      }
    }
    expect(seen.size).toBe(1);
  });

  it('writes rows into the memory that it is given, if they fit it exactly', async () => {
    const device = await nativeDevice.open({ threads: 1 });
    const problem = buildProblem({ rows: 6, cols: 9, factors: 5, objective: defaultObjective, seed: 3 });
    const { block, gram, objective } = problem;
    const fixed = await device.createTable(problem.fixedRows, problem.factors);
    await device.write(fixed, 0, problem.fixed);
    const solver: SolverOptions = { name: 'cholesky', cgSteps: 1, block: 1 };
    const task = { block, fixed, gram, objective, solver, wantLoss: false };
    const out = new Float32Array(block.rows * 5);
    expect((await device.solveBlock({ ...task, out })).rows).toBe(out);
    await expect(device.solveBlock({ ...task, out: out.subarray(1) })).rejects.toBeInstanceOf(ShapeError);
    expect(await device.read(fixed, 2, 4, out.subarray(0, 10))).toEqual(problem.fixed.slice(10, 20));
    await expect(device.read(fixed, 2, 4, out)).rejects.toBeInstanceOf(ShapeError);
    await device.dispose();
  });

  it.each(solvers)(
    'gives the same bits with every instruction set that fuses, and any threads, by %s',
    async (_, solver) => {
      for (const factors of [1, 19, 64, 130]) {
        const objective = { ...huObjective, weights: 'value' as const, alpha: 2 };
        const problem = buildProblem({ rows: 25, cols: 130, factors, objective, seed: factors, valueMax: 3 });
        const outcomes = new Set<string>();
        for (const isa of fused) {
          for (const threads of [1, 3]) {
            const { rows, gram, loss } = await solveWith({ threads, isa }, problem, solver);
            outcomes.add(bitsOf(rows) + bitsOf(gram) + JSON.stringify(loss));
          }
        }
        expect(outcomes.size).toBe(1);
      }
    },
  );

  it('ranks and scores with the same bits on every instruction set that fuses', async () => {
    const outcomes = new Set<string>();
    for (const isa of fused) {
      const device = await nativeDevice.open({ threads: 2, isa });
      const { queries, items, table, pairs } = await ranking(device, {
        count: 37,
        itemCount: 900,
        factors: 27,
      });
      expect(items.length).toBe(900 * 27);
      const { ids, scores } = await device.topN({ queries, items: table, n: 30 });
      outcomes.add(
        bitsOf(ids) + bitsOf(scores) + bitsOf(await scoreOf(device, { queries, items: table, pairs })),
      );
      await device.dispose();
    }
    expect(outcomes.size).toBe(1);
  });

  it.each([
    ['cholesky', 1e-6],
    ['ials++', 1e-6],
  ] as const)(
    'keeps its backward error on a row of a hundred thousand entries, by %s',
    async (name, most) => {
      const factors = 64;
      const cols = 100_000;
      const random = createRandom(4);
      const fixed = Float32Array.from({ length: cols * factors }, () => random.normal() / 8 + 0.05);
      const idx = Int32Array.from({ length: cols }, (_, i) => i);
      const gram = new Float64Array(factors * factors);
      for (let i = 0; i < cols; i++) {
        for (let r = 0; r < factors; r++) {
          const y = fixed[i * factors + r]!;
          for (let c = 0; c < factors; c++) gram[r * factors + c]! += y * fixed[i * factors + c]!;
        }
      }
      const block: Csr = { rows: 1, cols, ptr: Int32Array.of(0, cols), idx };
      const problem = { block, fixed, fixedRows: cols, factors, objective: defaultObjective, gram };
      // A subspace solver comes to the exact solution from it; from elsewhere one sweep does not.
      const exact = Float32Array.from(
        gaussianElimination(referenceSystem(block, 0, fixed, factors, defaultObjective, gram)),
      );
      const solver = { name, cgSteps: 1, block: 16 };
      const { rows } = await solveWith({ threads: 2 }, { ...problem, prior: exact }, solver);
      const system = referenceSystem(block, 0, fixed, factors, defaultObjective, gram);
      expect(backwardError(system, rows)).toBeLessThan(most);
    },
  );

  it.each([
    ['ials', 5],
    ['hu2008', 16],
    ['hu2008', 7],
  ] as const)(
    'sweeps over subspaces as the definition says, for %s with blocks of %i',
    async (name, block) => {
      const objective = { ...(name === 'ials' ? defaultObjective : huObjective), alpha: 3 };
      const problem = buildProblem({ rows: 12, cols: 60, factors: 33, objective, seed: block });
      const solver = { name: 'ials++' as const, cgSteps: 1, block };
      const { rows } = await solveWith({ threads: 2 }, problem, solver);
      const expected = sweepSubspaces(problem, block);
      expect(Math.max(...rowDistances(rows, expected, 33))).toBeLessThan(2e-5);
    },
  );

  it('takes a subspace of all dimensions for the exact solution', async () => {
    const problem = buildProblem({ rows: 9, cols: 40, factors: 18, objective: defaultObjective, seed: 3 });
    const solver = { name: 'ials++' as const, cgSteps: 1, block: 18 };
    const { rows } = await solveWith({ threads: 1 }, problem, solver);
    const exact = referenceSolve(problem.block, problem.fixed, 18, problem.objective);
    expect(Math.max(...rowDistances(rows, exact, 18))).toBeLessThan(1e-5);
  });

  it('comes close to f32 on half precision, whatever the scale of the factors', async () => {
    const problem = buildProblem({ rows: 30, cols: 90, factors: 32, objective: defaultObjective, seed: 8 });
    for (const scale of [1, 2 ** -20, 2 ** 24]) {
      const scaled = {
        ...problem,
        fixed: problem.fixed.map((value) => value * scale),
        gram: problem.gram.map((value) => value * scale * scale),
        prior: undefined,
        objective: { ...problem.objective, regularization: problem.objective.regularization * scale * scale },
      };
      const solver = { name: 'cg' as const, cgSteps: 6, block: 1 };
      const full = await solveWith({ threads: 1 }, scaled, solver);
      const half = await solveWith({ threads: 1 }, scaled, { ...solver, gather: 'f16' } as Gathering);
      const distance = Math.max(
        ...rowDistances(
          half.rows.map((x) => x * scale),
          full.rows.map((x) => x * scale),
          32,
        ),
      );
      expect(distance).toBeLessThan(0.02);
      expect(distance).toBeGreaterThan(0);
    }
  });

  it('prunes without changing an answer, with seen items and norms of every size', async () => {
    const device = await nativeDevice.open({ threads: 2 });
    const shape = { count: 50, itemCount: 3000, factors: 16, skew: 3 };
    const { queries, items, table, pairs } = await ranking(device, shape);
    const { ids } = await device.topN({ queries, items: table, n: 25, exclude: pairs });
    const all = await device.topN({ queries, items: table, n: 3000, exclude: pairs });
    for (let q = 0; q < 50; q++) {
      expect([...ids.subarray(q * 25, q * 25 + 25)]).toEqual([...all.ids.subarray(q * 3000, q * 3000 + 25)]);
      const first = ids[q * 25]!;
      const product = (item: number) => {
        let sum = 0;
        for (let k = 0; k < 16; k++) sum += queries[q * 16 + k]! * items[item * 16 + k]!;
        return sum;
      };
      const excluded = new Set(pairs.idx.subarray(pairs.ptr[q]!, pairs.ptr[q + 1]!));
      for (let item = 0; item < 3000; item++) {
        if (!excluded.has(item)) expect(product(item)).toBeLessThanOrEqual(product(first) + 1e-4);
      }
    }
    await device.dispose();
  });

  it('scores pairs as their inner products, and refuses pairs that are none', async () => {
    const device = await nativeDevice.open({ threads: 2 });
    const { queries, items, table, pairs } = await ranking(device, { count: 20, itemCount: 70, factors: 21 });
    const scores = await scoreOf(device, { queries, items: table, pairs });
    expect(scores.length).toBe(pairs.idx.length);
    for (let q = 0; q < 20; q++) {
      for (let e = pairs.ptr[q]!; e < pairs.ptr[q + 1]!; e++) {
        let sum = 0;
        for (let k = 0; k < 21; k++) sum += queries[q * 21 + k]! * items[pairs.idx[e]! * 21 + k]!;
        expect(scores[e]).toBeCloseTo(sum, 4);
      }
    }
    const wild = { ...pairs, idx: pairs.idx.map((item, e) => (e === 3 ? 70 : item)) };
    await expect(scoreOf(device, { queries, items: table, pairs: wild })).rejects.toBeInstanceOf(ShapeError);
    const fewer = { ...pairs, rows: 19 };
    await expect(scoreOf(device, { queries, items: table, pairs: fewer })).rejects.toBeInstanceOf(ShapeError);
    await device.dispose();
  });

  it('names an item that is not finite', async () => {
    const device = await nativeDevice.open({ threads: 1 });
    const { queries, table } = await ranking(device, { count: 2, itemCount: 40, factors: 5 });
    await device.write(table, 31, Float32Array.of(1, 2, Number.NaN, 3, 4));
    const failed = device.topN({ queries, items: table, n: 3 });
    await expect(failed).rejects.toBeInstanceOf(NumericError);
    await expect(failed).rejects.toThrow(/item row 31/);
    await device.dispose();
  });

  it('refuses an instruction set that the processor does not have, naming those it has', async () => {
    const failed = nativeDevice.open({ threads: 1, isa: 'avx1024' as never });
    await expect(failed).rejects.toBeInstanceOf(DeviceError);
    await expect(failed).rejects.toThrow(`it has ${sets.join(', ')}`);
  });

  it('names its instruction set, and tells runs apart only by whether it fuses', async () => {
    const keys = new Set<string>();
    for (const isa of fused) {
      const device = await nativeDevice.open({ threads: 1, isa });
      expect(device.info.detail).toEqual({ isa, precision: 'f32', arithmetic: 'fma' });
      keys.add(reproducibilityKey(device.info));
      await device.dispose();
    }
    expect([...keys]).toEqual(['native fma']);
  });

  describe('while it trains', () => {
    let device: ComputeDevice;
    beforeAll(async () => {
      device = await nativeDevice.open({ threads: 2 });
    });
    afterAll(() => device.dispose());

    it('folds one learner in within a millisecond', async () => {
      const problem = buildProblem({
        rows: 1,
        cols: 3000,
        factors: 64,
        objective: defaultObjective,
        seed: 2,
      });
      const fixed = await device.createTable(3000, 64);
      await device.write(fixed, 0, problem.fixed);
      const ptr = Int32Array.of(0, 40);
      const idx = Int32Array.from({ length: 40 }, (_, i) => 70 * i);
      const block = { rows: 1, cols: 3000, ptr, idx };
      const task: BlockTask = {
        ...problem,
        block,
        fixed,
        prior: undefined,
        solver: { name: 'cholesky', cgSteps: 1, block: 1 },
        wantLoss: false,
      };
      const times: number[] = [];
      for (let i = 0; i < 200; i++) {
        const start = performance.now();
        await device.solveBlock(task);
        times.push(performance.now() - start);
      }
      // The fastest tenth: what else runs on the machine is not the device's.
      expect(times.sort((a, b) => a - b)[20]).toBeLessThan(1);
    });

    it('stops within 100 ms in the middle of one very long row', async () => {
      const cols = 400_000;
      const factors = 128;
      const fixed = await device.createTable(cols, factors);
      await device.write(
        fixed,
        0,
        Float32Array.from({ length: cols * factors }, (_, i) => ((i * 37) % 101) / 101),
      );
      const idx = Int32Array.from({ length: 8 * cols }, (_, e) => e % cols);
      const block = { rows: 1, cols, ptr: Int32Array.of(0, idx.length), idx };
      const gram = new Float64Array(factors * factors);
      for (let k = 0; k < factors; k++) gram[k * factors + k] = 1;
      const solver = { name: 'cholesky' as const, cgSteps: 1, block: 1 };
      const waits: number[] = [];
      for (let attempt = 0; attempt < 3; attempt++) {
        const controller = new AbortController();
        const { signal } = controller;
        const objective = defaultObjective;
        const long = device.solveBlock({ block, fixed, gram, objective, solver, wantLoss: false, signal });
        const failed = expect(long).rejects.toThrow('enough');
        await new Promise((resolve) => setTimeout(resolve, 150));
        const start = performance.now();
        controller.abort(new Error('enough'));
        await failed;
        // Free again: a small block is answered only once the long one has left the threads it needs.
        const small = buildProblem({ rows: 2, cols: 20, factors: 8, objective, seed: 1 });
        await Promise.all([solveOn(device, small, solver), solveOn(device, small, solver)]);
        waits.push(performance.now() - start);
      }
      expect(Math.min(...waits)).toBeLessThan(100);
    });
  });
});

function bitsOf(array: ArrayBufferView): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}

/** With the field of solvers that gather from a copy in half precision. */
type Gathering = SolverOptions & { gather?: 'f32' | 'f16' };

type Problem = Omit<IalsProblem, 'prior'> & { prior?: Float32Array };

async function solveWith(
  options: { threads: number; isa?: (typeof sets)[number] },
  problem: Problem,
  solver: SolverOptions,
) {
  const device = await nativeDevice.open(options);
  try {
    return await solveOn(device, problem, solver);
  } finally {
    await device.dispose();
  }
}

async function solveOn(device: ComputeDevice, problem: Problem, solver: SolverOptions) {
  const fixed = await device.createTable(problem.fixedRows, problem.factors);
  await device.write(fixed, 0, problem.fixed);
  return device.solveBlock({ ...problem, fixed, solver, wantLoss: true }).finally(() => fixed.dispose());
}

async function ranking(
  device: ComputeDevice,
  o: { count: number; itemCount: number; factors: number; skew?: number },
) {
  const random = createRandom(o.count);
  const queries = Float32Array.from({ length: o.count * o.factors }, () => random.normal());
  const items = new Float32Array(o.itemCount * o.factors);
  for (let i = 0; i < o.itemCount; i++) {
    const size = Math.exp((o.skew ?? 0) * (random.next() - 1));
    for (let k = 0; k < o.factors; k++) items[i * o.factors + k] = size * random.normal();
  }
  const table = await device.createTable(o.itemCount, o.factors);
  await device.write(table, 0, items);
  const lists = Array.from({ length: o.count }, (_, q) =>
    Array.from({ length: 15 }, (_, i) => (q + i * Math.floor(o.itemCount / 16)) % o.itemCount).sort(
      (a, b) => a - b,
    ),
  );
  const ptr = Int32Array.from({ length: o.count + 1 }, (_, q) => 15 * q);
  const pairs: Csr = { rows: o.count, cols: o.itemCount, ptr, idx: Int32Array.from(lists.flat()) };
  return { queries, items, table, pairs };
}

function scoreOf(
  device: ComputeDevice,
  task: { queries: Float32Array; items: Awaited<ReturnType<ComputeDevice['createTable']>>; pairs: Csr },
): Promise<Float32Array> {
  return (device as ComputeDevice & { score(o: typeof task): Promise<Float32Array> }).score(task);
}

/** The definition of iALS++ in f64: one pass over consecutive blocks from the prior. */
function sweepSubspaces(problem: IalsProblem, size: number): Float64Array {
  const { block, fixed, factors, objective, gram, prior } = problem;
  const out = new Float64Array(block.rows * factors);
  for (let row = 0; row < block.rows; row++) {
    if (block.ptr[row] === block.ptr[row + 1]) continue;
    const { a, b } = referenceSystem(block, row, fixed, factors, objective, gram);
    const x = Float64Array.from(prior.subarray(row * factors, (row + 1) * factors));
    for (let at = 0; at < factors; at += size) {
      const end = Math.min(at + size, factors);
      const part = { a: new Float64Array((end - at) ** 2), b: new Float64Array(end - at) };
      for (let r = at; r < end; r++) {
        let rest = b[r]!;
        for (let c = 0; c < factors; c++) rest -= a[r * factors + c]! * x[c]!;
        part.b[r - at] = rest;
        for (let c = at; c < end; c++) part.a[(r - at) * (end - at) + c - at] = a[r * factors + c]!;
      }
      for (const [k, step] of gaussianElimination(part).entries()) x[at + k]! += step;
    }
    out.set(x, row * factors);
  }
  return out;
}
