import { FencedError } from '../../common/errors.js';
import { sideOf } from '../../common/sides.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { PlacedResults } from '../holders/placed-results.js';
import { PlacedStore } from '../holders/placed-store.js';
import { hasReceipt } from '../holders/result-receipts.js';
import type { Fence } from '../leader/fence.js';
import type { Exchanges } from '../parameters/exchanges.js';
import { ParameterStore } from '../parameters/parameter-store.js';
import type { ParameterHost } from '../parameters/parameters-service.js';
import type { PhaseTables } from '../parameters/phase-tables.js';
import { gramAt } from '../parameters/table-reads.js';
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
    store: (runId) => localStore(phaseTraining(requireActive(runId)).store, runId),
    gram: (runId, side, clock) => gramAt(phaseTraining(requireActive(runId)).store, side, clock),
    hasReceipt: (header) => hasReceipt(placedOf(phaseTraining(requireActive(header.runId)).store), header),
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

/** @throws {FencedError} `STOA_CLOCK_GONE`: the rows are not here. */
function localStore(store: PhaseTables, runId: string): ParameterStore {
  if (store instanceof ParameterStore) return store;
  throw new FencedError(
    'STOA_CLOCK_GONE',
    `the rows of run ${runId} are in parameter processes; GetRunSpec says where`,
  );
}

/** Undefined: the coordinator has the rows. */
function placedOf(store: PhaseTables): PlacedResults | undefined {
  return store instanceof PlacedStore ? store.placed.results : undefined;
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
