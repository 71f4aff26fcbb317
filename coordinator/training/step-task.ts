// What the schedule is told of a run that pushes and pulls.

import { FencedError } from '../../common/errors.js';
import type { RunPlan } from '../plan/plan-run.js';
import type { RunConfig } from '../plan/run-config.js';
import type { RunTask } from '../schedule/events.js';
import { clocksPerEpoch } from '../schedule/sync/clock-steps.js';
import { parseSyncMode, stepsPerClock } from '../schedule/sync/sync-mode.js';

interface StepTaskOptions {
  runId: string;
  config: RunConfig;
  plan: RunPlan;
  /** First epoch to do. */
  phaseStart: number;
  /** It was paused when the coordinator ended. */
  isPaused: boolean;
}

export function stepTask(options: StepTaskOptions, phaseEnd: number): RunTask {
  const { runId, config, plan, phaseStart, isPaused } = options;
  const mode = parseSyncMode(config['train.sync']);
  const clocksPerPhase = clocksPerEpoch(config['train.steps'], stepsPerClock(mode));
  const { blocks, factors } = plan;
  const sync = { mode, clocksPerPhase };
  const isDeterministic = config['train.deterministic'];
  const auditShare = config['train.audit_share'];
  const run = { runId, solver: 'sgd', isDeterministic, auditShare, factors, blocks } as const;
  return { ...run, isPaused, phaseStart, phaseEnd, sync };
}

/** Why a read is not answered. */
export function gone(block: number, clock: number): FencedError {
  return new FencedError(
    'STOA_LEASE_GONE',
    `clock ${clock} of block ${block} has been done, or the run is over`,
  );
}
