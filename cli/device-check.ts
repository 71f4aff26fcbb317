// Does a device compute what it should, and how fast: a block solved by every solver it has, held against float64.

import os from 'node:os';
import { messageOf } from '../common/errors.js';
import type { ComputeDevice, DeviceFactory, InstructionSet, SolverOptions } from '../models/device.js';
import { type DeviceFacts, deviceFacts } from '../models/device-facts.js';
import { referenceConjugateGradients } from '../models/reference/conjugate-gradients.js';
import { backwardError, referenceSystem } from '../models/reference/solve-rows.js';
import { subspaceBackwardError } from '../models/reference/subspace.js';
import { DEVICE_FACTORIES } from '../worker/devices/device-registry.js';
import { isGpu } from '../worker/devices/is-gpu.js';
import { measureSpeed } from '../worker/devices/measure-speed.js';
import { type SampleProblem, sampleProblem } from '../worker/devices/sample-problem.js';
import { descentError } from './descent-check.js';

export interface DeviceCheck extends Partial<Omit<DeviceFacts, 'device'>> {
  /** As `--device` takes it. */
  device: string;
  /** It works here, and right. */
  ok: boolean;
  /** A real GPU. */
  gpu: boolean;
  /** The worst of `errors`. */
  backward_error?: number;
  /** For each solver, and model that it has steps for, the worst error; see `SOLVERS` for what it is and may be. */
  errors?: Record<string, number>;
  /** Billions of floating-point operations a second, all threads together. */
  gflops?: number;
  /** Most bytes one factor table may have. */
  table_bytes_max?: number;
  /** The device in words, or why it does not work. */
  detail: string;
  /** What to do where it does not work. */
  remedy?: string;
  /** All that it says of itself. */
  facts?: Readonly<Record<string, string | number | boolean>>;
}

const ROWS = 24;
/** Not a multiple of the block of ials++ below. */
const FACTORS = 40;

interface SolverCheck {
  options: SolverOptions;
  /** What float32 arithmetic can keep, with room to spare. */
  errorMax: number;
  errorOf: (problem: SampleProblem, rows: Float32Array) => number;
}

const SOLVERS: readonly SolverCheck[] = [
  // ‖Ax − b‖ / (‖A‖ ‖x‖ + ‖b‖) of the row's system.
  { options: { name: 'cholesky', cgSteps: 1, block: FACTORS }, errorMax: 1e-6, errorOf: exactError },
  // Distance to the row after the same steps in float64, as a part of the row.
  { options: { name: 'cg', cgSteps: 3, block: FACTORS }, errorMax: 2e-3, errorOf: stepError },
  // As for cholesky, of each block's part of the system.
  { options: { name: 'ials++', cgSteps: 1, block: 16 }, errorMax: 1e-6, errorOf: subspaceError },
];

/** Of `errors`, models that descend: a number's distance after a few dozen samples, as a part of the greatest. */
const DESCENT_ERROR_MAX = 1e-5;
const DESCENT_MODELS = ['bpr', 'mf'] as const;

/** Checks every device of this version, and every provider of those that have several. */
export async function checkDevices(
  isa?: InstructionSet,
  factories: readonly DeviceFactory[] = DEVICE_FACTORIES,
): Promise<DeviceCheck[]> {
  const checks: DeviceCheck[] = [];
  for (const factory of factories) {
    for (const provider of factory.providers ?? [undefined]) {
      checks.push(await checkDevice(factory, provider, isa));
    }
  }
  return checks;
}

async function checkDevice(
  factory: DeviceFactory,
  provider: string | undefined,
  isa: InstructionSet | undefined,
): Promise<DeviceCheck> {
  const { kind } = factory;
  const name = provider === undefined ? kind : `${kind}:${provider}`;
  try {
    const probe = await factory.probe(provider === undefined ? undefined : { provider });
    if (!probe.ok) return { device: name, ok: false, gpu: false, detail: probe.reason, remedy: probe.remedy };
    const threads = os.availableParallelism();
    const device = await factory.open({ threads, provider, isa: kind === 'native' ? isa : undefined });
    return await checkOpened(name, device).finally(() => device.dispose());
  } catch (error) {
    const remedy = 'see docs/gpu.md for GPUs; "stoa doctor --verbose" shows the causes';
    return { device: name, ok: false, gpu: false, detail: messageOf(error), remedy };
  }
}

async function checkOpened(name: string, device: ComputeDevice): Promise<DeviceCheck> {
  const { info, capabilities } = device;
  const { device: _, ...facts } = deviceFacts(info);
  const errors = await errorsOf(device);
  const isWrong = (name: string, errorMax: number) => !((errors[name] ?? 0) <= errorMax);
  const wrong = [
    ...SOLVERS.filter(({ options, errorMax }) => isWrong(options.name, errorMax)).map(
      (one) => one.options.name,
    ),
    ...DESCENT_MODELS.filter((model) => isWrong(model, DESCENT_ERROR_MAX)),
  ];
  const about = {
    device: name,
    ...facts,
    gpu: isGpu(info),
    backward_error: Math.max(...SOLVERS.map(({ options }) => errors[options.name] ?? 0)),
    errors,
    table_bytes_max: capabilities.tableBytesMax,
    facts: info.detail,
  };
  if (wrong.length > 0) {
    const solvers = wrong.join(', ');
    const remedy = 'do not train on it; please report it with this output';
    return { ...about, ok: false, detail: `${info.name} computes wrong rows with ${solvers}`, remedy };
  }
  return { ...about, ok: true, gflops: await measureSpeed(device, 500), detail: info.name };
}

/** The worst error for each solver, and each model by steps, that the device has kernels for. */
async function errorsOf(device: ComputeDevice): Promise<Record<string, number>> {
  const problem = sampleProblem({ rows: ROWS, factors: FACTORS });
  const { block, fixed, gram, prior, objective } = problem;
  const table = await device.createTable(block.cols, FACTORS);
  const errors: Record<string, number> = {};
  try {
    await device.write(table, 0, fixed);
    for (const { options: solver, errorOf } of SOLVERS) {
      if (!device.capabilities.solvers.has(solver.name)) continue;
      const task = { block, fixed: table, gram, prior, objective, solver, wantLoss: false };
      const { rows } = await device.solveBlock(task);
      errors[solver.name] = errorOf(problem, rows);
    }
    for (const model of device.descent === undefined ? [] : DESCENT_MODELS) {
      errors[model] = await descentError(device.descent!, block, { factors: FACTORS, model });
    }
  } finally {
    table.dispose();
  }
  return errors;
}

function exactError(problem: SampleProblem, rows: Float32Array): number {
  return worstRow((row) => backwardError(systemOf(problem, row), rowOf(rows, row)));
}

function subspaceError(problem: SampleProblem, rows: Float32Array): number {
  return worstRow((row) =>
    subspaceBackwardError(systemOf(problem, row), 16, rowOf(rows, row), rowOf(problem.prior, row)),
  );
}

function stepError({ block, fixed, objective, prior }: SampleProblem, rows: Float32Array): number {
  const expected = referenceConjugateGradients(block, fixed, FACTORS, objective, 3, prior);
  return worstRow((row) => {
    const wanted = rowOf(expected, row);
    const distance = rowOf(rows, row).map((value, k) => value - wanted[k]!);
    return Math.hypot(...distance) / Math.hypot(...wanted);
  });
}

function systemOf({ block, fixed, objective, gram }: SampleProblem, row: number) {
  return referenceSystem(block, row, fixed, FACTORS, objective, gram);
}

function rowOf<T extends Float32Array | Float64Array>(rows: T, row: number): T {
  return rows.subarray(row * FACTORS, (row + 1) * FACTORS) as T;
}

/** A NaN among them is the answer. */
function worstRow(errorOf: (row: number) => number): number {
  return Math.max(...Array.from({ length: ROWS }, (_, row) => errorOf(row)));
}
