import { csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, SolverOptions } from '../../models/device.js';
import { rowWork } from '../../models/ials/work.js';
import { type SampleProblem, sampleProblem } from './sample-problem.js';

/** A block of about 0.2 GFLOP, as plans have them: small blocks would measure what a call costs. */
const ROWS_MAX = 1024;
/** First blocks: what they take says how large a block a slow device should be given. */
const ROWS_FIRST = 64;
const BLOCK_MS = 60;
const FACTORS = 64;

const SOLVERS: readonly SolverOptions[] = [
  { name: 'cholesky', cgSteps: 1, block: FACTORS },
  { name: 'cg', cgSteps: 3, block: FACTORS },
];

let sample: SampleProblem | undefined;

/**
 * Measures how fast a device solves rows (K = 64, exactly where it can), with all that it can have in flight.
 *
 * @param measureMs how long, after two small blocks that do not count; at least one more block is solved.
 * @returns billions of floating-point operations a second, by the count of `rowWork`.
 * @throws whatever the device does: one that cannot solve this is of no use.
 */
export async function measureSpeed(device: ComputeDevice, measureMs = 150): Promise<number> {
  sample ??= sampleProblem({ rows: ROWS_MAX, factors: FACTORS });
  const { block, fixed } = sample;
  const { solvers, blocksInFlight } = device.capabilities;
  const solver = SOLVERS.find(({ name }) => solvers.has(name)) ?? SOLVERS[0]!;
  const table = await device.createTable(block.cols, FACTORS);
  try {
    await device.write(table, 0, fixed);
    const trial = { device, table, solver };
    await solveRows(trial, sample, ROWS_FIRST);
    const firstMs = await solveRows(trial, sample, ROWS_FIRST);
    const rows = Math.max(ROWS_FIRST, Math.min(ROWS_MAX, Math.floor((ROWS_FIRST * BLOCK_MS) / firstMs)));
    const startMs = performance.now();
    let blocks = 0;
    const problem = sample;
    const lane = async (): Promise<void> => {
      do {
        await solveRows(trial, problem, rows);
        blocks++;
      } while (performance.now() - startMs < measureMs);
    };
    await Promise.all(Array.from({ length: blocksInFlight }, lane));
    const work = workOf(block.ptr.subarray(0, rows + 1), solver);
    return (blocks * work) / (performance.now() - startMs) / 1e6;
  } finally {
    table.dispose();
  }
}

/** Solves the first rows. @returns milliseconds. */
async function solveRows(
  { device, table, solver }: { device: ComputeDevice; table: FactorTable; solver: SolverOptions },
  { block, gram, prior, objective, factors }: SampleProblem,
  rows: number,
): Promise<number> {
  const startMs = performance.now();
  await device.solveBlock({
    block: csrSlice(block, 0, rows),
    fixed: table,
    gram,
    prior: prior.subarray(0, rows * factors),
    objective,
    solver,
    wantLoss: false,
  });
  return performance.now() - startMs;
}

function workOf(ptr: Int32Array, solver: SolverOptions): number {
  let work = 0;
  for (let row = 0; row + 1 < ptr.length; row++) work += rowWork(ptr[row + 1]! - ptr[row]!, FACTORS, solver);
  return work;
}
