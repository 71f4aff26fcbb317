import { createRandom } from '../../common/random.js';
import { Slots } from '../../common/slots.js';
import type { Csr } from '../../models/csr.js';
import type { ComputeDevice, IalsObjective, SolverOptions } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { rowWork } from '../../models/ials/work.js';

export interface MeasuredRows {
  /** Rows to solve: as large as one block. `cols` is the size of the other side. */
  rows: Csr;
  factors: number;
  solver: SolverOptions;
  objective: IalsObjective;
}

/** Passes that are timed: the quickest counts, since what disturbs only ever slows down. One more goes before them. */
const PASSES = 12;
/**
 * Solves from zeros before those that count. Iterative solvers stop where nothing is left to gain, as they do in all
 * epochs but the first few: rows that start far off take up to twice as long.
 */
const SETTLING = 2;
/** Rows of the other side that are drawn at random; they are repeated, since only places in memory matter. */
const DRAWN_ROWS = 1024;

/**
 * How fast a device solves rows of real data that are near their solution already, over a table of their real size:
 * entries a row and places in memory are what a sample cannot know. The factors are made up.
 *
 * @returns flops a second of all that the device has in flight together, by the count of `rowWork`.
 */
export async function measureRows(
  device: ComputeDevice,
  { rows, factors, solver, objective }: MeasuredRows,
): Promise<number> {
  const table = await device.createTable(rows.cols, factors);
  try {
    const fixed = madeUp(rows.cols, factors);
    await device.write(table, 0, fixed);
    const sample = Math.min(rows.cols, DRAWN_ROWS);
    const gram = unpackGram(packedGramOf(fixed, sample, factors), factors).map(
      (x) => (x * rows.cols) / sample,
    );
    const given = { block: rows, fixed: table, gram, objective, solver, wantLoss: false };
    let prior: Float32Array | undefined;
    for (let solved = 0; solved < SETTLING; solved++) {
      prior = (await device.solveBlock({ ...given, prior })).rows;
    }
    const task = { ...given, prior };
    const { capabilities, info } = device;
    // As many for each thread, whether threads share a block or have one each.
    const blocks = 2 * info.threads;
    const slots = new Slots(capabilities.blocksInFlight);
    const solve = () => slots.hold(() => device.solveBlock(task));
    let least = Number.POSITIVE_INFINITY;
    for (let pass = 0; pass <= PASSES; pass++) {
      const startMs = performance.now();
      await Promise.all(Array.from({ length: blocks }, solve));
      if (pass > 0) least = Math.min(least, performance.now() - startMs);
    }
    return (1000 * blocks * workOf(rows, factors, solver)) / least;
  } finally {
    table.dispose();
  }
}

function madeUp(rows: number, factors: number): Float32Array {
  const random = createRandom(1);
  const length = rows * factors;
  const drawn = Math.min(length, DRAWN_ROWS * factors);
  const table = new Float32Array(length);
  for (let i = 0; i < drawn; i++) table[i] = random.normal() / Math.sqrt(factors);
  for (let filled = drawn; filled < length; filled *= 2) table.copyWithin(filled, 0, filled);
  return table;
}

function workOf({ ptr, rows }: Csr, factors: number, solver: SolverOptions): number {
  let work = 0;
  for (let row = 0; row < rows; row++) work += rowWork(ptr[row + 1]! - ptr[row]!, factors, solver);
  return work;
}
