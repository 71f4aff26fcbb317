import { FencedError } from '../../common/errors.js';
import { sideOf } from '../../common/sides.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { Fence } from '../leader/fence.js';
import type { Exchanges } from '../parameters/exchanges.js';
import type { ParameterHost } from '../parameters/parameters-service.js';
import { PhaseTraining } from './phase-training.js';
import type { ActiveRun, Runs } from './runs.js';
import type { ScheduleHost } from './schedule-host.js';

/** Connects the parameters' service with the run in progress and its schedule. */
export function parameterHost(
  runs: Runs,
  host: ScheduleHost,
  { exchanges, moved, fence }: { exchanges: Exchanges; moved: ParameterHost['moved']; fence?: Fence },
): ParameterHost {
  const requireActive = (runId: string) => activeRun(runs, runId);
  return {
    store: (runId) => phaseTraining(requireActive(runId)).store,
    judge: (header) => {
      fence?.check();
      sideOf(header.side);
      return host.judge(resultKey(header), header);
    },
    isAudited: (header) => host.isAudited(resultKey(header)),
    shapeOf: (header) => {
      const { plan } = requireActive(header.runId).training;
      const { rowStart, rowEnd } = plan.blocks[sideOf(header.side)][header.block]!;
      return { rowStart, rowEnd, factors: plan.factors };
    },
    deliver: (delivery) => {
      fence?.check();
      return host.deliver(delivery);
    },
    exchange: (sessionId) => {
      const plan = runs.active?.training.plan;
      return plan && exchanges.get(sessionId, plan);
    },
    moved,
    refuse: ({ sessionId, leaseId }, reason) => host.fail(sessionId, [leaseId], reason, false),
  };
}

/** @throws {FencedError} `STOA_CLOCK_GONE`: the run in progress pushes and pulls. */
function phaseTraining({ run, training }: ActiveRun): PhaseTraining {
  if (training instanceof PhaseTraining) return training;
  throw new FencedError('STOA_CLOCK_GONE', `run ${run.id} has no tables by phase; pull and push its steps`);
}

/** @throws {FencedError} `STOA_CLOCK_GONE`: another run, or none, is in progress. */
export function activeRun(runs: Runs, runId: string): ActiveRun {
  const { active } = runs;
  if (active?.run.id === runId) return active;
  throw new FencedError('STOA_CLOCK_GONE', `run ${runId} is not in progress`, {
    fields: { field: 'run_id' },
  });
}

function resultKey({ runId, side, block, clock }: BlockHeader__Output) {
  return { runId, side: sideOf(side), block, clock };
}
