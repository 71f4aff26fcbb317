// Small binary matrices for the tests of the baselines.

import fc from 'fast-check';
import type { Csr } from '../../models/csr.js';

/** Random 0/1 matrices by users; empty rows, empty columns and columns that everyone has occur. */
export function binaryMatrices(): fc.Arbitrary<number[][]> {
  return fc
    .record({ users: fc.integer({ min: 1, max: 9 }), items: fc.integer({ min: 1, max: 11 }) })
    .chain(({ users, items }) =>
      fc.array(fc.array(fc.constantFrom(0, 0, 1), { minLength: items, maxLength: items }), {
        minLength: users,
        maxLength: users,
      }),
    );
}

export function binaryCsr(dense: number[][]): Csr {
  const idx = dense.flatMap((row) => row.flatMap((value, col) => (value === 0 ? [] : [col])));
  const ptr = [0];
  for (const row of dense) ptr.push(ptr.at(-1)! + row.filter((value) => value !== 0).length);
  return { rows: dense.length, cols: dense[0]!.length, ptr: Int32Array.from(ptr), idx: Int32Array.from(idx) };
}
