import { UsageError } from '../../common/errors.js';

/**
 * The steps of a round. Participants answer each once; what is summed comes with `upload`. The others are those of
 * secure aggregation (Bonawitz et al. 2017): `keys` and `shares` before, `confirm` (who signs which uploads are in) and
 * `reveal` (shares that take the masks off) after it.
 */
export type RoundStep = 'keys' | 'shares' | 'upload' | 'confirm' | 'reveal';

export interface RoundTiming {
  /** How long a step that costs participants nothing but an answer may take, ms. @default 10 s */
  readonly answerMs: number;
  /** How long participants have for `upload`, which includes their computing, ms. @default 10 min */
  readonly uploadMs: number;
  /** Silence after which a participant is absent: nobody waits for it any more, ms. @default 15 s */
  readonly presenceMs: number;
  /**
   * How long a sweep that could begin waits for participants that were in the one before and are not there, and the
   * first one for whoever comes, ms. @default 2 s
   */
  readonly gatherMs: number;
}

/** What a federation's run is to do; all of it stays as it is for the whole run. */
export interface RoundPlan {
  /** >= 1. */
  readonly sweeps: number;
  /** Rounds of a sweep, >= 1: its exchanges, or 1 for a gradient strategy. */
  readonly exchanges: number;
  /** The run begins with a round that counts interactions: sweep −1. */
  readonly hasCensus: boolean;
  /** All five steps; without, `upload` alone. */
  readonly isMasked: boolean;
  /** Fewer participants' sum is never made, >= 1. */
  readonly cohortMin: number;
  /** More are never asked in one round. */
  readonly cohortMax: number;
  readonly timing: RoundTiming;
}

/**
 * A day's institutions answer in seconds and compute for minutes. Shorter times drop participants that are only slow;
 * longer ones are how long a round waits, at most, for one that is connected and says nothing.
 */
export const DEFAULT_ROUND_TIMING: RoundTiming = {
  answerMs: 10_000,
  uploadMs: 600_000,
  presenceMs: 15_000,
  gatherMs: 2000,
};

const MASKED: readonly RoundStep[] = ['keys', 'shares', 'upload', 'confirm', 'reveal'];
const UNMASKED: readonly RoundStep[] = ['upload'];

export function stepsOf(plan: RoundPlan): readonly RoundStep[] {
  return plan.isMasked ? MASKED : UNMASKED;
}

/** Steps in which those who have enough answers need no more: the sum is settled by then. */
export function isSupporting(step: RoundStep): boolean {
  return step === 'confirm' || step === 'reveal';
}

/** ⌊2n/3⌋ + 1: how many of n participants it takes to open a masked sum, so that two thirds must be honest. */
export function unmaskThreshold(participants: number): number {
  return Math.floor((2 * participants) / 3) + 1;
}

/** @throws {UsageError} `STOA_USAGE`: names the setting. */
export function checkRoundPlan(plan: RoundPlan): void {
  const { timing } = plan;
  const least: readonly (readonly [string, number, number])[] = [
    ['sweeps', plan.sweeps, 1],
    ['exchanges', plan.exchanges, 1],
    ['cohortMin', plan.cohortMin, 1],
    ['cohortMax', plan.cohortMax, plan.cohortMin],
    ['answerMs', timing.answerMs, 1],
    ['uploadMs', timing.uploadMs, 1],
    ['presenceMs', timing.presenceMs, 1],
    ['gatherMs', timing.gatherMs, 0],
  ];
  for (const [field, value, min] of least) {
    if (Number.isInteger(value) && value >= min) continue;
    throw new UsageError(
      'STOA_USAGE',
      `${field} is ${value}: a whole number of at least ${min} was expected`,
      {
        fields: { field },
      },
    );
  }
}
