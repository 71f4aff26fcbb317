// Does a device compute what it should, and how fast: one block with known equations, solved and looked at again.

import os from 'node:os';
import { messageOf } from '../common/errors.js';
import { createRandom, type Random } from '../common/random.js';
import type { Csr } from '../models/csr.js';
import type { BlockTask, ComputeDevice, IalsObjective, SolverOptions } from '../models/device.js';
import { packedGramOf, unpackGram } from '../models/gram.js';
import { rowWork } from '../models/ials/work.js';
import { openDevice } from '../worker/devices/device-registry.js';

export interface DeviceCheck {
  device: string;
  ok: boolean;
  /** Largest ‖Ax − b‖ / (‖A‖ ‖x‖ + ‖b‖) over the rows, in float64. */
  backward_error?: number;
  /** Billions of floating-point operations a second, all threads together. */
  gflops?: number;
  threads: number;
  /** The device in words, or why it does not work. */
  detail: string;
}

const ROWS = 256;
const COLUMNS = 500;
const FACTORS = 64;
const ENTRIES_MAX = 60;

/** What float32 rows can keep of a float64 solution, with room to spare. */
const BACKWARD_ERROR_MAX = 1e-6;

/** Long enough that the first calls, which are slow, do not count for much. */
const MEASURE_MS = 1000;

const OBJECTIVE: IalsObjective = {
  objective: 'ials',
  weights: 'binary',
  alpha0: 0.1,
  alpha: 1,
  regularization: 0.01,
  nu: 1,
};
const SOLVER: SolverOptions = { name: 'cholesky', cgSteps: 3, block: FACTORS };

/** Checks every device of this version. */
export async function checkDevices(): Promise<DeviceCheck[]> {
  return [await checkDevice('portable')];
}

async function checkDevice(name: 'portable'): Promise<DeviceCheck> {
  const threads = os.availableParallelism();
  try {
    const device = await openDevice(name, { threads });
    return await checkOpened(name, device).finally(() => device.dispose());
  } catch (error) {
    return { device: name, ok: false, threads, detail: messageOf(error) };
  }
}

async function checkOpened(name: string, device: ComputeDevice): Promise<DeviceCheck> {
  const task = await taskFor(device);
  const error = await backwardErrorOf(device, task);
  const gflops = await speedOf(device, task);
  const detail = device.info.name;
  const ok = error <= BACKWARD_ERROR_MAX;
  return { device: name, ok, backward_error: error, gflops, threads: device.info.threads, detail };
}

type CheckTask = BlockTask & { fixedRows: Float32Array };

async function taskFor(device: ComputeDevice): Promise<CheckTask> {
  const random = createRandom(1);
  const fixedRows = Float32Array.from({ length: COLUMNS * FACTORS }, () => random.normal() / 8);
  const fixed = await device.createTable(COLUMNS, FACTORS);
  await device.write(fixed, 0, fixedRows);
  const gram = unpackGram(packedGramOf(fixedRows, COLUMNS, FACTORS), FACTORS);
  const block = randomRows(random);
  return { block, fixed, fixedRows, gram, objective: OBJECTIVE, solver: SOLVER, wantLoss: false };
}

function randomRows(random: Random): Csr {
  const ptr = new Int32Array(ROWS + 1);
  const idx: number[] = [];
  for (let row = 0; row < ROWS; row++) {
    const columns = new Set<number>();
    const entries = 1 + random.int(ENTRIES_MAX);
    while (columns.size < entries) columns.add(random.int(COLUMNS));
    idx.push(...[...columns].sort((a, b) => a - b));
    ptr[row + 1] = idx.length;
  }
  return { rows: ROWS, cols: COLUMNS, ptr, idx: Int32Array.from(idx) };
}

async function backwardErrorOf(device: ComputeDevice, task: CheckTask): Promise<number> {
  const { rows } = await device.solveBlock(task);
  let worst = 0;
  for (let row = 0; row < ROWS; row++) {
    const solution = rows.subarray(row * FACTORS, (row + 1) * FACTORS);
    worst = Math.max(worst, rowBackwardError(task, row, solution));
  }
  return worst;
}

/** The row's equations put together plainly, (α₀G + Σyyᵀ + λI)x = Σy, and how far x is from solving them. */
function rowBackwardError({ block, fixedRows, gram }: CheckTask, row: number, x: Float32Array): number {
  const K = FACTORS;
  const matrix = gram.map((value) => OBJECTIVE.alpha0 * value);
  const right = new Float64Array(K);
  const entries = block.ptr[row + 1]! - block.ptr[row]!;
  const penalty = OBJECTIVE.regularization * (entries + OBJECTIVE.alpha0 * COLUMNS) ** OBJECTIVE.nu;
  for (let i = 0; i < K; i++) matrix[i * K + i]! += penalty;
  for (let at = block.ptr[row]!; at < block.ptr[row + 1]!; at++) {
    const y = fixedRows.subarray(block.idx[at]! * K, (block.idx[at]! + 1) * K);
    for (let i = 0; i < K; i++) {
      right[i]! += y[i]!;
      for (let j = 0; j < K; j++) matrix[i * K + j]! += y[i]! * y[j]!;
    }
  }
  const residual = right.map((value, i) => {
    let sum = -value;
    for (let j = 0; j < K; j++) sum += matrix[i * K + j]! * x[j]!;
    return sum;
  });
  return norm(residual) / (norm(matrix) * norm(x) + norm(right));
}

function norm(values: Iterable<number>): number {
  let squares = 0;
  for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

async function speedOf(device: ComputeDevice, task: BlockTask): Promise<number> {
  let flopsOfBlock = 0;
  for (let row = 0; row < ROWS; row++) {
    flopsOfBlock += rowWork(task.block.ptr[row + 1]! - task.block.ptr[row]!, FACTORS, SOLVER);
  }
  const startMs = performance.now();
  let blocks = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() - startMs < MEASURE_MS) {
      await device.solveBlock(task);
      blocks++;
    }
  };
  await Promise.all(Array.from({ length: device.capabilities.blocksInFlight }, lane));
  return (blocks * flopsOfBlock) / (performance.now() - startMs) / 1e6;
}
