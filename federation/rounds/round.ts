import type { AnswerDisposition, RoundKey } from './events.js';
import { isSupporting, type RoundPlan, type RoundStep, stepsOf, unmaskThreshold } from './round-plan.js';

/** What is to become of a step. */
export type StepVerdict =
  | { readonly type: 'open' }
  | { readonly type: 'close' }
  /** Too few are left, or not those of the sweep. */
  | { readonly type: 'fail'; readonly reason: string };

/** One round in progress: who was asked for what, and who answered. */
export class Round {
  readonly key: RoundKey;
  readonly cohort: readonly string[];
  readonly #plan: RoundPlan;
  readonly #steps: readonly RoundStep[];
  readonly #members: ReadonlySet<string>;
  /** Answers by step; only those of the step in progress may grow. */
  readonly #answered: Set<string>[];
  readonly #declined = new Set<string>();
  /** Steps that are closed, 0 to all. */
  #closed = 0;
  #asked: readonly string[];
  /** All of `#asked` before this one have answered or declined. */
  #settled = 0;
  /** The step in progress ends then at the latest. */
  deadlineMs = 0;

  constructor(plan: RoundPlan, key: RoundKey, cohort: readonly string[]) {
    this.#plan = plan;
    this.#steps = stepsOf(plan);
    this.key = key;
    this.cohort = cohort;
    this.#asked = cohort;
    this.#members = new Set(cohort);
    this.#answered = this.#steps.map(() => new Set());
  }

  /** The step in progress; undefined when all are closed. */
  get step(): RoundStep | undefined {
    return this.#steps[this.#closed];
  }

  /** Who is to answer the step in progress, ascending: the cohort, or those who answered the step before. */
  get asked(): readonly string[] {
    return this.#asked;
  }

  /** Whose uploads the sum is of, ascending. */
  get contributors(): readonly string[] {
    return [...this.#answered[this.#steps.indexOf('upload')]!].sort();
  }

  /** Those who answered the last step, ascending. */
  get helpers(): readonly string[] {
    return [...this.#answered.at(-1)!].sort();
  }

  /** Whether its answer to the step in progress is still wanted. */
  isAwaited(participantId: string): boolean {
    if (this.step === undefined || this.#declined.has(participantId)) return false;
    return this.#isAsked(participantId) && !this.#answered[this.#closed]!.has(participantId);
  }

  /** What would become of an answer in this round. */
  judge(participantId: string, step: RoundStep): AnswerDisposition {
    const at = this.#steps.indexOf(step);
    if (at < 0 || at > this.#closed) return 'foreign';
    if (this.#answered[at]!.has(participantId)) return 'duplicate';
    if (at < this.#closed) return 'late';
    if (!this.#isAsked(participantId)) return 'foreign';
    return this.#declined.has(participantId) ? 'late' : 'accepted';
  }

  answer(participantId: string): void {
    this.#answered[this.#closed]!.add(participantId);
  }

  decline(participantId: string): void {
    if (this.isAwaited(participantId)) this.#declined.add(participantId);
  }

  close(): void {
    this.#asked = [...this.#answered[this.#closed]!].sort();
    this.#closed++;
    this.#settled = 0;
  }

  /** @param isPresent whether a participant is there to be waited for. */
  verdict(isPresent: (participantId: string) => boolean, nowMs: number): StepVerdict {
    const { step } = this;
    if (step === undefined) return { type: 'open' };
    const answers = this.#answered[this.#closed]!.size;
    const least = this.#least(step);
    const isEnough = isSupporting(step) && answers >= least;
    const isWaiting = nowMs < this.deadlineMs && this.#isAnyAwaited(isPresent);
    if (!isEnough && isWaiting) return { type: 'open' };
    if (answers < least) {
      return {
        type: 'fail',
        reason: `${answers} of ${this.cohort.length} are left in step ${step}, ${least} are needed`,
      };
    }
    return { type: 'close' };
  }

  #isAnyAwaited(isPresent: (participantId: string) => boolean): boolean {
    const asked = this.#asked;
    while (this.#settled < asked.length && !this.isAwaited(asked[this.#settled]!)) this.#settled++;
    for (let at = this.#settled; at < asked.length; at++) {
      if (this.isAwaited(asked[at]!) && isPresent(asked[at]!)) return true;
    }
    return false;
  }

  /** How many answers a step needs. */
  #least(step: RoundStep): number {
    // Later rounds of a sweep are over the cohort of its first: other sums would not fit those that came before.
    if (this.key.exchange > 0 && !isSupporting(step)) return this.cohort.length;
    const { cohortMin, isMasked } = this.#plan;
    if (!isMasked) return cohortMin;
    // Of all who were asked: they are the cohort that the terms of a masked sum name, and its shares are for.
    const threshold = unmaskThreshold(this.cohort.length);
    return isSupporting(step) ? threshold : Math.max(cohortMin, threshold);
  }

  #isAsked(participantId: string): boolean {
    const before = this.#answered[this.#closed - 1];
    return (before ?? this.#members).has(participantId);
  }
}
