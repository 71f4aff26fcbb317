import { FencedError, UsageError } from '../../common/errors.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { PlacedResults } from '../holders/placed-results.js';
import { PlacedStepStore } from '../holders/placed-step-store.js';
import { hasReceipts } from '../holders/result-receipts.js';
import type { Fence } from '../leader/fence.js';
import { requireItemRows, type StepHost } from '../parameters/step-service.js';
import type { StepTables } from '../parameters/step-tables.js';
import { activeRun } from './parameter-host.js';
import type { Runs } from './runs.js';
import type { ScheduleHost } from './schedule-host.js';
import { StepTraining } from './step-training.js';

/** Connects the push/pull service with the run in progress and its schedule. */
export function stepHost(
  runs: Runs,
  host: ScheduleHost,
  { moved, fence }: { moved: StepHost['moved']; fence?: Fence },
): StepHost {
  return {
    read: async ({ runId, sessionId, block, clock, items }, signal) => {
      const training = stepTraining(runs, runId);
      const { plan } = training;
      host.requireSession(sessionId);
      if (block >= plan.blocks.users.length) throw noBlock(block, plan.blocks.users.length);
      return training.read({ block, clock, items: requireItemRows(items, plan.items) }, signal);
    },
    judge: (header) => {
      fence?.check();
      return host.judge(resultKey(header), header);
    },
    isAudited: (header) => host.isAudited(resultKey(header)),
    shapeOf: ({ runId, block }) => {
      const { plan } = stepTraining(runs, runId);
      const { rowStart, rowEnd } = plan.blocks.users[block]!;
      return { rowStart, rowEnd, columns: plan.factors, items: plan.items };
    },
    hasReceipts: (header) => hasReceipts(placedOf(stepTraining(runs, header.runId).store), header),
    deliver: (delivery) => {
      fence?.check();
      return host.deliver(delivery);
    },
    refuse: ({ sessionId, leaseId }, reason) => host.fail(sessionId, [leaseId], reason, false),
    moved,
  };
}

/** Undefined: the coordinator has the rows. */
function placedOf(store: StepTables): PlacedResults | undefined {
  return store instanceof PlacedStepStore ? store.placed.results : undefined;
}

/** @throws {FencedError} `STOA_CLOCK_GONE`: another run, or one of whole sides, is in progress. */
export function stepTraining(runs: Runs, runId: string): StepTraining {
  const { training } = activeRun(runs, runId);
  if (training instanceof StepTraining) return training;
  throw new FencedError(
    'STOA_CLOCK_GONE',
    `run ${runId} solves whole sides; it has no steps to pull or push`,
  );
}

function resultKey({ runId, block, clock }: StepHeader__Output) {
  return { runId, side: 'users' as const, block, clock: clock + 1 };
}

function noBlock(block: number, count: number): UsageError {
  return new UsageError('STOA_USAGE', `block ${block} is none of the run's ${count}`, {
    fields: { field: 'block' },
  });
}
