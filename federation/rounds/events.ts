// What goes into the rounds of a federation and what comes out. The rim turns calls and timers into events and carries
// effects out, in their order: an effect is begun only when the one before it is done, a `record` when it is on disk.

import type { RoundStep } from './round-plan.js';

/** Which sum a round is about. */
export interface RoundKey {
  /** Never used twice in a run, whatever becomes of the round. */
  readonly round: number;
  /** −1: the census. */
  readonly sweep: number;
  readonly exchange: number;
}

export type RoundEvent =
  /** A participant connected, or said that it is there: it may be selected, and is waited for. */
  | { readonly type: 'heard'; readonly participantId: string }
  | { readonly type: 'left'; readonly participantId: string }
  /** An answer came in whole and is what such an answer must be; its content is kept under (round, step, sender). */
  | {
      readonly type: 'answered';
      readonly participantId: string;
      readonly round: number;
      readonly step: RoundStep;
      /** Comes back in `settled`. */
      readonly deliveryId: number;
    }
  /** The participant will not answer in this round: its policy forbids it, or it lost what it needs. */
  | { readonly type: 'declined'; readonly participantId: string; readonly round: number }
  /** What `roundComplete` or `sweepCut` asked for is on disk. */
  | { readonly type: 'committed'; readonly round: number }
  | { readonly type: 'stop' };

/**
 * `accepted`: it counts. `duplicate`: it counted already. `late`: the step or its round is over; it changes nothing but
 * that its sender is there for the next round. `foreign`: nobody asked the sender for it.
 */
export type AnswerDisposition = 'accepted' | 'duplicate' | 'late' | 'foreign';

/** What is written down, to be read again after a restart: see `Rounds`. */
export type RoundEntry =
  /** All that is known of the run as a round begins: what was written before is not needed any more. */
  | {
      readonly type: 'opened';
      readonly key: RoundKey;
      readonly cohort: readonly string[];
      /** First rounds of sweeps so far, this one included. */
      readonly selections: number;
      /** Sweeps that were cut so far. */
      readonly cuts: number;
      readonly histories: readonly MemberHistory[];
    }
  | {
      readonly type: 'answered';
      readonly round: number;
      readonly step: RoundStep;
      readonly participantId: string;
    }
  /** Nobody else's answer to the step counts. */
  | { readonly type: 'closed'; readonly round: number; readonly step: RoundStep }
  | { readonly type: 'aborted'; readonly round: number; readonly isCut: boolean }
  | { readonly type: 'committed'; readonly round: number };

/** What is remembered of a participant, there or not. */
export interface MemberHistory {
  readonly participantId: string;
  /** Rounds missed since it was last in all rounds of a sweep. */
  readonly misses: number;
  /** Not selected before this selection. */
  readonly benchedUntil: number;
  /** The last selection it was in; 0: none. */
  readonly selectedAt: number;
}

export type RoundEffect =
  | { readonly type: 'record'; readonly entry: RoundEntry }
  /** `ask` are to answer a step, with what the rim has for them. */
  | {
      readonly type: 'stepOpened';
      readonly key: RoundKey;
      readonly step: RoundStep;
      readonly ask: readonly string[];
      readonly deadlineMs: number;
    }
  | {
      readonly type: 'settled';
      readonly deliveryId: number;
      readonly participantId: string;
      readonly disposition: AnswerDisposition;
    }
  /** The sum of the contributors' uploads may be made. The rim makes of it what it is for and answers `committed`. */
  | {
      readonly type: 'roundComplete';
      readonly key: RoundKey;
      /** Ascending: the order in which uploads are summed. */
      readonly contributors: readonly string[];
      /** Those who answered the last step, ascending. */
      readonly helpers: readonly string[];
    }
  /** No sum is made, nothing of the round counts; what came in is thrown away. */
  | { readonly type: 'roundAborted'; readonly key: RoundKey; readonly reason: string }
  /**
   * The sweep ends with the exchanges before this round's: see `ItemSweep.cut`. The rim ends it, answers `committed`.
   */
  | { readonly type: 'sweepCut'; readonly key: RoundKey }
  /** A round cannot begin: fewer participants than `cohortMin` are there. Said once, until one begins. */
  | { readonly type: 'waiting'; readonly present: number; readonly wanted: number }
  | {
      readonly type: 'ended';
      readonly outcome: 'completed' | 'stopped';
      /** Sweeps that were cut. */
      readonly cuts: number;
    };
