// Runs as `stoa runs` shows them, whether they lie in folders or with a coordinator.

import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { NotFoundError } from '../common/errors.js';
import type { RunConfig } from '../coordinator/plan/run-config.js';
import { RunFolder } from '../coordinator/training/run-folder.js';
import type { TrainResult } from '../coordinator/training/train-result.js';
import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';

/** One run, as `runs ls --json` has it. */
export interface RunEntry {
  /** What to call it by: its folder, or its id at a coordinator. */
  run: string;
  run_id: string;
  /** `queued`, `running`, `succeeded`, `failed` or `stopped`. */
  state: string;
  /** ISO 8601, UTC. */
  create_time: string;
  /** Known for folders. */
  settings?: RunConfig;
  /** The `train --json` document of a run that has succeeded. */
  result?: TrainResult;
  /** Why it failed. */
  error?: string;
}

/** The runs among a folder and the folders in it, newest first. @throws {NotFoundError} there is no such folder. */
export async function runsUnder(folder: string): Promise<RunEntry[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `there is no folder ${folder}; give one that holds runs`, {
      fields: { file: folder },
      cause: error,
    });
  });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => path.join(folder, name));
  const runs: RunEntry[] = [];
  for (const candidate of [folder, ...folders]) {
    if (await isRun(candidate)) runs.push(await readRun(candidate));
  }
  return runs.sort((a, b) => b.create_time.localeCompare(a.create_time));
}

/** @throws {NotFoundError} `STOA_NOT_FOUND_RUN`. */
export async function readRun(folder: string): Promise<RunEntry> {
  const { record, config } = await new RunFolder(folder).read();
  return {
    run: folder,
    run_id: record.run_id,
    state: record.state,
    create_time: record.create_time,
    settings: config,
    result: await readResult(folder),
    error: record.error,
  };
}

export function runOfStatus(status: RunStatus__Output): RunEntry {
  const seconds = Number(status.createTime?.seconds ?? 0);
  return {
    run: status.runId,
    run_id: status.runId,
    state: status.state.replace('RUN_STATE_', '').toLowerCase(),
    create_time: seconds === 0 ? '' : new Date(seconds * 1000).toISOString(),
    result: status.resultJson === '' ? undefined : (JSON.parse(status.resultJson) as TrainResult),
    error: status.error === '' ? undefined : status.error,
  };
}

async function isRun(folder: string): Promise<boolean> {
  return stat(path.join(folder, 'run.json')).then(
    (found) => found.isFile(),
    () => false,
  );
}

async function readResult(folder: string): Promise<TrainResult | undefined> {
  const text = await readFile(path.join(folder, 'result.json'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as TrainResult);
}
