// What goes into the schedule and what comes out of it. The rim turns calls and timers into events and carries
// effects out, in their order.

import type { Side } from '../../models/csr.js';
import type { GatherPrecision, SolverName } from '../../models/device.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import type { SyncMode } from './sync/sync-mode.js';

/** All blocks of one side of one epoch. */
export interface Phase {
  /** 2 × epoch for users, 2 × epoch + 1 for items. */
  readonly index: number;
  readonly epoch: number;
  /** The side that is solved. */
  readonly side: Side;
  /** Clock at which the other side is read. */
  readonly fixedClock: number;
  /** Clock of the solved side before the phase; it is `priorClock` + 1 after it. */
  readonly priorClock: number;
}

export interface SessionInfo {
  readonly sessionId: string;
  /** For people; need not be unique. */
  readonly name: string;
  readonly threads: number;
  readonly solvers: readonly string[];
  /** Precisions of the gather; none means f32 only. */
  readonly gathers: readonly string[];
  /** Sessions with equal keys give equal bits; '' promises nothing. */
  readonly reproducibilityKey: string;
  /** Of its steps of stochastic gradient descent, where something else does them. @default `reproducibilityKey` */
  readonly stepKey?: string;
  /** Speed measured before it joined, GFLOP/s; 0: unknown. */
  readonly gflops: number;
  readonly factorsMax: number;
}

/** What the schedule needs to know of a run. */
export interface RunTask {
  readonly runId: string;
  readonly solver: SolverName | 'sgd';
  /** @default f32 */
  readonly gather?: GatherPrecision;
  /** Only workers that give the bits of the first one take part. @default false */
  readonly isDeterministic?: boolean;
  /** Share of the blocks that two workers compute, where their bits must be equal, 0 to 1. @default 0 */
  readonly auditShare?: number;
  readonly factors: number;
  readonly blocks: { readonly users: readonly PlanBlock[]; readonly items: readonly PlanBlock[] };
  /** First phase to do: 0, or where a checkpoint left off. */
  readonly phaseStart: number;
  /** One past the last phase. */
  readonly phaseEnd: number;
  /**
   * Of a run that pushes and pulls: a phase is an epoch of the users' blocks, each of which does `clocksPerPhase`
   * clocks of it, as the mode allows. Absent: a phase is one side, each block once.
   */
  readonly sync?: { readonly mode: SyncMode; readonly clocksPerPhase: number };
}

export interface Lease {
  /** Never used twice by one schedule. */
  readonly leaseId: number;
  readonly runId: string;
  readonly sessionId: string;
  readonly phase: Phase;
  readonly block: PlanBlock;
  readonly grantedMs: number;
  /** After this the lease is gone and the block is free again. */
  readonly deadlineMs: number;
  /** The second lease of a block whose first one is late. */
  readonly isBackup: boolean;
}

/** What a result says of itself: compared with the phase in progress. */
export interface ResultKey {
  readonly runId: string;
  readonly side: Side;
  readonly block: number;
  /** Clock that the rows belong to. */
  readonly clock: number;
  /** Of all its numbers: equal results have equal ones. Only looked at where `RunProgress.isAudited`. */
  readonly digest?: number;
}

export type ScheduleEvent =
  | { readonly type: 'workerJoined'; readonly session: SessionInfo }
  | { readonly type: 'heartbeat'; readonly sessionId: string }
  | {
      readonly type: 'leaseRequested';
      readonly sessionId: string;
      readonly requestId: string;
      readonly count: number;
      /** How long the request may wait for something to lend. */
      readonly waitMs: number;
    }
  | {
      readonly type: 'blockDone';
      readonly sessionId: string;
      readonly leaseId: number;
      readonly result: ResultKey;
      /** Comes back in `blockSettled`. */
      readonly deliveryId: number;
    }
  | {
      readonly type: 'blockFailed';
      readonly sessionId: string;
      readonly leaseIds: readonly number[];
      /** Why, for people. */
      readonly reason: string;
      /** The block would fail anywhere: do not try again. */
      readonly isFatal: boolean;
    }
  | { readonly type: 'leasesReturned'; readonly sessionId: string; readonly leaseIds: readonly number[] }
  | { readonly type: 'workerLeft'; readonly sessionId: string }
  | { readonly type: 'runStarted'; readonly run: RunTask }
  | { readonly type: 'phaseCommitted' }
  /** Nothing more is lent until `resume`; what is lent may still be delivered. */
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'stop' };

/** `witnessed`: compared with what another worker gets, and not stored itself. */
export type Disposition = 'accepted' | 'duplicate' | 'stale' | 'witnessed';

export type ScheduleEffect =
  | {
      readonly type: 'leasesGranted';
      readonly sessionId: string;
      readonly requestId: string;
      /** Empty when there was nothing to lend in time. */
      readonly leases: readonly Lease[];
    }
  | {
      readonly type: 'requestRefused';
      readonly sessionId: string;
      readonly requestId: string;
      /** `session-over`: register again. `unsuitable`: the device cannot solve this run's blocks. */
      readonly reason: 'session-over' | 'unsuitable';
      readonly message: string;
    }
  | {
      readonly type: 'blockSettled';
      readonly deliveryId: number;
      readonly disposition: Disposition;
      readonly sessionId: string;
      /** The lease of an accepted block. */
      readonly lease?: Lease;
    }
  | { readonly type: 'leaseExpired'; readonly lease: Lease }
  | { readonly type: 'sessionEnded'; readonly session: SessionInfo; readonly leases: readonly Lease[] }
  /** The worker gets no more blocks of this run; its leases are over. */
  | { readonly type: 'workerQuarantined'; readonly session: SessionInfo; readonly reason: string }
  | { readonly type: 'phaseOpened'; readonly phase: Phase }
  /** All blocks are in. The rim commits the phase and answers `phaseCommitted`. */
  | { readonly type: 'phaseCompleted'; readonly phase: Phase }
  | {
      readonly type: 'runEnded';
      readonly runId: string;
      readonly outcome: 'completed' | 'stopped' | 'failed';
      /** Why it failed, one sentence. */
      readonly reason?: string;
    };
