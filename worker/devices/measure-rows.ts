import { createRandom } from '../../common/random.js';
import { Slots } from '../../common/slots.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { BlockTask, ComputeDevice, IalsObjective, SolverOptions } from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { rowWork } from '../../models/ials/work.js';

export interface MeasuredRows {
  /** Rows to solve: as large as one block. `cols` is the size of the other side. */
  rows: Csr;
  factors: number;
  solver: SolverOptions;
  objective: IalsObjective;
}

export interface RowSpeed {
  /** Of all that the device has in flight together, by the count of `rowWork`. */
  flopsPerSecond: number;
  /** What the device does once for a table and its Gram before it solves the first row; 0 where that is nothing. */
  prepareSeconds: number;
}

/** Passes that are timed, and of which the median counts: caches and clocks as they mostly are. One goes before them. */
const PASSES = 9;
/** Solves from zeros before those that count: two of `cg` bring rows near enough. */
const SETTLING = 2;
/**
 * What rows are moved by after that, as a part of their size. Iterative solvers stop where nothing is left to gain, and
 * a row that is given its own solution has nothing; one of a training always has, since the other side moved. Parts
 * between 0.1 and 0.3 take the same time, 0.01 is up to a fifth quicker.
 */
const MOVED = 0.1;
/** How often a table is prepared anew; the median counts. */
const PREPARATIONS = 3;
/** Rows of the other side that are drawn at random; they are repeated, since only places in memory matter. */
const DRAWN_ROWS = 1024;

/**
 * How fast a device solves rows of real data as they are in a training that is under way, near their solution but not
 * at it, over a table of their real size: entries a row and places in memory are what a sample cannot know. The
 * factors are made up.
 */
export async function measureRows(
  device: ComputeDevice,
  { rows, factors, solver, objective }: MeasuredRows,
): Promise<RowSpeed> {
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
    const { blocks, pass } = await passSeconds(device, { ...given, prior: moved(prior!) });
    return {
      flopsPerSecond: (blocks * workOf(rows, factors, solver)) / pass,
      prepareSeconds: await prepareSeconds(device, given),
    };
  } finally {
    table.dispose();
  }
}

/** Seconds of a pass over so many blocks: as many for each thread, whether threads share a block or have one each. */
async function passSeconds(
  device: ComputeDevice,
  task: BlockTask,
): Promise<{ blocks: number; pass: number }> {
  const { capabilities, info } = device;
  const blocks = 2 * info.threads;
  const slots = new Slots(capabilities.blocksInFlight);
  const solve = () => slots.hold(() => device.solveBlock(task));
  const passes: number[] = [];
  for (let pass = 0; pass <= PASSES; pass++) {
    const startMs = performance.now();
    await Promise.all(Array.from({ length: blocks }, solve));
    if (pass > 0) passes.push(performance.now() - startMs);
  }
  return { blocks, pass: middle(passes) / 1000 };
}

/** What a Gram that the device has not seen yet adds to the time of a single row. */
async function prepareSeconds(device: ComputeDevice, given: BlockTask): Promise<number> {
  const single = { ...given, block: csrSlice(given.block, 0, Math.min(1, given.block.rows)) };
  const added: number[] = [];
  for (let n = 1; n <= PREPARATIONS; n++) {
    const gram = given.gram.map((x) => x * (1 + n / 1024));
    const startMs = performance.now();
    await device.solveBlock({ ...single, gram });
    const preparedMs = performance.now();
    await device.solveBlock({ ...single, gram });
    added.push(preparedMs - startMs - (performance.now() - preparedMs));
  }
  return Math.max(0, middle(added)) / 1000;
}

/** Rows with something left to gain. */
function moved(rows: Float32Array): Float32Array {
  const random = createRandom(2);
  const size = Math.sqrt(rows.reduce((sum, x) => sum + x * x, 0) / Math.max(1, rows.length));
  return rows.map((x) => x + MOVED * size * random.normal());
}

function middle(numbers: number[]): number {
  return numbers.sort((a, b) => a - b)[numbers.length >> 1]!;
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
