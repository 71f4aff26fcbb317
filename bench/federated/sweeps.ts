// Seconds of a sweep, central and federated, each by the processes that `stoa train` starts; and CPU seconds of all of
// them together, which do not depend on what else the machine does.

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';
import { median } from '../support/median.js';
import { runJson } from '../support/run-json.js';
import { childrenCpuSeconds } from './children-cpu.js';

export interface SweepSettings {
  /** Dataset folder. */
  data: string;
  /** Participants, and workers of the central training. */
  participants: number;
  factors: number;
  sweeps: number;
  repeats: number;
  device: string;
}

export type SweepKind = 'central' | 'federated' | 'masked';

export const SWEEP_KINDS: readonly SweepKind[] = ['central', 'federated', 'masked'];

export interface SweepCost {
  solver: string;
  kind: SweepKind;
  /** Median over all sweeps of all repeats but the first of each, which has its start in it. */
  sweep_s: number;
  /** Fastest: what is left when nothing else computes. */
  sweep_min_s: number;
  /** CPU of all processes: what a run takes beyond a run of one sweep, for each further sweep; median over repeats. */
  sweep_cpu_s: number;
  /** What is not sweeps: processes that start, data that is spread, models that are put together; the median. */
  rest_s: number;
  /** Payload of one participant in one sweep, the census and the last pull of the items included. */
  upload_bytes: number;
  download_bytes: number;
}

interface TrainRun {
  output: TrainOutput;
  sweepCpuSeconds: number;
}

interface TrainOutput {
  epoch_seconds: number[];
  seconds_total: number;
  federated?: { bytes_up: number; bytes_down: number };
}

/** Kinds take turns, so that what the machine does besides meets all alike. */
export function measureSweeps(solver: string, settings: SweepSettings): SweepCost[] {
  const runs = SWEEP_KINDS.map((): TrainRun[] => []);
  for (let repeat = 0; repeat < settings.repeats; repeat++) {
    for (const [n, kind] of SWEEP_KINDS.entries()) {
      console.error(`${solver}, ${kind}…`);
      const one = timed(() => train(solver, kind, { ...settings, sweeps: 1 }));
      const all = timed(() => train(solver, kind, settings));
      const sweepCpuSeconds = (all.cpuSeconds - one.cpuSeconds) / (settings.sweeps - 1);
      runs[n]!.push({ output: all.result, sweepCpuSeconds });
    }
  }
  return SWEEP_KINDS.map((kind, n) => costOf(solver, kind, runs[n]!));
}

function timed<T>(work: () => T): { result: T; cpuSeconds: number } {
  const before = childrenCpuSeconds();
  const result = work();
  return { result, cpuSeconds: childrenCpuSeconds() - before };
}

function train(solver: string, kind: SweepKind, o: SweepSettings): TrainOutput {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-sweeps-'));
  const set = {
    'ials.solver': solver,
    'ials.factors': o.factors,
    'train.epochs': o.sweeps,
    ...(kind === 'central'
      ? {}
      : { 'federated.masking': kind === 'masked', 'federated.cohort_min': o.participants }),
  };
  const who =
    kind === 'central'
      ? ['--workers', String(o.participants)]
      : ['--federated', '--participants', String(o.participants)];
  try {
    return runJson<TrainOutput>(process.execPath, [
      fileURLToPath(builtEntry('cli/main.js')),
      'train',
      ...['--data', o.data, '--out', path.join(folder, 'run'), '--threads', '1', '--device', o.device],
      ...who,
      ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
      '--json',
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function costOf(solver: string, kind: SweepKind, runs: readonly TrainRun[]): SweepCost {
  const seconds = runs.flatMap(({ output }) => output.epoch_seconds.slice(1));
  const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);
  const { federated, epoch_seconds } = runs[0]!.output;
  return {
    solver,
    kind,
    sweep_s: median(seconds),
    sweep_min_s: Math.min(...seconds),
    sweep_cpu_s: median(runs.map(({ sweepCpuSeconds }) => sweepCpuSeconds)),
    rest_s: median(runs.map(({ output }) => output.seconds_total - sum(output.epoch_seconds))),
    upload_bytes: (federated?.bytes_up ?? 0) / epoch_seconds.length,
    download_bytes: (federated?.bytes_down ?? 0) / epoch_seconds.length,
  };
}
