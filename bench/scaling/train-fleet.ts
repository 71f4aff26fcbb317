// Trains once with a coordinator and workers as processes, and says what each of them spent.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { builtEntry } from '../../common/package-root.js';
import type { TrainLine, TrainRequest } from './coordinator-process.js';
import { processCpuSeconds } from './process-cpu.js';

export interface Fleet {
  workers: number;
  /** Of each worker. */
  threads: number;
  /** `auto`: rows go through memory on one machine; `grpc`: over the connection. */
  transfer: 'auto' | 'grpc';
  /** How rows stand in messages. @default `f32` */
  wire?: 'f32' | 'bf16';
}

export interface FleetRun {
  epochSeconds: number[];
  /** CPU seconds an epoch, without the first epoch, which also loads the data. */
  coordinatorCpu: number;
  workersCpu: number;
  /** Bytes of rows an epoch, by direction and way. */
  rowBytes: Record<string, number>;
  peakRssBytes: Record<string, number>;
  device: string;
  /** SHA-256 of the items' factors. */
  items: string;
}

export async function trainFleet(
  fleet: Fleet,
  request: Omit<TrainRequest, 'folder' | 'workers'> & { device: string },
): Promise<FleetRun> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stoa-bench-'));
  const children: ChildProcess[] = [];
  try {
    const settings = { ...request.settings, 'train.wire': fleet.wire ?? 'f32' };
    const run = { ...request, settings, folder, workers: fleet.workers } satisfies TrainRequest;
    const argument = JSON.stringify(run);
    const coordinator = start('bench/scaling/coordinator-process.js', [argument], fleet);
    children.push(coordinator);
    const cpu = new Map<number, { coordinator: number; workers: number }>();
    for await (const text of createInterface({ input: coordinator.stdout! })) {
      const line = JSON.parse(text) as TrainLine;
      if (line.event === 'listening') {
        for (let n = 1; n <= fleet.workers; n++)
          children.push(startWorker(n, line.port, fleet, folder, request.device));
      } else if (line.event === 'epochs') cpu.set(line.done, cpuOf(children));
      else return runOf(line, cpu);
    }
    throw new Error('the coordinator ended without a result');
  } finally {
    await Promise.all(children.map(endOf));
    rmSync(folder, { recursive: true, force: true });
  }
}

function startWorker(n: number, port: number, fleet: Fleet, folder: string, device: string): ChildProcess {
  const where = ['--coordinator', `127.0.0.1:${port}`, '--cache', path.join(folder, 'cache')];
  const what = ['--name', `worker-${n}`, '--threads', String(fleet.threads), '--device', device, '--quiet'];
  return start('cli/main.js', ['worker', ...where, ...what], fleet);
}

function start(entry: string, args: readonly string[], { transfer }: Fleet): ChildProcess {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const env = { ...process.env, STOA_TRANSFER: transfer };
  return spawn(process.execPath, [fileURLToPath(builtEntry(entry)), ...args], { stdio: [...stdio], env });
}

/** Workers leave by themselves when the coordinator goes; SIGTERM is for those that find none. */
async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await gone;
}

function cpuOf([coordinator, ...workers]: readonly ChildProcess[]): { coordinator: number; workers: number } {
  const of = (child: ChildProcess) => processCpuSeconds(child.pid!);
  return { coordinator: of(coordinator!), workers: workers.reduce((sum, child) => sum + of(child), 0) };
}

function runOf(
  { result, items, rowBytes }: Extract<TrainLine, { event: 'result' }>,
  cpu: ReadonlyMap<number, { coordinator: number; workers: number }>,
): FleetRun {
  // Statuses are throttled: the first and the last that were seen, and the epochs between them.
  const seen = [...cpu].sort(([a], [b]) => a - b);
  const [first, from] = seen[0]!;
  const [last, to] = seen.at(-1)!;
  const epochs = last - first;
  return {
    epochSeconds: result.epoch_seconds,
    coordinatorCpu: (to.coordinator - from.coordinator) / epochs,
    workersCpu: (to.workers - from.workers) / epochs,
    rowBytes: Object.fromEntries(
      Object.entries(rowBytes).map(([way, bytes]) => [way, bytes / result.epochs]),
    ),
    peakRssBytes: result.peak_rss_by_process,
    device: result.device,
    items,
  };
}
