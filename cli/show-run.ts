import type { RunStatus__Output } from '../proto/generated/stoa/training/v1/RunStatus.js';
import type { LiveDisplay } from './live-display.js';
import { runFrame } from './progress.js';

/** Shows every status of a run until it ends, and answers the last one that had workers at work, with its end. */
export async function showRun(
  statuses: AsyncIterable<RunStatus__Output>,
  display: LiveDisplay,
  width: number,
): Promise<RunStatus__Output | undefined> {
  let last: RunStatus__Output | undefined;
  for await (const status of statuses) {
    display.show(runFrame(status, width, last));
    // A run that has ended has no workers any more; what they were is still worth telling.
    const workers = status.workers.length > 0 ? status.workers : (last?.workers ?? []);
    last = { ...status, workers };
  }
  return last;
}
