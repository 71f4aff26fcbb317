import { UsageError } from '../../common/errors.js';
import type { Delivery } from '../../coordinator/parameters/delivery.js';
import type { StepDelivery } from '../../coordinator/parameters/step-delivery.js';
import type { StepAnswer } from '../../coordinator/parameters/step-service.js';
import type { Disposition, Lease } from '../../coordinator/schedule/events.js';
import type { Schedule } from '../../coordinator/schedule/schedule.js';
import type { SimulatedFleet } from './simulated-fleet.js';
import type {
  SimulatedPhases,
  SimulatedPlacedPhases,
  SimulatedPlacedSteps,
  SimulatedSteps,
} from './simulated-training.js';

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
  phases?: SimulatedPhases | SimulatedPlacedPhases;
  steps?: SimulatedSteps<WaitingRead> | SimulatedPlacedSteps<WaitingRead>;
  nextId: number;
  isWriting: boolean;
  /** Where parameter processes have the rows. */
  fleet?: SimulatedFleet;
  placing?: PlacingState;
}

/** Of a run with its rows in parameter processes. */
export interface PlacingState {
  /** Ends the phase that is being committed. */
  commit?: () => void;
  /** Rows that are being read for a record, and who waits until they are there. */
  capture?: { readonly nextPhase: number; readonly waiting: (() => void)[] };
  /** Who waits for the write in progress. */
  afterWrite?: () => void;
  /** Somebody has asked for the stop that is under way. */
  isAsked: boolean;
}

/** @throws {UsageError} the run is not in progress yet. */
export function requireParts(life: Life, family: 'phases' | 'steps'): void {
  if (life[family] === undefined) throw new UsageError('STOA_USAGE', 'the run is not in progress');
}

/** @throws {UsageError} as `requireParts`. */
export function requirePhases(life: Life): NonNullable<Life['phases']> {
  requireParts(life, 'phases');
  return life.phases!;
}
