import { StateError } from '../../common/errors.js';
import type { Run } from './run.js';
import type { ScheduleHost } from './schedule-host.js';

/**
 * Pauses a run that trains, or lets it go on: nothing is lent meanwhile, what is lent may still be delivered. Safe to
 * repeat. Kept before it resolves: a coordinator that starts again finds the run as it was left.
 *
 * @throws {StateError} `STOA_RUN_STATE`: the run does not train now. Errors of the journal.
 */
export async function pauseRun(run: Run, host: ScheduleHost, isPaused: boolean): Promise<void> {
  requireTraining(run, host, isPaused);
  await run.keepPaused(isPaused);
  // It may have ended meanwhile, and another begun.
  requireTraining(run, host, isPaused);
  if (isPaused) host.pause();
  else host.resume();
  run.notify();
}

function requireTraining(run: Run, host: ScheduleHost, isPaused: boolean): void {
  if (host.schedule.run?.task.runId === run.id) return;
  const verb = isPaused ? 'pause' : 'let go on';
  const state = run.state === 'running' ? (run.stage === '' ? 'between phases' : run.stage) : run.state;
  throw new StateError(
    'STOA_RUN_STATE',
    `run ${run.id} does not train now (${state}); there is nothing to ${verb}`,
    { fields: { run: run.id } },
  );
}
