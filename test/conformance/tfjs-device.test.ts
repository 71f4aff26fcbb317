// The tfjs device passes the device suite on its providers WebAssembly and JavaScript, and what is its own: memory that
// does not grow, the ladder of providers with its reasons, and an event loop that is left alone. On WebGPU, in software,
// one small problem shows that every kernel runs. With tfjs-node: scripts/tfjs-node-check.mjs.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { afterAll, describe, expect, it } from 'vitest';
import { DeviceError, UsageError } from '../../common/errors.js';
import type { SolverOptions } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { referenceSolve } from '../../models/reference/solve-rows.js';
import { openDevice } from '../../worker/devices/device-registry.js';
import { chooseTfjs, TFJS_PROVIDERS, tfjsDeviceOf } from '../../worker/devices/tfjs.js';
import type { TfjsDevice } from '../../worker/devices/tfjs-device.js';
import { readProbe, type TfjsProbe } from '../../worker/devices/tfjs-probe.js';
import { explainTfjsFailure } from '../../worker/devices/tfjs-unavailable.js';
import {
  buildProblem,
  defaultObjective,
  huObjective,
  rowDistances,
  transpose,
} from '../support/ials-problems.js';
import { swiftshaderMissing } from '../support/swiftshader.js';
import { describeComputeDevice } from './compute-device.js';

describeComputeDevice(tfjsDeviceOf('wasm'), 1, { arithmetic: 'f32' });
describeComputeDevice(tfjsDeviceOf('cpu'), 1, { arithmetic: 'f32' });

const SOLVERS: readonly SolverOptions[] = [
  { name: 'cholesky', cgSteps: 1, block: 1 },
  { name: 'cg', cgSteps: 3, block: 1 },
  { name: 'ials++', cgSteps: 1, block: 5 },
];

describe('a tfjs device', () => {
  const devices: TfjsDevice[] = [];
  afterAll(() => Promise.all(devices.map((device) => device.dispose())));
  const open = async (provider: 'wasm' | 'cpu' | 'webgpu'): Promise<TfjsDevice> => {
    const device = await tfjsDeviceOf(provider).open({ threads: 1 });
    devices.push(device);
    return device;
  };

  it.each(['wasm', 'cpu'] as const)(
    'on %s holds as many tensors after each epoch as before',
    async (provider) => {
      const device = await open(provider);
      const factors = 12;
      const objective = defaultObjective;
      const byUser = buildProblem({ rows: 40, cols: 30, factors, objective, seed: 4 }).block;
      const byItem = transpose(byUser);
      const users = await device.createTable(byUser.rows, factors);
      const items = await device.createTable(byItem.rows, factors);
      const start = buildProblem({ rows: 0, cols: byItem.rows, factors, objective, seed: 8 }).fixed;
      await device.write(items, 0, start);
      let gram = packedGramOf(start, byItem.rows, factors);
      const epoch = async (solver: SolverOptions): Promise<void> => {
        for (const [block, fixed, target] of [
          [byUser, items, users] as const,
          [byItem, users, items] as const,
        ]) {
          const prior = await device.read(target, 0, target.rows);
          const full = unpackGram(gram, factors);
          const task = { block, fixed, gram: full, prior, objective, solver, wantLoss: true };
          const result = await device.solveBlock(task);
          await device.write(target, 0, result.rows);
          gram = result.gram;
        }
        const queries = await device.read(users, 0, users.rows);
        await device.topN({ queries, items, n: 5, exclude: byUser });
        await device.score({ queries, items, pairs: byUser });
      };
      for (const solver of SOLVERS) await epoch(solver);
      const after = await device.memory();
      for (let i = 0; i < 3; i++) for (const solver of SOLVERS) await epoch(solver);
      expect(await device.memory()).toEqual(after);
      users.dispose();
      items.dispose();
      const left = await device.memory();
      expect(left.tensors).toBeLessThan(after.tensors);
      // The basis of the last Gram stays.
      expect(left.bytes).toBeLessThanOrEqual(4 * factors * factors);
    },
  );

  it('holds no more tensors after a refusal and after an abort', async () => {
    const device = await open('wasm');
    const problem = buildProblem({ rows: 60, cols: 80, factors: 16, objective: huObjective, seed: 4 });
    const fixed = await device.createTable(problem.fixedRows, 16);
    await device.write(fixed, 0, problem.fixed);
    const task = { ...problem, fixed, solver: SOLVERS[0]!, wantLoss: false };
    await device.solveBlock(task);
    const before = await device.memory();
    const singular = { ...defaultObjective, alpha0: 0, regularization: 0 };
    await expect(device.solveBlock({ ...task, objective: singular })).rejects.toThrow(/row 1 /);
    const abort = new AbortController();
    const aborted = device.solveBlock({ ...task, signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(aborted).rejects.toThrow('enough');
    expect(await device.memory()).toEqual(before);
  });

  it('solves rows of several chunks, and rows that are gathered a part at a time', async () => {
    const device = await open('wasm');
    // 70,000 entries of 16 factors are more than one step gathers; they name 900 items over and over.
    const factors = 16;
    const problem = buildProblem({ rows: 0, cols: 900, factors, objective: defaultObjective, seed: 6 });
    const lengths = [3, 700, 70_000];
    const ptr = Int32Array.from([0, 3, 703, 70_703]);
    const idx = Int32Array.from(lengths.flatMap((n) => Array.from({ length: n }, (_, e) => (e * 37) % 900)));
    const block = { rows: 3, cols: 900, ptr, idx };
    const fixed = await device.createTable(900, factors);
    await device.write(fixed, 0, problem.fixed);
    for (const solver of [SOLVERS[0]!, { name: 'cg' as const, cgSteps: 16, block: 1 }]) {
      const task = {
        block,
        fixed,
        gram: problem.gram,
        objective: problem.objective,
        solver,
        wantLoss: false,
      };
      const { rows } = await device.solveBlock(task);
      const expected = referenceSolve(block, problem.fixed, factors, problem.objective);
      expect(Math.max(...rowDistances(rows, expected, factors))).toBeLessThan(1e-4);
    }
    const queries = problem.fixed.subarray(0, 3 * factors);
    const scores = await device.score({ queries, items: fixed, pairs: block });
    const at = block.ptr[3]! - 1;
    let expected = 0;
    for (let k = 0; k < factors; k++) {
      expected += queries[2 * factors + k]! * problem.fixed[block.idx[at]! * factors + k]!;
    }
    expect(scores[at]).toBeCloseTo(expected, 5);
  });

  it('leaves the event loop alone while it computes', async () => {
    const device = await open('cpu');
    const problem = buildProblem({ rows: 150, cols: 300, factors: 24, objective: huObjective, seed: 4 });
    const fixed = await device.createTable(problem.fixedRows, 24);
    await device.write(fixed, 0, problem.fixed);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    const { ms } = await device.solveBlock({ ...problem, fixed, solver: SOLVERS[0]!, wantLoss: false });
    delay.disable();
    expect(ms).toBeGreaterThan(200);
    expect(delay.percentile(50) / 1e6).toBeLessThan(ms / 5);
  });

  const noSwiftshader =
    swiftshaderMissing === undefined ? '' : ` (skipped, no SwiftShader: ${swiftshaderMissing})`;
  it.skipIf(swiftshaderMissing !== undefined)(
    `on WebGPU in software solves, ranks and scores, and calls itself software${noSwiftshader}`,
    async () => {
      const device = await open('webgpu');
      expect(device.info).toMatchObject({ isSoftware: true, detail: { backend: 'webgpu', isGpu: false } });
      const problem = buildProblem({ rows: 3, cols: 20, factors: 6, objective: huObjective, seed: 4 });
      const fixed = await device.createTable(20, 6);
      await device.write(fixed, 0, problem.fixed);
      const expected = referenceSolve(problem.block, problem.fixed, 6, problem.objective);
      for (const solver of [SOLVERS[0]!, { name: 'cg' as const, cgSteps: 6, block: 1 }]) {
        const { rows } = await device.solveBlock({ ...problem, fixed, solver, wantLoss: false });
        expect(Math.max(...rowDistances(rows, expected, 6))).toBeLessThan(1e-4);
        const again = await device.solveBlock({ ...problem, fixed, solver, wantLoss: false });
        expect([...again.rows]).toEqual([...rows]);
      }
      const queries = problem.fixed.subarray(0, 12);
      const { ids } = await device.topN({ queries, items: fixed, n: 20 });
      expect([...ids.subarray(0, 20)].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i));
      const pairs = { rows: 2, cols: 20, ptr: Int32Array.of(0, 1, 2), idx: Int32Array.of(0, 1) };
      const scores = await device.score({ queries, items: fixed, pairs });
      expect(scores[0]).toBeCloseTo(
        queries.subarray(0, 6).reduce((sum, value) => sum + value * value, 0),
        5,
      );
    },
    120_000,
  );
});

describe('the ladder of providers', () => {
  const works = (isSoftware = false): TfjsProbe => ({
    ok: true,
    info: { kind: 'tfjs', name: 'x', isSoftware, threads: 1, detail: { adapter: 'SwiftShader' } },
  });

  it('goes down to the first that works, and says why not the others', async () => {
    const missing = explainTfjsFailure('node', new Error('no such library'));
    const choice = await chooseTfjs(TFJS_PROVIDERS, async (provider) => {
      if (provider === 'wasm') return works();
      return provider === 'webgpu' ? works(true) : { ok: false, ...missing };
    });
    expect(choice).toMatchObject({ ok: true, provider: 'wasm' });
    expect(choice.passed.map(({ provider }) => provider)).toEqual(['node-gpu', 'node', 'webgpu']);
    expect(choice.passed[1]!.reason).toContain('no such library');
    expect(choice.passed[2]!.reason).toContain('is software');
    expect(choice.ok && choice.info.detail['passed']).toContain('no such library');
  });

  it('takes a software adapter when it is named', async () => {
    expect(await chooseTfjs(['webgpu'], async () => works(true))).toMatchObject({ ok: true });
  });

  it('without tfjs-node says so at once, with how to install it', async () => {
    for (const provider of ['node', 'node-gpu'] as const) {
      const failed = openDevice(`tfjs:${provider}`, { threads: 1 });
      await expect(failed).rejects.toBeInstanceOf(DeviceError);
      await expect(failed).rejects.toThrow(
        `@tensorflow/tfjs-${provider} is not installed; run "npm install @tensorflow/tfjs-${provider}"`,
      );
    }
  });

  it('works on every machine: "tfjs" opens a device that says what it is', async () => {
    const device = await openDevice('tfjs', { threads: 1 });
    expect(device.info).toMatchObject({ kind: 'tfjs', isSoftware: false });
    expect(TFJS_PROVIDERS).toContain(device.info.detail['provider']);
    expect(device.info.detail['passed']).toContain('node-gpu: @tensorflow/tfjs-node-gpu is not installed');
    await device.dispose();
  });

  it('is not part of "auto" where there is no GPU', async () => {
    const device = await openDevice('auto', { threads: 1 });
    expect(device.info.kind).not.toBe('tfjs');
    await device.dispose();
  });
});

describe('a provider that fails', () => {
  const missing = (name: string) =>
    Object.assign(new Error(`Cannot find module '${name}'\nRequire stack:\n- /a/b.js`), {
      code: 'MODULE_NOT_FOUND',
    });

  it('counts as not installed only for packages of its own', () => {
    expect(explainTfjsFailure('node', missing('@tensorflow/tfjs-node'))).toMatchObject({
      code: 'NOT_INSTALLED',
    });
    expect(explainTfjsFailure('wasm', missing('@tensorflow/tfjs-core/dist/x.js'))).toMatchObject({
      code: 'NOT_INSTALLED',
    });
    const broken = explainTfjsFailure('node', missing('adm-zip'));
    expect(broken.code).toBe('ERROR');
    expect(broken.reason).toContain("Cannot find module 'adm-zip'");
  });

  it('without its addon is told from one that is not installed', () => {
    const text = 'The Node.js native addon module (tfjs_binding.node) can not be found at path: /x';
    const why = explainTfjsFailure('node-gpu', new Error(text));
    expect(why).toMatchObject({ code: 'BINARY_MISSING' });
    expect(why.remedy).toContain('npm rebuild @tensorflow/tfjs-node-gpu --build-addon-from-source');
  });

  it('by crashing its process is named with the signal', () => {
    const crash = { signal: 'SIGSEGV', message: 'Command failed' };
    expect(readProbe('node', crash, '', 'x\nlast words\n')).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/crashed with SIGSEGV: last words$/),
    });
    expect(readProbe('node', null, 'nonsense', '')).toMatchObject({ ok: false, code: 'ERROR' });
  });
});

it('a provider that does not exist is refused, with the nearest', async () => {
  const failed = openDevice('tfjs:wsam', { threads: 1 });
  await expect(failed).rejects.toBeInstanceOf(UsageError);
  await expect(failed).rejects.toThrow(/did you mean "tfjs:wasm"\?/);
});
