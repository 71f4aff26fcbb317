// The portable device passes the device suite, and what is its own: same bits for any number of threads, no copies of
// shared arrays, errors of its threads told apart.

import { afterAll, describe, expect, it } from 'vitest';
import { DeviceError, UsageError } from '../../common/errors.js';
import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable } from '../../models/device.js';
import { SolveWorkspace } from '../../models/ials/solve-workspace.js';
import { DEVICE_NAMES, openDevice } from '../../worker/devices/device-registry.js';
import { portableDevice } from '../../worker/devices/portable.js';
import { type PortableTask, runPortableTask } from '../../worker/devices/portable-task.js';
import { buildProblem, defaultObjective, type IalsProblem } from '../support/ials-problems.js';
import { describeComputeDevice } from './compute-device.js';

describeComputeDevice(portableDevice, 1);
describeComputeDevice(portableDevice, 2);

describe('the portable device', () => {
  const devices: ComputeDevice[] = [];
  afterAll(() => Promise.all(devices.map((device) => device.dispose())));
  const open = async (threads: number): Promise<ComputeDevice> => {
    const device = await openDevice('portable', { threads });
    devices.push(device);
    return device;
  };

  it.each(['cholesky', 'cg', 'ials++'] as const)(
    'gives the same bits with 1, 2 and 3 threads, with %s',
    async (name) => {
      const problem = buildProblem({ rows: 60, cols: 80, factors: 17, objective: defaultObjective, seed: 9 });
      const outcomes: number[][] = [];
      for (const threads of [1, 2, 3]) {
        const device = await open(threads);
        const fixed = await upload(device, problem);
        const cuts = Array.from({ length: problem.block.rows + 1 }, (_, row) => row).filter(
          (row) => row % threads === 0,
        );
        if (cuts.at(-1) !== problem.block.rows) cuts.push(problem.block.rows);
        const parts = await Promise.all(
          cuts.slice(1).map((end, i) =>
            device.solveBlock({
              block: csrSlice(problem.block, cuts[i]!, end),
              fixed,
              gram: problem.gram,
              prior: problem.prior.subarray(cuts[i]! * 17, end * 17),
              objective: problem.objective,
              solver: { name, cgSteps: 3, block: 5 },
              wantLoss: false,
            }),
          ),
        );
        outcomes.push(parts.flatMap((part) => [...new Uint32Array(Float32Array.from(part.rows).buffer)]));
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
      expect(outcomes[2]).toEqual(outcomes[0]);
    },
  );

  it('answers in shared memory, so that rows travel on without a copy', async () => {
    const device = await open(1);
    const problem = buildProblem({ rows: 3, cols: 8, factors: 5, objective: defaultObjective, seed: 9 });
    const result = await device.solveBlock({
      ...problem,
      fixed: await upload(device, problem),
      solver: { name: 'cholesky', cgSteps: 1, block: 1 },
      wantLoss: false,
    });
    expect(result.rows.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(result.gram.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  it('refuses a table of another device', async () => {
    const [one, other] = [await open(1), await open(1)];
    const table = await one.createTable(2, 2);
    await expect(other.read(table, 0, 1)).rejects.toBeInstanceOf(DeviceError);
  });

  it('disposed of in the middle of blocks fails them all and leaves nothing running', async () => {
    const device = await portableDevice.open({ threads: 2 });
    const problem = buildProblem({ rows: 400, cols: 300, factors: 64, objective: defaultObjective, seed: 9 });
    const fixed = await upload(device, problem);
    const solver = { name: 'cg' as const, cgSteps: 1000, block: 1 };
    const blocks = Array.from({ length: 6 }, () =>
      device.solveBlock({
        ...problem,
        objective: { ...defaultObjective, regularization: 1e-12 },
        fixed,
        solver,
        wantLoss: false,
      }),
    );
    const outcomes = Promise.allSettled(blocks);
    await device.dispose();
    for (const outcome of await outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(DeviceError);
    }
    expect((await outcomes).at(-1)!.status).toBe('rejected');
  });
});

describe('a task in a thread', () => {
  const task = (): Extract<PortableTask, { kind: 'solve' }> => {
    const problem = buildProblem({ rows: 3, cols: 8, factors: 5, objective: defaultObjective, seed: 9 });
    return {
      ...problem,
      kind: 'solve',
      solver: { name: 'cholesky', cgSteps: 1, block: 1 },
      wantLoss: true,
      out: new Float32Array(problem.block.rows * 5),
      outGram: new Float64Array(15),
      abort: new Int32Array(new SharedArrayBuffer(4)),
    };
  };

  it('writes rows and Gram in place and answers the loss', () => {
    const solve = task();
    expect(runPortableTask(solve, new SolveWorkspace())).toMatchObject({
      kind: 'done',
      loss: { penalty: expect.any(Number) },
    });
    expect(solve.out.some((value) => value !== 0)).toBe(true);
    expect(solve.outGram.some((value) => value !== 0)).toBe(true);
  });

  it('answers an error in parts, and an abort as such', () => {
    const solve = task();
    solve.fixed[solve.block.idx[0]! * 5] = Number.NaN;
    expect(runPortableTask(solve, new SolveWorkspace())).toMatchObject({
      kind: 'failed',
      name: 'NumericError',
      code: 'STOA_NUMERIC_NOT_FINITE',
      fields: { row: 1 },
    });
    solve.abort[0] = 1;
    expect(runPortableTask(solve, new SolveWorkspace())).toEqual({ kind: 'aborted' });
  });

  it('ranks in place', () => {
    const rank: PortableTask = {
      kind: 'rank',
      queries: Float32Array.of(1, 0),
      count: 1,
      queryStart: 0,
      items: Float32Array.of(1, 5, 3, 5, 2, 5),
      itemCount: 3,
      factors: 2,
      n: 2,
      exclude: undefined,
      out: { ids: new Int32Array(2), scores: new Float32Array(2) },
      abort: new Int32Array(new SharedArrayBuffer(4)),
    };
    expect(runPortableTask(rank, new SolveWorkspace()).kind).toBe('done');
    expect([...rank.out.ids]).toEqual([1, 2]);
  });

  it('lets a bug of ours through as it is', () => {
    const broken = { ...task(), block: undefined } as unknown as PortableTask;
    expect(() => runPortableTask(broken, new SolveWorkspace())).toThrow(TypeError);
  });
});

describe('opening a device', () => {
  it('by an unknown name names the known ones and the nearest', async () => {
    const failed = openDevice('portabel', { threads: 1 });
    await expect(failed).rejects.toBeInstanceOf(UsageError);
    await expect(failed).rejects.toThrow(
      'unknown device "portabel"; known are auto, native, webgpu, tfjs, tfjs:node-gpu, tfjs:node, tfjs:webgpu, tfjs:wasm, tfjs:cpu, portable; did you mean "portable"?',
    );
  });

  it.each([0, -1, 1.5, Number.NaN, 1e9])('with %f threads is refused', async (threads) => {
    await expect(openDevice('portable', { threads })).rejects.toThrow(/is not a whole number from 1 to 1024/);
  });

  it('by "auto" takes one that works here', async () => {
    const device = await openDevice('auto', { threads: 2 });
    expect(DEVICE_NAMES).toContain(device.info.kind);
    expect(device.info.threads).toBe(2);
    await device.dispose();
  });
});

async function upload(device: ComputeDevice, problem: IalsProblem): Promise<FactorTable> {
  const table = await device.createTable(problem.fixedRows, problem.factors);
  await device.write(table, 0, problem.fixed);
  return table;
}
