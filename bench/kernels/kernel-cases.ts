// The kernels of a device, each as a piece of work of known size.

import { createRandom } from '../../common/random.js';
import { sharedFloat32, sharedInt32 } from '../../common/shared-memory.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type {
  BlockTask,
  ComputeDevice,
  FactorTable,
  IalsObjective,
  SolverOptions,
} from '../../models/device.js';
import { packedGramOf, unpackGram } from '../../models/gram.js';
import { rowWork } from '../../models/ials/work.js';

export interface KernelCase {
  kernel: string;
  factors: number;
  /** Arithmetic operations of one call, by the formulas of `rowWork` and beside the cases. */
  flops: number;
  /** Least bytes of factors that one call reads: 4K for each interaction, once for each pass over them. */
  bytes: number;
  run(): Promise<unknown>;
  /** What is wanted of it is a short time for one call, not many calls a second. */
  isLatency?: boolean;
  /** Subtracted from the time: the same call without what is measured. */
  without?(): Promise<unknown>;
}

export interface KernelData {
  /** Users' rows. */
  users: Csr;
  /** Row of a user with the median number of interactions. */
  typicalUser: number;
  /** Work of one call, flops: about a tenth of a second of the device. */
  flopsTarget: number;
}

const OBJECTIVE: IalsObjective = {
  objective: 'hu2008',
  weights: 'value',
  alpha0: 0,
  alpha: 10,
  regularization: 0.1,
  nu: 0,
};
const CG_STEPS = 3;
const SUBSPACE = 32;
const TOP_N = 20;
/** Queries whose pairs are scored together, and pairs of each. */
const QUERIES = 4096;
const PAIRS = 100;
/** Rows whose Gram is computed: a large block of a run. */
const BLOCK_ROWS = 16_384;

export async function kernelCases(
  device: ComputeDevice,
  data: KernelData,
  factors: number,
): Promise<KernelCase[]> {
  const cases = [...(await solveCases(device, data, factors)), ...(await rankCases(device, data, factors))];
  return cases;
}

async function solveCases(device: ComputeDevice, data: KernelData, factors: number): Promise<KernelCase[]> {
  const { table, rows: items } = await randomTable(device, data.users.cols, factors);
  const gram = unpackGram(packedGramOf(items, data.users.cols, factors), factors);
  const task = (block: Csr, name: SolverOptions['name'], cgSteps = CG_STEPS): BlockTask => ({
    block,
    fixed: table,
    gram,
    prior: randomRows(block.rows, factors),
    objective: OBJECTIVE,
    solver: { name, cgSteps, block: SUBSPACE },
    wantLoss: false,
  });
  const solve = (kernel: string, name: SolverOptions['name'], passes: number): KernelCase[] => {
    if (!device.capabilities.solvers.has(name)) return [];
    const solver = { name, cgSteps: CG_STEPS, block: SUBSPACE };
    const block = blockOf(data, factors, solver);
    const one = task(block, name);
    const bytes = passes * block.idx.length * factors * 4;
    return [
      { kernel, factors, flops: workOf(block, factors, solver), bytes, run: () => device.solveBlock(one) },
    ];
  };
  const oneStep = { name: 'cg', cgSteps: 1, block: SUBSPACE } as const;
  const light = blockOf(data, factors, oneStep);
  const lossless = task(light, 'cg', 1);
  const empty = emptyRows(BLOCK_ROWS, data.users.cols);
  const emptyTask = task(empty, 'cholesky');
  const single = task(csrSlice(data.users, data.typicalUser, data.typicalUser + 1), 'cholesky');
  return [
    // The first pass makes the residual, each step one more.
    ...solve(`row solve, CG(${CG_STEPS})`, 'cg', CG_STEPS + 1),
    ...solve('row solve, Cholesky', 'cholesky', 1),
    ...solve(`row solve, iALS++ (${SUBSPACE})`, 'ials++', 2),
    {
      // Rows without entries are solved by writing zeros: what is left is their Gram, K(K + 1) flops a row.
      kernel: 'Gram of a block',
      factors,
      flops: empty.rows * factors * (factors + 1),
      bytes: empty.rows * factors * 4,
      run: () => device.solveBlock(emptyTask),
    },
    {
      // An inner product for each interaction: 2K flops.
      kernel: 'loss of a block',
      factors,
      flops: light.idx.length * 2 * factors,
      bytes: light.idx.length * factors * 4,
      run: () => device.solveBlock({ ...lossless, wantLoss: true }),
      without: () => device.solveBlock(lossless),
    },
    {
      kernel: 'fold-in of one user',
      isLatency: true,
      factors,
      flops: workOf(single.block, factors, single.solver),
      bytes: single.block.idx.length * factors * 4,
      run: () => device.solveBlock({ ...single, prior: undefined }),
    },
  ];
}

async function rankCases(device: ComputeDevice, data: KernelData, factors: number): Promise<KernelCase[]> {
  const { cols } = data.users;
  const { table: items } = await randomTable(device, cols, factors);
  const count = Math.min(data.users.rows, Math.max(1, Math.ceil(data.flopsTarget / (2 * cols * factors))));
  const queries = randomRows(count, factors);
  const exclude = csrSlice(data.users, 0, count);
  const pairs = randomPairs(QUERIES, cols);
  const pairQueries = randomRows(pairs.rows, factors);
  return [
    {
      // One inner product for each query and item: 2K flops.
      kernel: `top ${TOP_N}, seen items left out`,
      factors,
      flops: 2 * count * cols * factors,
      bytes: cols * factors * 4,
      run: () => device.topN({ queries, items, n: TOP_N, exclude }),
    },
    {
      kernel: 'scores of given pairs',
      factors,
      flops: 2 * pairs.idx.length * factors,
      bytes: pairs.idx.length * factors * 4,
      run: () => device.score({ queries: pairQueries, items, pairs }),
    },
  ];
}

async function randomTable(device: ComputeDevice, rows: number, factors: number) {
  const table: FactorTable = await device.createTable(rows, factors);
  const values = randomRows(rows, factors);
  await device.write(table, 0, values);
  return { table, rows: values };
}

function randomRows(rows: number, factors: number): Float32Array {
  const random = createRandom(1, 7);
  const values = sharedFloat32(rows * factors);
  for (let i = 0; i < values.length; i++) values[i] = random.normal() / Math.sqrt(factors);
  return values;
}

function randomPairs(rows: number, cols: number): Csr {
  const random = createRandom(2, 7);
  const ptr = sharedInt32(rows + 1);
  const idx = sharedInt32(rows * PAIRS);
  const step = Math.floor(cols / PAIRS);
  for (let row = 0; row < rows; row++) {
    ptr[row + 1] = (row + 1) * PAIRS;
    for (let e = 0; e < PAIRS; e++) idx[row * PAIRS + e] = e * step + random.int(step);
  }
  return { rows, cols, ptr, idx };
}

function emptyRows(rows: number, cols: number): Csr {
  return { rows, cols, ptr: sharedInt32(rows + 1), idx: sharedInt32(0), values: sharedFloat32(0) };
}

/** The first rows, as many as make the work wanted. */
function blockOf({ users, flopsTarget }: KernelData, factors: number, solver: SolverOptions): Csr {
  let work = 0;
  let rows = 0;
  while (rows < users.rows && work < flopsTarget) {
    work += rowWork(users.ptr[rows + 1]! - users.ptr[rows]!, factors, solver);
    rows++;
  }
  return csrSlice(users, 0, rows);
}

function workOf(block: Csr, factors: number, solver: SolverOptions): number {
  let work = 0;
  for (let row = 0; row < block.rows; row++) {
    work += rowWork(block.ptr[row + 1]! - block.ptr[row]!, factors, solver);
  }
  return work;
}
