// What an epoch goes through: every interaction once, negatives that the user did not take, as often as was asked.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { csrSlice } from '../../models/csr.js';
import { DrawCounter } from '../../models/sgd/draw-counter.js';
import { drawSamples } from '../../models/sgd/draw-samples.js';
import { EntryOrder } from '../../models/sgd/entry-order.js';
import { NegativeSampler } from '../../models/sgd/negative-sampler.js';
import { randomInteractions } from '../support/random-dataset.js';
import { itemCounts, sgdSettings } from '../support/sgd-problems.js';

describe('the order of an epoch', () => {
  it('has every entry exactly once, for any number of them', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.maxSafeNat(), fc.nat(), (count, seed, epoch) => {
        const order = new EntryOrder(count, { seed, epoch, block: 3 });
        const entries = Array.from({ length: count }, (_, position) => order.at(position));
        expect(new Set(entries).size).toBe(count);
        expect(Math.max(...entries)).toBe(count - 1);
      }),
      { numRuns: 100 },
    );
  });

  it('puts every entry at every position about equally often', () => {
    const COUNT = 10;
    const EPOCHS = 4000;
    const seen = new Float64Array(COUNT * COUNT);
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      const order = new EntryOrder(COUNT, { seed: 8, epoch, block: 0 });
      for (let position = 0; position < COUNT; position++) seen[order.at(position) * COUNT + position]!++;
    }
    const expected = EPOCHS / COUNT;
    const chiSquare = seen.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 81 degrees of freedom: above 131 once in 3000 seeds.
    expect(chiSquare).toBeLessThan(131);
  });
});

describe('the samples of an epoch', () => {
  const interactions = randomInteractions({ users: 40, items: 50, perUser: 8, hasValues: true });

  it.each(['bpr', 'mf'] as const)(
    'of %s are all interactions of the block, whatever the number of steps',
    (model) => {
      for (const stepsPerEpoch of [1, 3, 1000]) {
        const settings = sgdSettings({ model, stepsPerEpoch });
        const block = csrSlice(interactions, 10, 30);
        const sampler = new NegativeSampler(itemCounts(interactions), settings);
        const source = { interactions: block, block: 1, settings, sampler };
        const pairs: string[] = [];
        for (let step = stepsPerEpoch; step < 2 * stepsPerEpoch; step++) {
          const { steps, items } = drawSamples(source, step, step + 1);
          const { users, positives, values, count } = steps[0]!;
          for (let n = 0; n < count; n++) {
            pairs.push(`${users[n]} ${items[positives[n]!]} ${model === 'mf' ? values[n] : ''}`);
          }
        }
        const expected: string[] = [];
        for (let row = 0; row < block.rows; row++) {
          for (let e = block.ptr[row]!; e < block.ptr[row + 1]!; e++) {
            expected.push(`${row} ${block.idx[e]} ${model === 'mf' ? block.values![e] : ''}`);
          }
        }
        expect(pairs.sort()).toEqual(expected.sort());
      }
    },
  );

  it('do not depend on how many steps are drawn at once, nor on how an epoch is cut', () => {
    const draw = (stepsPerEpoch: number, cuts: number[]) => {
      const settings = sgdSettings({ stepsPerEpoch });
      const sampler = new NegativeSampler(itemCounts(interactions), settings);
      const source = { interactions, block: 2, settings, sampler };
      return cuts.slice(1).flatMap((end, n) => {
        const { items, steps } = drawSamples(source, cuts[n]!, end);
        return steps.flatMap(({ users, positives, negatives }) =>
          [...users].map((user, s) => [user, items[positives[s]!], items[negatives[s]!]]),
        );
      });
    };
    expect(draw(6, [0, 1, 2, 3, 4, 5, 6])).toEqual(draw(6, [0, 4, 6]));
    expect(draw(6, [0, 6])).toEqual(draw(1, [0, 1]));
  });

  it('name each item they touch once, ascending', () => {
    const settings = sgdSettings();
    const sampler = new NegativeSampler(itemCounts(interactions), settings);
    const { items, steps } = drawSamples({ interactions, block: 2, settings, sampler }, 0, 2);
    expect([...items]).toEqual([...new Set(items)].sort((a, b) => a - b));
    const places = new Set(steps.flatMap(({ positives, negatives }) => [...positives, ...negatives]));
    expect([...places].sort((a, b) => a - b)).toEqual([...items].map((_, n) => n));
  });
});

describe('negatives', () => {
  // User 0 took items 0 and 3; 20, 0, 5, 9 and 66 users took the items.
  const history = { rows: 1, cols: 5, ptr: Int32Array.of(0, 2), idx: Int32Array.of(0, 3) };
  const counts = Int32Array.of(20, 0, 5, 9, 66);
  const DRAWS = 20_000;

  const shares = (options: ConstructorParameters<typeof NegativeSampler>[1]) => {
    const sampler = new NegativeSampler(counts, options);
    const counter = new DrawCounter({ seed: 4, epoch: 1, block: 2 });
    const drawn = [0, 0, 0, 0, 0];
    for (let draw = 0; draw < DRAWS; draw++) drawn[sampler.draw(counter, draw, history, 0)]!++;
    return drawn.map((count) => count / DRAWS);
  };

  it('are uniform over what the user did not take', () => {
    shares({ negatives: 'uniform', popularityExponent: 1 }).forEach((share, item) => {
      // Five standard errors of 20 000 draws.
      expect(Math.abs(share - (item === 0 || item === 3 ? 0 : 1 / 3))).toBeLessThan(0.017);
    });
  });

  it.each([1, 0.5])('by popularity come as often as count^%f, items nobody took never', (exponent) => {
    const weight = (item: number) => counts[item]! ** exponent;
    const total = weight(2) + weight(4);
    const found = shares({ negatives: 'popularity', popularityExponent: exponent });
    expect([found[0], found[1], found[3]]).toEqual([0, 0, 0]);
    expect(Math.abs(found[2]! - weight(2) / total)).toBeLessThan(0.017);
  });

  it('of a user who took everything are given up, not searched for ever', () => {
    const everything = { rows: 1, cols: 2, ptr: Int32Array.of(0, 2), idx: Int32Array.of(0, 1) };
    const sampler = new NegativeSampler(Int32Array.of(1, 1), { negatives: 'uniform', popularityExponent: 1 });
    expect(sampler.draw(new DrawCounter({ seed: 4, epoch: 1, block: 2 }), 0, everything, 0)).toBe(-1);
  });

  it('depend on seed, epoch, block and draw alone', () => {
    const sampler = new NegativeSampler(new Int32Array(1000), {
      negatives: 'uniform',
      popularityExponent: 1,
    });
    const draw = (key: object, at: number) => {
      const counter = new DrawCounter({ seed: 4, epoch: 1, block: 2, ...key });
      return sampler.draw(counter, at, history, 0);
    };
    expect(draw({}, 7)).toBe(draw({}, 7));
    const others = [draw({ seed: 5 }, 7), draw({ epoch: 2 }, 7), draw({ block: 3 }, 7), draw({}, 8)];
    expect(new Set([draw({}, 7), ...others]).size).toBe(5);
  });
});
