import { UsageError } from '../../common/errors.js';
import type { Delivery } from '../../coordinator/parameters/delivery.js';
import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import type { StepAnswer } from '../../coordinator/parameters/step-service.js';
import type { Disposition, Lease } from '../../coordinator/schedule/events.js';
import type { Schedule } from '../../coordinator/schedule/schedule.js';
import type { SimulatedPhases, SimulatedSteps } from './simulated-training.js';

/** What a caller gets: an answer, or the code of an error. */
export type Reply<T> = { readonly value: T } | { readonly error: string };

export interface WaitingRead {
  readonly block: number;
  readonly clock: number;
  readonly reply: (reply: Reply<StepAnswer>) => void;
}

/** What dies with a coordinator's process. */
export interface Life {
  readonly number: number;
  readonly schedule: Schedule;
  readonly leaseReplies: Map<string, ((reply: Reply<readonly Lease[]>) => void)[]>;
  readonly deliveries: Map<number, { delivery: Delivery | StepDelivery; disposition?: Disposition }>;
  phases?: SimulatedPhases;
  steps?: SimulatedSteps<WaitingRead>;
  nextId: number;
  isWriting: boolean;
}

/** @throws {UsageError} the run is not in progress yet. */
export function requireParts(life: Life, family: 'phases' | 'steps'): void {
  if (life[family] === undefined) throw new UsageError('STOA_USAGE', 'the run is not in progress');
}

/** @throws {UsageError} as `requireParts`. */
export function requirePhases(life: Life): SimulatedPhases {
  requireParts(life, 'phases');
  return life.phases!;
}
