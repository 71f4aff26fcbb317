// What the deliveries of production ask of their coordinator, answered by a simulated one.

import { UsageError } from '../../common/errors.js';
import { sideOf } from '../../common/sides.js';
import { hasReceipt, hasReceipts } from '../../coordinator/holders/result-receipts.js';
import type { Delivery } from '../../coordinator/parameters/delivery.js';
import { ParameterStore } from '../../coordinator/parameters/parameter-store.js';
import type { ParameterHost } from '../../coordinator/parameters/parameters-service.js';
import type { PhaseTables } from '../../coordinator/parameters/phase-tables.js';
import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import type { StepHost } from '../../coordinator/parameters/step-service.js';
import { gramAt } from '../../coordinator/parameters/table-reads.js';
import type { Disposition } from '../../coordinator/schedule/events.js';
import { type Life, requirePhases } from './simulated-life.js';
import { FACTORS, type SimulatedPlan } from './simulated-plan.js';

/** What happens to a delivery in the end. */
export interface Rim {
  readonly plan: SimulatedPlan;
  deliver(delivery: Delivery | StepDelivery): Disposition;
  refuse(sessionId: string, leaseId: number, reason: string): void;
}

export function parameterHostOf(life: Life, { plan, deliver, refuse }: Rim): ParameterHost {
  return {
    store: () => localStore(requirePhases(life).store),
    gram: (_runId, side, clock) => gramAt(requirePhases(life).store, side, clock),
    hasReceipt: (header) => hasReceipt(life.fleet?.tables?.results, header),
    judge: ({ runId, side, block, clock, ...from }) =>
      life.schedule.judge({ runId, side: sideOf(side), block, clock }, from),
    isAudited: ({ runId, side, block, clock }) =>
      life.schedule.run?.isAudited({ runId, side: sideOf(side), block, clock }) ?? false,
    shapeOf: ({ side, block }) => {
      const { rowStart, rowEnd } = plan.blocks[sideOf(side)][block]!;
      return { rowStart, rowEnd, factors: FACTORS };
    },
    deliver,
    exchange: () => undefined,
    moved: () => {},
    refuse: ({ sessionId, leaseId }, reason) => refuse(sessionId, leaseId, reason),
  };
}

/** @throws {UsageError} the rows are not here. */
function localStore(store: PhaseTables): ParameterStore {
  if (store instanceof ParameterStore) return store;
  throw new UsageError('STOA_USAGE', 'the rows are in parameter processes');
}

export function stepHostOf(life: Life, { plan, deliver, refuse }: Rim): StepHost {
  return {
    read: () => Promise.reject(new UsageError('STOA_USAGE', 'reads are asked for by pullStep')),
    judge: ({ runId, block, clock, ...from }) =>
      life.schedule.judge({ runId, side: 'users', block, clock: clock + 1 }, from),
    hasReceipts: (header) => hasReceipts(life.fleet?.tables?.results, header),
    isAudited: ({ runId, block, clock }) =>
      life.schedule.run?.isAudited({ runId, side: 'users', block, clock: clock + 1 }) ?? false,
    shapeOf: ({ block }) => {
      const { rowStart, rowEnd } = plan.blocks.users[block]!;
      return { rowStart, rowEnd, columns: life.steps!.columns, items: plan.rows.items };
    },
    deliver,
    refuse: ({ sessionId, leaseId }, reason) => refuse(sessionId, leaseId, reason),
    moved: () => {},
  };
}
