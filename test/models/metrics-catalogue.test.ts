// Catalogue metrics on examples small enough to count by hand.

import { expect, it } from 'vitest';
import { coverageAt, itemNovelty, NEVER_SHOWN, noteRanks } from '../../models/metrics/catalogue-metrics.js';

it('coverage counts the items that anyone was shown within the cutoff', () => {
  const best = new Int32Array(8).fill(NEVER_SHOWN);
  noteRanks(Int32Array.of(3, 1, 6), best);
  noteRanks(Int32Array.of(1, 5, 3, -1, -1), best);
  expect([...best]).toEqual([NEVER_SHOWN, 0, NEVER_SHOWN, 0, NEVER_SHOWN, 1, 2, NEVER_SHOWN]);
  expect(coverageAt(best, 1)).toBe(2 / 8);
  expect(coverageAt(best, 2)).toBe(3 / 8);
  expect(coverageAt(best, 100)).toBe(4 / 8);
});

it('an item that half of the users have surprises by one bit, one that nobody has as much as one that a single user has', () => {
  expect([...itemNovelty(Int32Array.of(4, 8, 1, 0), 8)]).toEqual([1, 0, 3, 3]);
});
