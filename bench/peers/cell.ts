// One cell of the comparison: an engine trains one setting, in processes of its own.

import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtEntry, packageRoot } from '../../common/package-root.js';
import type { GatherPrecision, SolverName } from '../../models/device.js';
import { peerVariables } from '../support/python-environment.js';
import { runJson } from '../support/run-json.js';
import type { KernelEpochs, KernelEpochsRequest } from './kernel-epochs.js';
import type { Problem } from './problem.js';
import type { RecommendAll, RecommendAllRequest } from './recommend-all.js';

const CG_STEPS = 3;
export const RECOMMENDED = 20;

export interface Setting {
  factors: number;
  solver: Extract<SolverName, 'cg' | 'cholesky'>;
  threads: number;
  epochs: number;
  /** Of Stoa; implicit always takes three. @default 3 */
  cgSteps?: number;
}

export interface Trained {
  epoch_seconds: number[];
  peak_rss_bytes: number;
  /** What computed, in words. */
  device: string;
}

export interface Judged {
  loss: number;
  recall: number;
}

export interface Bench {
  problem: Problem;
  python: string;
  device: string;
  gather: GatherPrecision;
  /** Scratch folder. */
  folder: string;
}

/** Trains with implicit; leaves its factors in `out`. */
export function trainImplicit({ problem, python }: Bench, setting: Setting, out: string): Trained {
  mkdirSync(out, { recursive: true });
  const { factors, solver, threads, epochs } = setting;
  const penalty = problem.objective.regularization;
  const trained = runJson<Omit<Trained, 'device'> & { blas: string[] }>(
    python,
    [
      script('implicit_train.py'),
      problem.folder,
      out,
      ...[factors, solver, threads, epochs, penalty].map(String),
    ],
    peerVariables(threads),
  );
  return { ...trained, device: trained.blas.join(', ') };
}

/** Trains with `stoa train`, one worker, as a user would; leaves its factors in `out`. */
export function trainStoa(
  { problem, device, gather, folder }: Bench,
  setting: Setting,
  out: string,
): Trained {
  const { factors, solver, threads, epochs, cgSteps = CG_STEPS } = setting;
  const settings = {
    ...problem.settings,
    'ials.factors': factors,
    'ials.solver': solver,
    'ials.cg_steps': cgSteps,
    ...(solver === 'cg' ? { 'ials.gather': gather } : {}),
    'train.epochs': epochs,
  };
  const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const run = path.join(folder, 'run');
  rmSync(run, { recursive: true, force: true });
  rmSync(out, { recursive: true, force: true });
  const where = ['--workers', '1', '--threads', String(threads), '--device', device];
  const trained = stoa<Trained>(['train', '--data', problem.data.train, '--out', run, ...where, ...sets]);
  stoa(['export', run, '--format', 'npy', '--out', out]);
  rmSync(run, { recursive: true, force: true });
  return trained;
}

/** Trains with the device alone, without a coordinator. */
export function trainKernels({ problem, device, gather }: Bench, setting: Setting): KernelEpochs {
  const { factors, solver, threads, epochs } = setting;
  const request: KernelEpochsRequest = {
    dataset: problem.data.train,
    device,
    threads,
    objective: problem.objective,
    solver: { name: solver, cgSteps: CG_STEPS, block: factors, gather },
    items: problem.items,
    factors,
    epochs,
  };
  return runJson<KernelEpochs>(process.execPath, [entry('kernel-epochs'), JSON.stringify(request)]);
}

export function judge({ problem, python }: Bench, factorsFolder: string): Judged {
  const penalty = String(problem.objective.regularization);
  return runJson<Judged>(python, [script('evaluate.py'), problem.folder, factorsFolder, penalty]);
}

/** Recommends by the factors in `folder`, with implicit. */
export function recommendImplicit(bench: Bench, folder: string, threads: number, users: number) {
  return runJson<{ seconds: number; users: number }>(
    bench.python,
    [
      script('implicit_recommend.py'),
      bench.problem.folder,
      folder,
      ...[RECOMMENDED, threads, users].map(String),
    ],
    peerVariables(threads),
  );
}

/** Recommends by the same factors, with our device; compares with what implicit left in `folder`. */
export function recommendStoa(
  { problem, device }: Bench,
  folder: string,
  { factors, threads }: Setting,
  users: number,
): RecommendAll {
  const dataset = problem.data.train;
  const request: RecommendAllRequest = { dataset, device, threads, folder, factors, n: RECOMMENDED, users };
  return runJson<RecommendAll>(process.execPath, [entry('recommend-all'), JSON.stringify(request)]);
}

function stoa<T>(args: readonly string[]): T {
  const program = fileURLToPath(builtEntry('cli/main.js'));
  return runJson<T>(process.execPath, [program, ...args, '--json', '--quiet']);
}

function script(name: string): string {
  return path.join(packageRoot, 'bench/peers', name);
}

function entry(name: string): string {
  return fileURLToPath(builtEntry(`bench/peers/${name}.js`));
}
