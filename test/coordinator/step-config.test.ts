// Settings and plans of models that push and pull.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planRun } from '../../coordinator/plan/plan-run.js';
import {
  columnsOf,
  parseRunConfig,
  phasesPerEpoch,
  sgdSettingsOf,
} from '../../coordinator/plan/run-config.js';

describe('the sync mode of a run', () => {
  it.each([
    [{}, 'phases', 0],
    [{ model: 'bpr' }, 'bsp', 0],
    [{ model: 'mf', 'train.sync': 'asp' }, 'asp', 0],
    [{ model: 'bpr', 'train.sync': 'ssp:3' }, 'ssp:3', 3],
    [{ model: 'bpr', 'train.sync': 'ssp', 'train.staleness': 2 }, 'ssp:2', 2],
    [{ model: 'bpr', 'train.sync': 'ssp' }, 'ssp:0', 0],
    [{ model: 'bpr', 'train.sync': 'local:4' }, 'local:4', 0],
  ])(
    'of %j is %s with a staleness of %i, and stays it when it is read again',
    (settings, sync, staleness) => {
      const config = parseRunConfig(settings);
      expect([config['train.sync'], config['train.staleness']]).toEqual([sync, staleness]);
      expect(parseRunConfig(config)).toEqual(config);
    },
  );

  it.each([
    [{ 'train.sync': 'bsp' }, /ials trains in phases/],
    [{ 'train.staleness': 1 }, /without staleness/],
    [{ 'train.early_stopping': 2 }, /only bpr and mf/],
    [{ model: 'bpr', 'train.sync': 'phases' }, /must be bsp, ssp:S/],
    [{ model: 'bpr', 'train.sync': 'ssp:3', 'train.staleness': 2 }, /ssp:3 has a staleness of 3/],
    [{ model: 'bpr', 'train.staleness': 2 }, /bsp has a staleness of 0/],
    [{ model: 'bpr', 'bpr.learning_rate': 0 }, /bpr.learning_rate = 0: must be greater than 0/],
    [{ model: 'bpr', 'bpr.negatives': 'hard' }, /must be one of uniform, popularity/],
  ])('%j is refused', (settings, message) => {
    expect(() => parseRunConfig(settings)).toThrow(message);
  });
});

describe('what a model has', () => {
  it('are columns for its biases, and one phase an epoch', () => {
    const of = (model: string) =>
      parseRunConfig({ model, 'bpr.factors': 5, 'mf.factors': 6, 'ials.factors': 7 });
    expect(['bpr', 'mf', 'ials'].map((model) => columnsOf(of(model)))).toEqual([6, 8, 7]);
    expect(['bpr', 'mf', 'ials'].map((model) => phasesPerEpoch(of(model)))).toEqual([1, 1, 2]);
  });

  it('are settings of its own: those of mf do not reach bpr', () => {
    const config = parseRunConfig({ model: 'bpr', 'mf.learning_rate': 0.5, 'bpr.schedule': 'cosine' });
    expect(sgdSettingsOf(config, 3)).toMatchObject({ learningRate: 0.1, schedule: 'cosine', mean: 0 });
    expect(sgdSettingsOf(parseRunConfig({ model: 'mf' }), 3)).toMatchObject({ learningRate: 0.02, mean: 3 });
  });
});

describe('the plan of a run that pushes and pulls', () => {
  const counts = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 3000 });
  const planOf = (rowCounts: readonly number[], workers: number) => {
    const interactions = rowCounts.reduce((sum, count) => sum + count, 0);
    const users = Int32Array.from(rowCounts);
    return planRun({
      counts: { users: users.length, items: 10, interactions, hasValues: false },
      rowCounts: { users, items: new Int32Array(10) },
      shards: {
        users: [{ file: 'a', rowStart: 0, rowEnd: users.length, interactions }],
        items: [{ file: 'b', rowStart: 0, rowEnd: 10, interactions }],
      },
      config: parseRunConfig({ model: 'bpr', 'train.steps': 4 }),
      workers,
      threads: 1,
    });
  };

  it('has blocks that cover the users in order, a few dozen at most, and none of items', () => {
    fc.assert(
      fc.property(counts, (rowCounts) => {
        const { blocks, estimates } = planOf(rowCounts, 1);
        let next = 0;
        for (const { rowStart, rowEnd, index } of blocks.users) {
          expect(rowStart).toBe(next);
          expect(rowEnd).toBeGreaterThan(rowStart);
          expect(blocks.users[index]!.rowStart).toBe(rowStart);
          next = rowEnd;
        }
        expect(next).toBe(rowCounts.length);
        expect(blocks.users.length).toBeLessThanOrEqual(32);
        expect(blocks.items).toEqual([]);
        expect(estimates.workerBytes).toBeGreaterThan(0);
      }),
      { numRuns: 50 },
    );
  });

  it('does not depend on the workers', () => {
    const rowCounts = Array.from({ length: 2000 }, (_, row) => (row * 7919) % 300);
    expect(planOf(rowCounts, 7).blocks).toEqual(planOf(rowCounts, 1).blocks);
  });
});
