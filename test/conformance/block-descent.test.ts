// Steps of descent in threads of TypeScript and by native kernels, held to one suite; and what is the kernels' own.

import { describe, expect, it } from 'vitest';
import { ShapeError } from '../../common/errors.js';
import { drawSamples } from '../../models/sgd/draw-samples.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { nativeDevice, nativeInstructionSets } from '../../worker/devices/native.js';
import { StepPool } from '../../worker/steps/step-pool.js';
import {
  descentProblem,
  initialRows,
  itemCounts,
  rowsOfItems,
  sgdSettings,
} from '../support/sgd-problems.js';
import { describeBlockDescent } from './block-descent.js';

const probe = await nativeDevice.probe();
const sets = probe.ok ? await nativeInstructionSets() : [];
/** Those that promise the same bits. */
const fused = sets.filter((isa) => isa !== 'baseline');

// Rows are f32 between two samples: a number goes a few hundred times through a rounding of 2^-24.
describeBlockDescent('threads of TypeScript', {
  tolerance: 1e-6,
  open: async () => {
    const pool = new StepPool(2);
    return { descent: pool, close: () => pool.close() };
  },
});

// Scores are summed in f32, too.
for (const isa of sets) {
  describeBlockDescent(`native kernels (${isa})`, {
    tolerance: 5e-6,
    open: async () => {
      const device = await nativeDevice.open({ threads: 2, isa });
      return { descent: device.descent!, close: () => device.dispose() };
    },
  });
}

const why = probe.ok ? '' : ` (not here: ${probe.reason})`;
describe.skipIf(!probe.ok)(`native descent${why}`, () => {
  it.each(['bpr', 'mf'] as const)(
    'gives the same bits on every instruction set that fuses, for %s',
    async (model) => {
      for (const factors of [1, 16, 31, 64, 130]) {
        const { task } = problem(model, factors);
        const outcomes = new Set<string>();
        for (const isa of fused) {
          const device = await nativeDevice.open({ threads: 1, isa });
          const { result } = await device.descent!.descend(task);
          outcomes.add([bits(result.users), bits(result.deltas), result.loss].join());
          await device.dispose();
        }
        expect(outcomes.size).toBe(1);
      }
    },
  );

  it('refuses samples that name rows that are not there', async () => {
    const device = await nativeDevice.open({ threads: 1 });
    const { task } = problem('bpr', 6);
    const [step] = task.samples.steps;
    for (const [list, value] of [
      ['users', 30],
      ['users', -1],
      ['positives', task.samples.items.length],
      ['negatives', -2],
      ['negatives', 2 ** 31 - 1],
    ] as const) {
      const bent = step![list].slice();
      bent[bent.length - 1] = value;
      const samples = { ...task.samples, steps: [{ ...step!, [list]: bent }] };
      await expect(device.descent!.descend({ ...task, samples })).rejects.toBeInstanceOf(ShapeError);
    }
    await device.dispose();
  });

  it('refuses interactions that name items that are not there', async () => {
    const device = await nativeDevice.open({ threads: 1 });
    const { interactions, settings } = problem('bpr', 6);
    const wild = { ...interactions, cols: 20 };
    const drawn = device.descent!.draw({
      runId: 'wild',
      settings,
      itemCounts: new Int32Array(20),
      interactions: wild,
      block: 0,
      stepStart: 0,
      stepEnd: 3,
    });
    await expect(drawn).rejects.toBeInstanceOf(ShapeError);
    await device.dispose();
  });

  it('stops soon in the middle of a long descent, and goes on', async () => {
    const device = await nativeDevice.open({ threads: 1 });
    const { task } = problem('bpr', 128);
    const [step] = task.samples.steps;
    const long = { ...task.samples, steps: Array.from({ length: 30_000 }, () => step!) };
    const controller = new AbortController();
    const { signal } = controller;
    const failed = expect(device.descent!.descend({ ...task, samples: long }, signal)).rejects.toThrow(
      'enough',
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    const start = performance.now();
    controller.abort(new Error('enough'));
    await failed;
    await device.descent!.descend(task);
    expect(performance.now() - start).toBeLessThan(100);
    await device.dispose();
  });
});

function problem(model: 'bpr' | 'mf', factors: number) {
  const settings = sgdSettings({ model, factors, mean: model === 'mf' ? 3 : 0, stepsPerEpoch: 1 });
  const interactions = descentProblem({ users: 30, items: 50, longest: 20, seed: factors });
  const sampler = new NegativeSampler(itemCounts(interactions), settings);
  const samples = drawSamples({ interactions, block: 3, settings, sampler }, 0, 1);
  const users = initialRows(settings, 'users', 30);
  const task = { settings, samples, users, items: rowsOfItems(settings, samples.items) };
  return { task, interactions, settings };
}

function bits(array: ArrayBufferView): string {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');
}
