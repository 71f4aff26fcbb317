// The rounds of a federation at its coordinator: who is asked, how long is waited, what counts, what a restart goes on
// with. A pure machine: events and the time go in by `receive` and `tick`, effects come out by `drain`.

import { assert } from '../../common/errors.js';
import type { AnswerDisposition, RoundEffect, RoundEntry, RoundEvent, RoundKey } from './events.js';
import { Members } from './members.js';
import { Round } from './round.js';
import { checkRoundPlan, isSupporting, type RoundPlan, type RoundStep } from './round-plan.js';

type EventOf<T extends RoundEvent['type']> = Extract<RoundEvent, { type: T }>;

/**
 * - `idle`: no round is open; the next is the first of its sweep, once enough are there.
 * - `open`: a step waits for answers.
 * - `committing`, `cutting`: the rim makes the sum, or ends the sweep, and answers `committed`.
 */
type State = 'idle' | 'open' | 'committing' | 'cutting' | 'ended';

export class Rounds {
  readonly plan: RoundPlan;
  #state: State = 'idle';
  #effects: RoundEffect[] = [];
  #members = new Members();
  #round: Round | undefined;
  /** The round that is opened next; numbers only go up. */
  #next: RoundKey;
  /** Whom the rounds of the sweep in progress are about; undefined between sweeps. */
  #cohort: readonly string[] | undefined;
  #selections = 0;
  #cuts = 0;
  #isStopping = false;
  #isWaitingSaid = false;
  /** When a first round may begin; undefined while there are not enough participants. */
  #gatheredMs: number | undefined;
  /** Never goes back. */
  #nowMs = 0;

  /**
   * @param entries what a life before this one recorded, in order, from its last `opened` on or from further back. A
   *   round that was in progress goes on with the answers it had; its step has its whole time once more.
   * @throws {UsageError} the plan is none.
   */
  constructor(plan: RoundPlan, entries: readonly RoundEntry[], nowMs: number) {
    checkRoundPlan(plan);
    this.plan = plan;
    this.#nowMs = nowMs;
    this.#next = { round: 1, sweep: plan.hasCensus ? -1 : 0, exchange: 0 };
    for (const entry of entries) this.#replay(entry);
    // Nobody has had the time to come back: those a round is about are there until they are silent for too long.
    for (const id of this.#cohort ?? this.#round?.cohort ?? []) this.#members.hear(id, nowMs);
    if (this.#state === 'open') this.#openStep();
    else if (this.#state === 'committing') this.#announceComplete();
    else if (this.#state === 'cutting') this.#effects.push({ type: 'sweepCut', key: this.#round!.key });
    else if (this.#state === 'ended') this.#announceEnd();
    this.#progress();
  }

  /** The round in progress, to be read only. */
  get round(): Pick<Round, 'key' | 'cohort' | 'step' | 'deadlineMs'> | undefined {
    return this.#round;
  }

  get isEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Participants known, there or remembered. */
  get memberCount(): number {
    return this.#members.size;
  }

  /** What would become of an answer: nothing changes. The rim need not read the content of one that does not count. */
  judge(participantId: string, answer: { round: number; step: RoundStep }): AnswerDisposition {
    const { round, step } = answer;
    if (round >= this.#next.round) return 'foreign';
    if (this.#round === undefined || round !== this.#round.key.round) return 'late';
    const disposition = this.#round.judge(participantId, step);
    return disposition === 'accepted' && this.#state !== 'open' ? 'late' : disposition;
  }

  /**
   * What a participant is asked for and has not answered, if anything: for one that connects, and for one that may have
   * missed `stepOpened`.
   */
  wanted(participantId: string): { key: RoundKey; step: RoundStep; deadlineMs: number } | undefined {
    const round = this.#round;
    if (this.#state !== 'open' || round?.isAwaited(participantId) !== true) return undefined;
    return { key: round.key, step: round.step!, deadlineMs: round.deadlineMs };
  }

  receive(event: RoundEvent, nowMs: number): void {
    this.#passTime(nowMs);
    if ('participantId' in event) this.#members.hear(event.participantId, this.#nowMs);
    this.#dispatch(event);
    this.#progress();
  }

  /** Ends what is overdue. To be called a few times a second: a longer silence is taken for a pause of the process. */
  tick(nowMs: number): void {
    this.#passTime(nowMs);
    this.#members.expire(this.#nowMs - this.plan.timing.presenceMs);
    this.#progress();
  }

  /** The effects since the last call, to be carried out in this order. */
  drain(): RoundEffect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  #dispatch(event: RoundEvent): void {
    switch (event.type) {
      case 'heard':
        return;
      case 'left':
        this.#members.leave(event.participantId);
        return;
      case 'answered':
        this.#settle(event);
        return;
      case 'declined':
        if (event.round === this.#round?.key.round) this.#round.decline(event.participantId);
        return;
      case 'committed':
        this.#commit(event.round);
        return;
      case 'stop':
        this.#isStopping = true;
        return;
    }
  }

  #settle({ participantId, round, step, deliveryId }: EventOf<'answered'>): void {
    const disposition = this.judge(participantId, { round, step });
    if (disposition === 'accepted') {
      this.#round!.answer(participantId);
      this.#record({ type: 'answered', round, step, participantId });
    }
    this.#effects.push({ type: 'settled', deliveryId, participantId, disposition });
  }

  /** A coordinator that was frozen wakes up with messages unread: its own pause must make nobody absent or late. */
  #passTime(nowMs: number): void {
    const gapMs = nowMs - this.#nowMs;
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (gapMs <= this.plan.timing.presenceMs / 2) return;
    this.#members.forgive(gapMs);
    if (this.#round !== undefined) this.#round.deadlineMs += gapMs;
  }

  /** Goes on as far as it can. */
  #progress(): void {
    if (this.#isStopping && (this.#state === 'idle' || this.#state === 'open')) {
      this.#stop();
      return;
    }
    if (this.#state === 'idle') this.#openNext();
    while (this.#state === 'open') {
      const verdict = this.#round!.verdict((id) => this.#members.isPresent(id), this.#nowMs);
      if (verdict.type === 'open') return;
      if (verdict.type === 'fail') this.#fail(verdict.reason);
      else this.#close();
    }
  }

  #openNext(): void {
    if (this.#cohort !== undefined) this.#open(this.#cohort);
    else if (this.#isGathered()) {
      const { cohortMin, cohortMax } = this.plan;
      this.#gatheredMs = undefined;
      this.#isWaitingSaid = false;
      this.#selections++;
      const cohort = this.#members.select(this.#selections, { min: cohortMin, max: cohortMax });
      this.#members.selected(cohort, this.#selections);
      this.#open(cohort);
    }
  }

  /** Whether the first round of a sweep may begin. */
  #isGathered(): boolean {
    const { cohortMin, timing } = this.plan;
    const present = this.#members.presentCount;
    if (present < cohortMin) {
      this.#gatheredMs = undefined;
      if (!this.#isWaitingSaid) this.#effects.push({ type: 'waiting', present, wanted: cohortMin });
      this.#isWaitingSaid = true;
      return false;
    }
    this.#gatheredMs ??= this.#nowMs + timing.gatherMs;
    const isAnyoneExpected = this.#selections === 0 || this.#members.hasLost(this.#selections);
    return !isAnyoneExpected || this.#nowMs >= this.#gatheredMs;
  }

  #open(cohort: readonly string[]): void {
    const key = this.#next;
    this.#round = new Round(this.plan, key, cohort);
    this.#next = { ...key, round: key.round + 1 };
    this.#state = 'open';
    this.#record({
      type: 'opened',
      key,
      cohort,
      selections: this.#selections,
      cuts: this.#cuts,
      histories: this.#members.histories(),
    });
    this.#openStep();
  }

  #openStep(): void {
    const round = this.#round!;
    const step = round.step!;
    const { uploadMs, answerMs } = this.plan.timing;
    round.deadlineMs = this.#nowMs + (step === 'upload' ? uploadMs : answerMs);
    const { key, asked, deadlineMs } = round;
    this.#effects.push({ type: 'stepOpened', key, step, ask: asked, deadlineMs });
  }

  #close(): void {
    const round = this.#round!;
    const step = round.step!;
    // Whoever answered too late for a sum that stands without it missed nothing.
    if (!isSupporting(step)) this.#noteMisses(round);
    this.#record({ type: 'closed', round: round.key.round, step });
    round.close();
    if (round.step !== undefined) {
      this.#openStep();
      return;
    }
    this.#state = 'committing';
    this.#announceComplete();
  }

  #announceComplete(): void {
    const { key, contributors, helpers } = this.#round!;
    this.#effects.push({ type: 'roundComplete', key, contributors, helpers });
  }

  #noteMisses(round: Round): void {
    for (const id of round.asked) {
      if (round.judge(id, round.step!) !== 'duplicate') this.#members.missed(id, this.#selections);
    }
  }

  #fail(reason: string): void {
    const round = this.#round!;
    const { key } = round;
    this.#noteMisses(round);
    const isCut = key.exchange > 0;
    this.#record({ type: 'aborted', round: key.round, isCut });
    this.#effects.push({ type: 'roundAborted', key, reason });
    if (isCut) {
      this.#state = 'cutting';
      this.#effects.push({ type: 'sweepCut', key });
      return;
    }
    this.#round = undefined;
    this.#state = 'idle';
    this.#openNext();
  }

  #commit(round: number): void {
    const isExpected = this.#state === 'committing' || this.#state === 'cutting';
    assert(isExpected && this.#round?.key.round === round, `round ${round} is the one to be committed`);
    this.#record({ type: 'committed', round });
    this.#advance();
    if (this.#state === 'ended') this.#announceEnd();
  }

  #announceEnd(): void {
    this.#effects.push({ type: 'ended', outcome: 'completed', cuts: this.#cuts });
  }

  /** From a committed round to what comes next; says nothing. */
  #advance(): void {
    const { key, contributors } = this.#round!;
    const isCut = this.#state === 'cutting';
    if (isCut) this.#cuts++;
    const exchanges = key.sweep < 0 ? 1 : this.plan.exchanges;
    const isSweepOver = isCut || key.exchange + 1 === exchanges;
    if (isSweepOver && !isCut) for (const id of contributors) this.#members.completed(id);
    this.#cohort = isSweepOver ? undefined : contributors;
    this.#next = isSweepOver
      ? { round: key.round + 1, sweep: key.sweep + 1, exchange: 0 }
      : { round: key.round + 1, sweep: key.sweep, exchange: key.exchange + 1 };
    this.#round = undefined;
    this.#state = this.#next.sweep === this.plan.sweeps ? 'ended' : 'idle';
  }

  #stop(): void {
    if (this.#round !== undefined) {
      const { key } = this.#round;
      this.#effects.push({ type: 'roundAborted', key, reason: 'the run was stopped' });
      this.#round = undefined;
    }
    this.#state = 'ended';
    this.#effects.push({ type: 'ended', outcome: 'stopped', cuts: this.#cuts });
  }

  #record(entry: RoundEntry): void {
    this.#effects.push({ type: 'record', entry });
  }

  #replay(entry: RoundEntry): void {
    if (entry.type === 'opened') {
      this.#members = new Members(entry.histories);
      this.#selections = entry.selections;
      this.#cuts = entry.cuts;
      this.#round = new Round(this.plan, entry.key, entry.cohort);
      this.#next = { ...entry.key, round: entry.key.round + 1 };
      this.#state = 'open';
      return;
    }
    const round = this.#round;
    assert(
      round?.key.round === (entry as { round: number }).round,
      'entries are of the round that was opened last',
    );
    switch (entry.type) {
      case 'answered':
        round!.answer(entry.participantId);
        return;
      case 'closed':
        if (!isSupporting(entry.step)) this.#noteMisses(round!);
        round!.close();
        if (round!.step === undefined) this.#state = 'committing';
        return;
      case 'aborted':
        this.#noteMisses(round!);
        this.#state = entry.isCut ? 'cutting' : 'idle';
        if (!entry.isCut) this.#round = undefined;
        return;
      case 'committed':
        this.#advance();
        return;
    }
  }
}
