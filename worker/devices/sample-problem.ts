// A block of about the size that a plan makes, for finding out what a device can do.

import { createRandom, type Random } from '../../common/random.js';
import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';

export interface SampleProblem {
  readonly block: Csr;
  /** The fixed side, [block.cols, factors]. */
  readonly fixed: Float32Array;
  readonly factors: number;
  readonly gram: Float64Array;
  /** Where iterative solvers start. */
  readonly prior: Float32Array;
  readonly objective: IalsObjective;
}

const COLUMNS = 500;
const ENTRIES_MAX = 60;

const OBJECTIVE: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.01,
  nu: 1,
};

/** Rows of 1 to 60 entries in 500 columns; the same numbers every time. */
export function sampleProblem({ rows, factors }: { rows: number; factors: number }): SampleProblem {
  const random = createRandom(1);
  const draw = (length: number, stdDev: number) =>
    Float32Array.from({ length }, () => stdDev * random.normal());
  const fixed = draw(COLUMNS * factors, 1 / Math.sqrt(factors));
  return {
    block: randomRows(rows, random),
    fixed,
    factors,
    gram: unpackGram(packedGramOf(fixed, COLUMNS, factors), factors),
    prior: draw(rows * factors, 0.1),
    objective: OBJECTIVE,
  };
}

function randomRows(rows: number, random: Random): Csr {
  const ptr = new Int32Array(rows + 1);
  const idx: number[] = [];
  for (let row = 0; row < rows; row++) {
    const columns = new Set<number>();
    const entries = 1 + random.int(ENTRIES_MAX);
    while (columns.size < entries) columns.add(random.int(COLUMNS));
    idx.push(...[...columns].sort((a, b) => a - b));
    ptr[row + 1] = idx.length;
  }
  return { rows, cols: COLUMNS, ptr, idx: Int32Array.from(idx) };
}
