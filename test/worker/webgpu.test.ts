// What is the webgpu device's own, on a Vulkan driver in software: large K, long rows, tables that are streamed, loss of
// the device, memory that runs out, and what it says where it does not work.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceError } from '../../common/errors.js';
import { BUFFER_USAGE } from '../../kernels/binding/webgpu/buffer-usage.js';
import { isSoftwareAdapter, openAdapter } from '../../kernels/binding/webgpu/gpu-adapter.js';
import { GpuDevice } from '../../kernels/binding/webgpu/gpu-device.js';
import type { Csr } from '../../models/csr.js';
import type { BlockResult, ComputeDevice, FactorTable, SolverName } from '../../models/device.js';
import { unpackGram } from '../../models/gram.js';
import { referenceConjugateGradients } from '../../models/reference/conjugate-gradients.js';
import { referenceGram } from '../../models/reference/gram.js';
import { backwardError, referenceSolve, referenceSystem } from '../../models/reference/solve-rows.js';
import { openDevice } from '../../worker/devices/device-registry.js';
import { cutBatch } from '../../worker/devices/webgpu/cut-batches.js';
import { chunkLength, chunksOf } from '../../worker/devices/webgpu/entry-chunks.js';
import { Pace } from '../../worker/devices/webgpu/pace.js';
import { WebgpuDevice } from '../../worker/devices/webgpu/webgpu-device.js';
import { webgpuDevice } from '../../worker/devices/webgpu.js';
import {
  buildProblem,
  defaultObjective,
  huObjective,
  type IalsProblem,
  rowDistances,
  termSizes,
} from '../support/ials-problems.js';
import { swiftshaderMissing } from '../support/swiftshader.js';

const reason = swiftshaderMissing === undefined ? '' : ` (skipped, no SwiftShader: ${swiftshaderMissing})`;

describe.skipIf(swiftshaderMissing !== undefined)(`the webgpu device${reason}`, () => {
  let device: ComputeDevice;
  beforeAll(async () => {
    device = await webgpuDevice.open({ threads: 1 });
  });
  afterAll(() => device?.dispose());

  it.each([
    [64, 60],
    [256, 1],
  ])(
    'solves rows of K = %d, exactly and by steps',
    async (factors, rows) => {
      const objective = { ...huObjective, alpha: 3, regularization: 0.2 };
      const problem = buildProblem({ rows, cols: 300, factors, objective, seed: 4 });
      const exact = await solve(device, problem, 'cholesky');
      expect(worstBackwardError(problem, exact.rows)).toBeLessThan(5e-7);
      const expected = referenceSolve(problem.block, problem.fixed, factors, objective);
      expect(Math.max(...rowDistances(exact.rows, expected, factors))).toBeLessThan(1e-5);
      const steps = await solve(device, problem, 'cg');
      const { block, fixed, prior } = problem;
      const stepped = referenceConjugateGradients(block, fixed, factors, objective, 3, prior);
      expect(Math.max(...rowDistances(steps.rows, stepped, factors))).toBeLessThan(2e-4);
    },
    180_000,
  );

  it('refuses K beyond what its kernels take', async () => {
    await expect(device.createTable(5, 257)).rejects.toThrow(/takes up to 256 factors, not 257/);
  });

  it('sums rows of many chunks, and the Gram of many rows, as well as short ones', async () => {
    const problem = longRows();
    const { block, fixed, factors, objective } = problem;
    expect(chunksOf(block.ptr[1]!)).toBe(4);
    const { rows, gram } = await solve(device, problem, 'cholesky');
    expect(worstBackwardError(problem, rows.subarray(0, 3 * factors), 3)).toBeLessThan(5e-7);
    const expected = referenceSolve(block, fixed, factors, objective);
    expect(Math.max(...rowDistances(rows, expected, factors))).toBeLessThan(1e-5);
    const exact = referenceGram(rows, block.rows, factors);
    const scale = Math.max(...exact.map(Math.abs));
    for (const [i, value] of unpackGram(gram, factors).entries()) {
      expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(2e-6 * scale);
    }
  });

  it.each(['cholesky', 'cg', 'ials++'] as const)(
    'gives the same bits from a table that does not fit the GPU, with %s',
    async (name) => {
      const streaming = await webgpuDevice.open({ threads: 1, residentBytesMax: 64 });
      try {
        const problem = sharedArrays(
          buildProblem({ rows: 30, cols: 90, factors: 10, objective: huObjective, seed: 6 }),
        );
        const resident = await solve(device, problem, name);
        const streamed = await solve(streaming, problem, name);
        expect(bits(streamed.rows)).toEqual(bits(resident.rows));
        expect(streamed.gram).toEqual(resident.gram);
        expect(streamed.loss).toEqual(resident.loss);
      } finally {
        await streaming.dispose();
      }
    },
  );

  it('ranks and scores from a table that does not fit the GPU, with the same bits', async () => {
    const streaming = await webgpuDevice.open({ threads: 1, residentBytesMax: 64 });
    const {
      prior: queries,
      fixed,
      fixedRows,
      block: exclude,
    } = buildProblem({
      rows: 30,
      cols: 90,
      factors: 10,
      objective: huObjective,
      seed: 6,
    });
    const answers: unknown[] = [];
    for (const one of [device, streaming]) {
      const items = await one.createTable(fixedRows, 10);
      await one.write(items, 0, fixed);
      const { ids, scores } = await one.topN({ queries, items, n: 7, exclude });
      const pairs = await one.score({ queries, items, pairs: exclude });
      answers.push([[...ids], [...scores], bits(pairs), bits(await one.read(items, 3, 9))]);
      items.dispose();
    }
    await streaming.dispose();
    expect(answers[1]).toEqual(answers[0]);
  });

  it('finds a hundred best of many items, whatever tile they are in', async () => {
    const items = await device.createTable(3000, 2);
    const rows = Float32Array.from({ length: 6000 }, (_, i) => (i % 2 === 0 ? (i / 2) % 1500 : 1));
    await device.write(items, 0, rows);
    const { ids } = await device.topN({ queries: Float32Array.of(1, 0), items, n: 100 });
    items.dispose();
    const best = Array.from({ length: 50 }, (_, i) => [1499 - i, 2999 - i]).flat();
    expect([...ids]).toEqual(best);
  });

  it('refuses an item that is not finite, when it ranks and when it scores, and names it', async () => {
    const items = await device.createTable(900, 3);
    await device.write(items, 0, new Float32Array(2700).fill(-1));
    await device.write(items, 700, Float32Array.of(1, Number.NaN, 1));
    const queries = Float32Array.of(1, 2, 3);
    await expect(device.topN({ queries, items, n: 2 })).rejects.toMatchObject({ fields: { row: 700 } });
    const pairs = { rows: 1, cols: 900, ptr: Int32Array.of(0, 2), idx: Int32Array.of(8, 700) };
    await expect(device.score({ queries, items, pairs })).rejects.toThrow(/item row 700/);
    items.dispose();
  });

  it('lost in the middle of a block fails it with a DeviceError, and says so', async () => {
    const gpu = await openGpu();
    const fragile = new WebgpuDevice(gpu);
    const failed = solve(fragile, heavyProblem(), 'cholesky');
    const outcome = expect(failed).rejects.toBeInstanceOf(DeviceError);
    await new Promise((resolve) => setTimeout(resolve, 100));
    gpu.raw.destroy();
    await outcome;
    expect(await fragile.lost).toMatchObject({ reason: 'lost' });
    await expect(fragile.createTable(2, 2)).rejects.toThrow(/open the device again, or choose another/);
    await fragile.dispose();
  });

  it('disposed of in the middle of a block fails it with a DeviceError', async () => {
    const mine = await webgpuDevice.open({ threads: 1 });
    const failed = solve(mine, heavyProblem(), 'cholesky');
    const outcome = expect(failed).rejects.toThrow(/was disposed of/);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await mine.dispose();
    await outcome;
    expect(await mine.lost).toMatchObject({ reason: 'disposed' });
  });

  it('says how much memory it could not have, and goes on', async () => {
    const gpu = await openGpu();
    const usage = BUFFER_USAGE.storage;
    const asked = gpu.createBuffer({ label: 'a test', bytes: 2 ** 40, usage });
    await expect(asked).rejects.toBeInstanceOf(DeviceError);
    await expect(asked).rejects.toThrow(/has no 1048576 MiB for a test/);
    const { maxBufferSize } = gpu.raw.limits;
    const most = gpu.createBuffer({ label: 'a test', bytes: maxBufferSize, usage });
    await expect(most).rejects.toThrow(/for a test/);
    const small = await gpu.createBuffer({ label: 'a test', bytes: 100, usage });
    expect(small.size).toBe(112);
    await gpu.destroy();
  });

  it('refuses commands that are wrong, instead of answering zeros', async () => {
    const gpu = await openGpu();
    const usage = BUFFER_USAGE.storage | BUFFER_USAGE.copyTarget;
    const buffer = await gpu.createBuffer({ label: 'a test', bytes: 16, usage });
    const submitted = gpu.submit('a copy', (encoder) => {
      encoder.copyBufferToBuffer(buffer, 0, buffer, 8, 64);
    });
    await expect(submitted).rejects.toThrow(/did not take the step "a copy"/);
    await gpu.destroy();
  });
});

describe.skipIf(swiftshaderMissing !== undefined)(`choosing the webgpu device${reason}`, () => {
  it('knows emulated GPUs by their words', () => {
    const adapter = { vendor: 'nvidia', architecture: 'hopper', device: 'NVIDIA H100', description: '570.1' };
    expect(isSoftwareAdapter(adapter)).toBe(false);
    expect(isSoftwareAdapter({ ...adapter, isFallbackAdapter: true })).toBe(true);
    const emulated = [
      'SwiftShader driver 5.0.0',
      'llvmpipe (LLVM 15)',
      'Microsoft Basic Render Driver',
      'WARP',
    ];
    for (const description of [...emulated, 'softpipe', 'lavapipe', 'null-backend']) {
      expect(isSoftwareAdapter({ ...adapter, description }), description).toBe(true);
    }
    expect(isSoftwareAdapter({ ...adapter, description: 'Warpdrive 9' })).toBe(false);
  });

  it('refuses an emulated GPU unless it is asked for', async () => {
    const refused = webgpuDevice.open({ threads: 1, allowSoftware: false });
    await expect(refused).rejects.toThrow(/emulated on the CPU.*STOA_WEBGPU_ALLOW_SOFTWARE=1/);
    await withEnvironment({ STOA_WEBGPU_ALLOW_SOFTWARE: '' }, async () => {
      expect(await webgpuDevice.probe()).toMatchObject({
        ok: false,
        reason: expect.stringContaining('emulated on the CPU'),
      });
      await expect(openDevice('webgpu', { threads: 1 })).rejects.toThrow(/"webgpu" does not work here/);
    });
    const asked = await openDevice('webgpu', { threads: 1 });
    expect(asked.info).toMatchObject({ kind: 'webgpu', isSoftware: true, detail: { precision: 'f32' } });
    await asked.dispose();
  });

  it('is never done by auto for an emulated GPU', async () => {
    const device = await openDevice('auto', { threads: 1 });
    expect(device.info.isSoftware).toBe(false);
    expect(device.info.kind).not.toBe('webgpu');
    await device.dispose();
  });

  it('without a driver, or the package, says what is missing and what to do', async () => {
    await withEnvironment({ VK_DRIVER_FILES: '/nowhere', VK_ICD_FILENAMES: '/nowhere' }, async () => {
      expect(await webgpuDevice.probe()).toMatchObject({
        ok: false,
        reason: 'no GPU adapter was found',
        remedy: expect.stringContaining('Vulkan driver'),
      });
    });
    const hooks = `export async function resolve(name, context, next) {
      if (name !== 'webgpu') return next(name, context);
      throw Object.assign(new Error("Cannot find package 'webgpu'"), { code: 'ERR_MODULE_NOT_FOUND' });
    }`;
    const register = `import { register } from 'node:module'; register(${JSON.stringify(dataUrl(hooks))});`;
    await withEnvironment({ NODE_OPTIONS: `--import ${dataUrl(register)}` }, async () => {
      expect(await webgpuDevice.probe()).toEqual({
        ok: false,
        reason: 'the package "webgpu" is not installed',
        remedy: 'run "npm install webgpu"',
      });
    });
  });

  it('survives a driver that crashes', async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-crash-'));
    const file = path.join(folder, 'crash.cjs');
    writeFileSync(file, 'process.kill(process.pid, "SIGSEGV");');
    await withEnvironment({ NODE_OPTIONS: `--require ${file}` }, async () => {
      expect(await webgpuDevice.probe()).toMatchObject({
        ok: false,
        reason: 'its driver crashed (SIGSEGV)',
        remedy: expect.stringContaining('update the driver'),
      });
    });
    rmSync(folder, { recursive: true });
  });
});

describe('batches', () => {
  const ptr = Int32Array.of(0, 5, 5, 9, 4009, 4010, 4010);
  const limits = { entriesMax: 4500, chunksMax: 6, rowsMax: 100 };
  const cost = (entries: number): number => 10 * entries;

  it('hold as many rows as the operations allow, at least one, and rows without entries for nothing', () => {
    expect(cutBatch(ptr, 0, 6, cost, 100, limits)).toMatchObject({
      rowStart: 0,
      rowEnd: 3,
      rows: 2,
      chunks: 2,
    });
    expect(cutBatch(ptr, 3, 6, cost, 100, limits)).toMatchObject({ rowEnd: 4, rows: 1, chunks: 4 });
    expect(cutBatch(ptr, 4, 6, cost, 100, limits)).toMatchObject({ rowEnd: 6, rows: 1, operations: 10 });
    expect(cutBatch(ptr, 0, 6, cost, 1e9, limits)).toMatchObject({ rowEnd: 4, rows: 3, chunks: 6 });
  });

  it('refuse a row that is longer than the buffers, and name it', () => {
    const small = { ...limits, entriesMax: 3999 };
    expect(cutBatch(ptr, 0, 6, cost, 1e9, small).rowEnd).toBe(3);
    expect(() => cutBatch(ptr, 3, 6, cost, 1e9, small)).toThrow(/row 3 of the block has 4000 entries/);
    expect(() => cutBatch(ptr, 3, 6, cost, 1e9, small)).toThrow(DeviceError);
  });

  it('cut a row by its length alone, into 64 parts at most', () => {
    for (const entries of [1, 1024, 1025, 65_536, 65_537, 1_000_000, 2 ** 30]) {
      expect(chunksOf(entries)).toBeLessThanOrEqual(64);
      expect(chunksOf(entries) * chunkLength(entries)).toBeGreaterThanOrEqual(entries);
      expect((chunksOf(entries) - 1) * chunkLength(entries)).toBeLessThan(entries);
    }
  });

  it('get shorter when they take long, and longer when they do not', () => {
    const pace = new Pace();
    const start = pace.operations;
    pace.learn(start, 0, 4000);
    expect(pace.operations).toBe(start / 4);
    pace.learn(start / 4, 4000, 4001);
    expect(pace.operations).toBe(start / 2);
    pace.learn(start / 100, 4001, 4001.5);
    expect(pace.operations).toBe(start / 2);
  });
});

async function openGpu(): Promise<GpuDevice> {
  return GpuDevice.open(await openAdapter({ isSoftwareAllowed: true }));
}

async function solve(device: ComputeDevice, problem: IalsProblem, name: SolverName): Promise<BlockResult> {
  const fixed: FactorTable = await device.createTable(problem.fixedRows, problem.factors);
  try {
    await device.write(fixed, 0, problem.fixed);
    return await device.solveBlock({
      ...problem,
      fixed,
      solver: { name, cgSteps: 3, block: 4 },
      wantLoss: true,
    });
  } finally {
    fixed.dispose();
  }
}

/** Three rows of 3,500, 1,100 and 1,024 entries, then 2,500 of up to three. */
function longRows(): IalsProblem {
  const cols = 4000;
  const base = buildProblem({ rows: 0, cols, factors: 6, objective: defaultObjective, seed: 2 });
  const lengths = [3500, 1100, 1024, ...Array.from({ length: 2500 }, (_, row) => row % 4)];
  const idx = lengths.flatMap((length) => Array.from({ length }, (_, i) => Math.floor((i * cols) / length)));
  const ptr = new Int32Array(lengths.length + 1);
  for (const [row, length] of lengths.entries()) ptr[row + 1] = ptr[row]! + length;
  const block: Csr = { rows: lengths.length, cols, ptr, idx: Int32Array.from(idx) };
  return { ...base, block, prior: new Float32Array(block.rows * 6) };
}

/** Seconds of work on an emulated GPU. */
function heavyProblem(): IalsProblem {
  const problem = buildProblem({ rows: 0, cols: 2000, factors: 64, objective: huObjective, seed: 1 });
  const rows = 600;
  const from = problem.block.ptr[2]!;
  const idx = new Int32Array(rows * 2000);
  for (let row = 0; row < rows; row++) idx.set(problem.block.idx.subarray(from), row * 2000);
  const ptr = Int32Array.from({ length: rows + 1 }, (_, row) => row * 2000);
  return { ...problem, block: { rows, cols: 2000, ptr, idx }, prior: new Float32Array(rows * 64) };
}

function sharedArrays(problem: IalsProblem): IalsProblem {
  const share = <T extends Float32Array | Int32Array>(array: T): T => {
    const made = new (array.constructor as new (buffer: SharedArrayBuffer) => T)(
      new SharedArrayBuffer(array.byteLength),
    );
    made.set(array);
    return made;
  };
  const { block, fixed, prior } = problem;
  return {
    ...problem,
    block: { ...block, ptr: share(block.ptr), idx: share(block.idx) },
    fixed: share(fixed),
    prior: share(prior),
  };
}

function worstBackwardError(problem: IalsProblem, rows: Float32Array, count = problem.block.rows): number {
  const { block, fixed, factors, objective, gram } = problem;
  const errors = Array.from({ length: count }, (_, row) => {
    if (block.ptr[row] === block.ptr[row + 1]) return 0;
    const system = referenceSystem(block, row, fixed, factors, objective, gram);
    return backwardError(system, rows.subarray(row * factors, (row + 1) * factors), termSizes(problem, row));
  });
  return Math.max(...errors);
}

function bits(values: Float32Array): number[] {
  return [...new Uint32Array(Float32Array.from(values).buffer)];
}

function dataUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

async function withEnvironment(
  variables: Readonly<Record<string, string>>,
  act: () => Promise<void>,
): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, variables);
  try {
    await act();
  } finally {
    for (const name of Object.keys(variables)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
