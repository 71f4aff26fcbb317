// A run on a coordinator elsewhere: send the data, submit, watch, fetch what it made.

import path from 'node:path';
import { TrainingClient } from '../client/index.js';
import { parseAddresses } from '../common/addresses.js';
import { StateError } from '../common/errors.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import type { TrainResult } from '../coordinator/training/train-result.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import { interruptible } from './interrupts.js';
import { type LiveDisplay, openDisplay } from './live-display.js';
import type { Output } from './output.js';
import { showRun } from './show-run.js';
import { type TlsFlags, tlsOf } from './tls-flags.js';
import { workFrames } from './work-frames.js';

/** It has answered before: should it be gone now, it is being started again. */
const WHILE_IT_RESTARTS = { isPatient: true, deadlineMs: 60_000 };

export interface RemoteRun {
  dataset: string;
  test?: string;
  /** Histories of held-out users: a coordinator does not take them, so nothing is evaluated there. */
  foldIn?: string;
  config: RunConfig;
  /** Folder to fetch the run into. */
  runDir: string;
}

/**
 * Trains on a coordinator and fetches the run's files. Ctrl-C leaves the run to the coordinator.
 *
 * @throws {StateError} `STOA_RUN_FAILED`, `STOA_INTERRUPTED`.
 */
export async function runRemotely(
  run: RemoteRun,
  coordinator: string,
  tls: TlsFlags,
  output: Output,
): Promise<TrainResult> {
  parseAddresses(coordinator, '--coordinator');
  const client = new TrainingClient({ address: coordinator, ...tlsOf(tls) });
  const display = await openDisplay(output);
  try {
    const datasetFingerprint = await upload(client, run.dataset, display);
    const test = run.foldIn === undefined ? run.test : undefined;
    const testFingerprint = test === undefined ? undefined : await upload(client, test, display);
    const runId = await client.submitRun(
      { datasetFingerprint, testFingerprint, config: run.config },
      WHILE_IT_RESTARTS,
    );
    display.print(`run ${runId} is with ${coordinator}`);
    const last = await watchToEnd(client, runId, coordinator, { display, width: output.width });
    const result = resultOf(last);
    await client.fetchRunFiles(runId, run.runDir);
    if (run.foldIn !== undefined) output.remark(`not evaluated: use stoa eval ${run.runDir} --data SPLIT`);
    return { ...result, model_dir: path.join(run.runDir, 'model') };
  } finally {
    display.close();
    client.close();
  }
}

function upload(client: TrainingClient, dataset: string, display: LiveDisplay): Promise<string> {
  const frames = workFrames();
  return client.uploadDataset(dataset, (done, total) =>
    display.show(frames({ phase: `sending ${dataset}`, done, total })),
  );
}

async function watchToEnd(
  client: TrainingClient,
  runId: string,
  coordinator: string,
  { display, width }: { display: LiveDisplay; width: number },
): Promise<RunStatus__Output> {
  return interruptible(async (signal) => {
    try {
      const last = await showRun(client.watchRun(runId, { signal }), display, width);
      return last ?? (await client.getRun(runId, WHILE_IT_RESTARTS));
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new StateError(
        'STOA_INTERRUPTED',
        `left run ${runId}, which goes on; fetch it with: stoa runs fetch ${runId} --coordinator ${coordinator} --out RUN`,
        { fields: { run: runId } },
      );
    }
  });
}

function resultOf(last: RunStatus__Output): TrainResult {
  if (last.state === 'RUN_STATE_SUCCEEDED') return JSON.parse(last.resultJson) as TrainResult;
  if (last.state === 'RUN_STATE_STOPPED') {
    throw new StateError(
      'STOA_RUN_STATE',
      `run ${last.runId} was stopped after ${last.epochsDone} of ${last.epochs} epochs; it made no model`,
      { fields: { run: last.runId } },
    );
  }
  throw new StateError('STOA_RUN_FAILED', `run ${last.runId} failed: ${last.error}`, {
    fields: { run: last.runId },
  });
}
