// A run on this machine alone: a coordinator inside this process, workers as processes beside it.

import type { Logger } from 'pino';
import type { HostPort } from '../common/addresses.js';
import { StateError } from '../common/errors.js';
import type { Coordinator } from '../coordinator/coordinator.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import type { TrainResult } from '../coordinator/training/train-result.js';
import { deviceFacts } from '../models/device-facts.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import { chooseDevice } from '../worker/devices/device-registry.js';
import { openStepDevice } from '../worker/steps/step-device.js';
import { type Computation, computationLines } from './computation-lines.js';
import { needsOf } from './device-flags.js';
import { endProcess } from './fatal-end.js';
import { interruptible } from './interrupts.js';
import { type LiveDisplay, openDisplay } from './live-display.js';
import { startLocalParameters } from './local-parameters.js';
import type { LocalProcesses } from './local-processes.js';
import { startLocalWorkers } from './local-workers.js';
import { embeddedLogger, readableLogLine } from './logger.js';
import type { Output } from './output.js';
import { showRun } from './show-run.js';
import { withTemporaryFolder } from './temporary-folder.js';
import type { WorkerSettings } from './worker-flags.js';

export interface EmbeddedRun extends WorkerSettings {
  /** Dataset folder to train on. */
  dataset: string;
  test?: string;
  foldIn?: string;
  config: RunConfig;
  /** Folder of the run; it must not be there yet, unless the run is resumed. */
  runDir: string;
  resume?: boolean;
  /** Processes that keep the tables; 0: this one does. */
  parameters: number;
  /** Address of Prometheus metrics while it trains; absent: none. */
  metrics?: HostPort;
}

/**
 * Trains to the end. All processes are gone when it settles, however it ends.
 *
 * @throws {StateError} `STOA_INTERRUPTED` after Ctrl-C: a checkpoint was made.
 */
export async function runEmbedded(run: EmbeddedRun, output: Output): Promise<TrainResult> {
  const computes = await chooseComputation(run);
  return withTemporaryFolder(async (folder) => {
    const display = await openDisplay(output);
    // While this process loads what a coordinator needs, the workers load what they need.
    const workers = startLocalWorkers({
      count: run.workers,
      threads: run.threads,
      device: computes.name,
      isa: run.isa,
      isGpuRequired: run.isGpuRequired,
      cacheDir: `${folder}/cache`,
      isVerbose: output.modes.verbose,
      onLine: linesInto(display),
    });
    try {
      return await coordinate({ ...run, computes, stateDir: `${folder}/state` }, workers, output, display);
    } finally {
      await workers.stop();
      display.close();
    }
  });
}

async function coordinate(
  run: EmbeddedRun & { computes: Computation; stateDir: string },
  workers: LocalProcesses,
  output: Output,
  display: LiveDisplay,
): Promise<TrainResult> {
  const { startCoordinator } = await import('../coordinator/coordinator.js');
  // Warnings are said with --quiet too: a run that waits for room on the disk must not look as if it hung.
  const warn = (line: string) => (output.modes.quiet ? output.warn(line) : display.print(line));
  const log = embeddedLogger(output, 'coordinator', warn);
  const coordinator = await startCoordinator({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: run.metrics,
    stateDir: run.stateDir,
    isEphemeral: true,
    parameters: run.parameters,
    tls: {},
    log,
    onFatal: endProcess,
  });
  try {
    return await trainOn(coordinator, workers, run, output, display, log);
  } finally {
    await coordinator.shutdown();
  }
}

/** What a process says, under its name. */
function linesInto(display: LiveDisplay) {
  return (name: string, line: string) => display.print(`${name}: ${readableLogLine(line)}`);
}

/**
 * Chooses once for all workers, and says here what each of them would say: an unknown device, one that does not work,
 * or that lacks what the run needs.
 */
async function chooseComputation({ device: name, config, ...run }: EmbeddedRun): Promise<Computation> {
  const { threads, isa, isGpuRequired } = run;
  const needs = needsOf(config);
  const { device, ...choice } = await chooseDevice(name, { threads, isa, isGpuRequired, needs });
  const { info } = device;
  const steps = needs.solver === 'sgd' ? await openStepDevice(device, threads) : undefined;
  await steps?.dispose();
  await device.dispose();
  if (steps === undefined || steps.info === info) return { ...choice, facts: deviceFacts(info) };
  const reason = `${choice.name} has no kernels for steps of stochastic gradient descent`;
  return { ...choice, facts: deviceFacts(steps.info), reason };
}

async function trainOn(
  coordinator: Coordinator,
  workers: LocalProcesses,
  run: EmbeddedRun & { computes: Computation },
  output: Output,
  display: LiveDisplay,
  log: Logger,
): Promise<TrainResult> {
  const runId = await coordinator.submitLocal({
    dataset: run.dataset,
    test: run.test,
    foldIn: run.foldIn,
    config: run.config,
    runDir: run.runDir,
    resume: run.resume,
    expectedWorkers: run.workers,
  });
  log.debug({ run: runId }, 'submitted');
  for (const line of computationLines(run.computes, run.workers, output.modes.verbose)) display.print(line);
  workers.connect(coordinator.address);
  const parameters = startLocalParameters({
    coordinator: coordinator.address,
    count: run.parameters,
    isVerbose: output.modes.verbose,
    onLine: linesInto(display),
  });
  try {
    return await interruptible(
      (signal) =>
        untilEnd(coordinator, runId, { workers, parameters }, run, { signal, display, width: output.width }),
      () => display.print('stopping after a checkpoint; Ctrl-C once more ends at once'),
    );
  } finally {
    await Promise.all([workers.stop(), parameters.stop()]);
  }
}

async function untilEnd(
  coordinator: Coordinator,
  runId: string,
  { workers, parameters }: { workers: LocalProcesses; parameters: LocalProcesses },
  run: EmbeddedRun,
  watcher: { signal: AbortSignal; display: LiveDisplay; width: number },
): Promise<TrainResult> {
  const stop = (): void => {
    // Why it failed to stop, if it did, is what `result` says.
    coordinator.stopRun(runId).catch(() => {});
  };
  watcher.signal.addEventListener('abort', stop, { once: true });
  const shown = showRun(coordinator.watch(runId), watcher.display, watcher.width);
  const result = coordinator.result(runId);
  try {
    const trained = await Promise.race([result, workers.failed, parameters.failed]);
    await shown;
    return trained;
  } catch (error) {
    stop();
    await Promise.allSettled([result, shown]);
    if (!watcher.signal.aborted) throw error;
    throw interrupted(run, await shown.catch(() => undefined));
  }
}

function interrupted(run: EmbeddedRun, last: RunStatus__Output | undefined): StateError {
  const done = last === undefined ? '' : ` after ${last.epochsDone} of ${last.epochs} epochs`;
  return new StateError(
    'STOA_INTERRUPTED',
    `stopped${done}; go on with: stoa resume ${run.runDir} --workers ${run.workers}`,
    { fields: { run: run.runDir } },
  );
}
