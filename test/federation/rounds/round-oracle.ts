// Looks at every decision of the rounds and keeps books of its own.

import { censusSums } from '../../../federation/ials/census.js';
import type { RoundEffect, RoundEntry, RoundKey } from '../../../federation/rounds/events.js';
import type { RoundStep } from '../../../federation/rounds/round-plan.js';
import type { Rounds } from '../../../federation/rounds/rounds.js';
import { applyRound, cutSweep, type ItemSide, initialSide, operandOf } from './item-side.js';
import type { Answer } from './simulated-host.js';
import { institutionData, type SimulatedPlan, uploadOf } from './simulated-plan.js';

type EffectOf<T extends RoundEffect['type']> = Extract<RoundEffect, { type: T }>;

/** What counted: a round with its contributors, or the end of a sweep before its last round. */
type HistoryEntry = { readonly key: RoundKey; readonly contributors: readonly string[] } | 'cut';

/** Ticks come every 200 ms; a clock that is read as going back, and one that is fast or slow, show as a little more. */
const SLACK_MS = 1500;

/** The round in progress, as its effects told. */
interface Open {
  readonly key: RoundKey;
  readonly cohort: readonly string[];
  step: string;
  ask: readonly string[];
  /** By the coordinator's time. */
  openedMs: number;
  /** Forgiven since: the coordinator was frozen or gone. */
  forgivenMs: number;
  /** Of these, pauses that the coordinator must have noticed. */
  pausedMs: number;
  readonly accepted: Map<string, Set<string>>;
  readonly declined: Set<string>;
}

export class RoundOracle {
  readonly #plan: SimulatedPlan;
  readonly #nowMs: () => number;
  readonly #rate: number;
  readonly #slackMs: number;
  violation: string | undefined;
  #open: Open | undefined;
  #lastRound = 0;
  /** Uploads that their senders were told count, by round. */
  readonly #promised = new Map<number, Set<string>>();
  /** Rounds that counted, in order: what the factors are to be. */
  readonly #history: HistoryEntry[] = [];
  #pending: { round: number; entry: HistoryEntry } | undefined;
  /** The last round that is written; a coordinator that died meanwhile completes it once more. */
  #applied = 0;
  #sweepCohort: readonly string[] = [];
  #next = { sweep: -1, exchange: 0 };
  /** When each was heard; pauses of the coordinator do not count as silence. */
  readonly #heardMs = new Map<string, number>();
  /** The same, where only pauses that are noticed for certain do not count. */
  readonly #surelyHeardMs = new Map<string, number>();
  /** The same, as it was. */
  readonly #reallyHeardMs = new Map<string, number>();
  /** Missed in a row, and the selection after which it may be asked again. */
  readonly #bench = new Map<string, { misses: number; until: number }>();
  #selection = 0;
  /** When the opening of a round was decided, last. */
  readonly #decidedMs = new Map<number, number>();
  /** The same of its steps, by round and step: their time runs from then. */
  readonly #stepDecidedMs = new Map<string, number>();
  /** Who declined a round before its opening was carried out, by round. */
  readonly #earlyDeclined = new Map<number, Set<string>>();
  /** Answers as the coordinator knows them, written down or not, by round and step. */
  readonly #inMemory = new Map<string, Set<string>>();
  readonly #selectedAt = new Map<string, number>();

  /** @param o how fast the coordinator's clock goes, and how far it is read as going back, ms. */
  constructor(plan: SimulatedPlan, nowMs: () => number, { rate, backMs }: { rate: number; backMs: number }) {
    this.#plan = plan;
    this.#nowMs = nowMs;
    this.#rate = rate;
    this.#slackMs = SLACK_MS + backMs;
  }

  get rounds(): number {
    return this.#history.length;
  }

  wrong(what: string): void {
    this.violation ??= `${what} (at ${this.#nowMs().toFixed(0)} ms)`;
  }

  #expect(condition: boolean, what: () => string): void {
    if (!condition) this.wrong(what());
  }

  heard(id: string): void {
    this.#heardMs.set(id, this.#nowMs());
    this.#surelyHeardMs.set(id, this.#nowMs());
    this.#reallyHeardMs.set(id, this.#nowMs());
  }

  left(id: string): void {
    this.#heardMs.delete(id);
    this.#surelyHeardMs.delete(id);
    this.#reallyHeardMs.delete(id);
  }

  declined(id: string, round: number): void {
    if (this.#open?.key.round !== round) {
      const early = this.#earlyDeclined.get(round) ?? new Set<string>();
      this.#earlyDeclined.set(round, early.add(id));
    } else if (!this.#open.accepted.get(this.#open.step)?.has(id)) this.#open.declined.add(id);
  }

  /** A new life of the coordinator: whoever was there counts as there, and a step has its whole time again. */
  started(): void {
    for (const id of this.#heardMs.keys()) {
      this.#heardMs.set(id, this.#nowMs());
      this.#surelyHeardMs.set(id, this.#nowMs());
    }
    this.#reallyHeardMs.clear();
    this.#earlyDeclined.clear();
    if (this.#open === undefined) return;
    this.#open.declined.clear();
    this.#open.openedMs = this.#nowMs();
    this.#open.forgivenMs = 0;
    this.#open.pausedMs = 0;
  }

  frozen(forMs: number): void {
    // A pause that is as long as this is noticed for certain.
    const isNoticed = forMs > 0.7 * this.#plan.rounds.timing.presenceMs;
    if (this.#open !== undefined) {
      this.#open.forgivenMs += forMs;
      if (isNoticed) this.#open.pausedMs += forMs;
    }
    if (isNoticed) for (const [id, ms] of this.#surelyHeardMs) this.#surelyHeardMs.set(id, ms + forMs);
    for (const [id, ms] of this.#heardMs) this.#heardMs.set(id, ms + forMs);
  }

  /** An effect as the machine decides it, before it is carried out; a crash may undo it. */
  decided(effect: RoundEffect): void {
    if (effect.type === 'stepOpened')
      this.#stepDecidedMs.set(`${effect.key.round} ${effect.step}`, this.#nowMs());
    if (effect.type !== 'record') return;
    if (effect.entry.type === 'answered') {
      const { round, step, participantId } = effect.entry;
      const answers = this.#inMemory.get(`${round} ${step}`) ?? new Set<string>();
      this.#inMemory.set(`${round} ${step}`, answers.add(participantId));
    }
    if (effect.entry.type === 'closed') this.#expectPatience(effect.entry.round, effect.entry.step);
    if (effect.entry.type === 'aborted') this.#expectPatience(effect.entry.round);
    if (effect.entry.type !== 'opened') return;
    const { key, cohort } = effect.entry;
    const { cohortMin, cohortMax } = this.#plan.rounds;
    this.#expect(cohort.length >= cohortMin, () => `round ${key.round} asks ${cohort.length} participants`);
    this.#expect(new Set(cohort).size === cohort.length, () => `round ${key.round} asks somebody twice`);
    this.#expect(cohort.length <= cohortMax, () => `round ${key.round} asks more than ${cohortMax}`);
    this.#expect(key.round > this.#lastRound, () => `round ${key.round} comes after ${this.#lastRound}`);
    this.#expect(this.#pending === undefined, () => `round ${key.round} opens before what was is written`);
    const { sweep, exchange } = this.#next;
    this.#expect(
      key.sweep === sweep && key.exchange === exchange,
      () => `round ${key.round} is ${key.sweep}.${key.exchange} where ${sweep}.${exchange} comes next`,
    );
    this.#decidedMs.set(key.round, this.#nowMs());
    if (exchange > 0) {
      this.#expect(
        cohort.join() === this.#sweepCohort.join(),
        () => `the cohort of sweep ${sweep} changes in round ${key.round}`,
      );
    }
  }

  /** A step that ends without one who is there ends with its time, and not before. */
  #expectPatience(round: number, step?: RoundStep): void {
    const open = this.#open;
    if (open?.key.round !== round || (step ?? open.step) !== open.step) return;
    if (open.step === 'confirm' || open.step === 'reveal') return;
    const { timing } = this.#plan.rounds;
    const nowMs = this.#nowMs();
    const least = (open.step === 'upload' ? timing.uploadMs : timing.answerMs) / this.#rate - this.#slackMs;
    const decidedMs = this.#stepDecidedMs.get(`${round} ${open.step}`) ?? open.openedMs;
    if (nowMs - Math.min(decidedMs, open.openedMs) - open.pausedMs >= least) return;
    // A life that begins while its clock is read as early takes later readings for time that has passed.
    const surelyMs = Math.min(timing.presenceMs / 2, timing.presenceMs / this.#rate - this.#slackMs);
    const isAnswered = this.#inMemory.get(`${round} ${open.step}`);
    const left = open.ask.find(
      (id) =>
        !isAnswered?.has(id) &&
        !open.declined.has(id) &&
        nowMs - (this.#surelyHeardMs.get(id) ?? -1e9) < surelyMs,
    );
    this.#expect(left === undefined, () => `step ${open.step} of round ${round} did not wait for ${left}`);
  }

  stepOpened({ key, step, ask, deadlineMs: _ }: EffectOf<'stepOpened'>): void {
    if (this.#open?.key.round !== key.round) {
      // The entry is on disk: from now on the number is used, whatever happens.
      this.#lastRound = key.round;
      this.#open = {
        key,
        cohort: ask,
        step,
        ask,
        openedMs: 0,
        forgivenMs: 0,
        pausedMs: 0,
        accepted: new Map(),
        declined: new Set(this.#earlyDeclined.get(key.round)),
      };
    }
    const open = this.#open!;
    const before =
      step === 'shares' ? 'keys' : step === 'upload' ? 'shares' : step === 'confirm' ? 'upload' : 'confirm';
    if (open.accepted.has(before) && step !== open.step) {
      const known = [...open.accepted.get(before)!];
      this.#expect(
        known.every((id) => ask.includes(id)),
        () => `step ${step} leaves out one whose answer counted`,
      );
    }
    open.step = step;
    open.ask = ask;
    open.openedMs = this.#nowMs();
    open.forgivenMs = 0;
    open.pausedMs = 0;
  }

  /** An entry is on disk. */
  recorded(entry: RoundEntry): void {
    if (entry.type === 'opened' && entry.key.exchange === 0) {
      this.#expectChoice(entry.cohort, entry.selections, this.#decidedMs.get(entry.key.round)!);
      this.#selection = entry.selections;
      for (const id of entry.cohort) this.#selectedAt.set(id, entry.selections);
    }
    const isSupported = entry.type === 'closed' && (entry.step === 'confirm' || entry.step === 'reveal');
    if ((entry.type === 'closed' && !isSupported) || entry.type === 'aborted') this.#noteMisses();
    if (entry.type !== 'answered') return;
    const { round, step, participantId } = entry;
    const open = this.#open;
    this.#expect(open?.key.round === round, () => `an answer to round ${round} counts in ${open?.key.round}`);
    if (open === undefined) return;
    const answers = open.accepted.get(step) ?? new Set<string>();
    open.accepted.set(step, answers);
    this.#expect(!answers.has(participantId), () => `${participantId} counts twice in round ${round}`);
    this.#expect(
      open.cohort.includes(participantId),
      () => `${participantId} was never asked in round ${round}`,
    );
    answers.add(participantId);
  }

  /** Its sender is told what becomes of an answer. */
  settled({ participantId, disposition }: EffectOf<'settled'>, { round, step }: Answer): void {
    if (disposition !== 'accepted') return;
    const isRecorded = this.#open?.key.round === round && this.#open.accepted.get(step)?.has(participantId);
    this.#expect(
      isRecorded === true,
      () => `${participantId} is told that it counts before it is written down`,
    );
    if (step !== 'upload') return;
    const promised = this.#promised.get(round) ?? new Set<string>();
    this.#promised.set(round, promised.add(participantId));
  }

  completed({ key, contributors, helpers }: EffectOf<'roundComplete'>): void {
    const { cohortMin, isMasked } = this.#plan.rounds;
    const count = contributors.length;
    this.#expect(count >= cohortMin, () => `round ${key.round} is over ${count} participants`);
    this.#expect(
      contributors.join() === [...contributors].sort().join(),
      () => `the contributors of round ${key.round} are in no order`,
    );
    for (const id of this.#promised.get(key.round) ?? []) {
      this.#expect(contributors.includes(id), () => `${id} was told that it counts, and does not`);
    }
    if (isMasked) {
      // At least two thirds of those who could be there then, n >= the contributors.
      const least = Math.floor((2 * count) / 3) + 1;
      this.#expect(helpers.length >= least, () => `${helpers.length} of ${count} reveal round ${key.round}`);
    }
    if (key.exchange > 0) {
      this.#expect(
        contributors.join() === this.#sweepCohort.join(),
        () => `round ${key.round} is over another cohort than its sweep`,
      );
    }
    if (key.round > this.#applied) this.#pending = { round: key.round, entry: { key, contributors } };
  }

  cut(key: RoundKey): void {
    this.#expect(key.exchange > 0, () => `sweep ${key.sweep} is cut before anything was summed`);
    if (key.round > this.#applied) this.#pending = { round: key.round, entry: 'cut' };
  }

  aborted(key: RoundKey): void {
    this.#expect(this.#open?.key.round === key.round, () => `round ${key.round} is aborted and not open`);
  }

  /** What a round comes to is on disk. */
  applied(round: number): void {
    const pending = this.#pending;
    this.#expect(pending?.round === round, () => `round ${round} is written and not complete`);
    if (pending === undefined) return;
    this.#applied = round;
    this.#pending = undefined;
    this.#open = undefined;
    this.#history.push(pending.entry);
    const { sweep, exchange } = this.#next;
    const isCut = pending.entry === 'cut';
    const isOver = isCut || sweep < 0 || exchange + 1 === this.#plan.rounds.exchanges;
    this.#next = isOver ? { sweep: sweep + 1, exchange: 0 } : { sweep, exchange: exchange + 1 };
    if (pending.entry !== 'cut') this.#sweepCohort = pending.entry.contributors;
    if (isOver && !isCut) for (const id of this.#sweepCohort) this.#bench.delete(id);
  }

  /** Nobody holds a step up for longer than it may. */
  ticked(rounds: Rounds): void {
    const open = this.#open;
    if (open === undefined || rounds.round?.key.round !== open.key.round) return;
    // All is in, or the round has failed: what comes of it waits for the disk.
    if (rounds.round.step !== open.step || !open.ask.some((id) => rounds.wanted(id) !== undefined)) return;
    const { timing } = this.#plan.rounds;
    const nowMs = this.#nowMs();
    const most = (open.step === 'upload' ? timing.uploadMs : timing.answerMs) / this.#rate;
    const sinceMs = nowMs - open.openedMs - open.forgivenMs;
    this.#expect(
      sinceMs <= most + this.#slackMs,
      () => `step ${open.step} of round ${open.key.round} takes ${sinceMs.toFixed(0)} ms`,
    );
    const presentMs = timing.presenceMs / this.#rate + this.#slackMs;
    if (sinceMs < presentMs) return;
    const isHeldUp = open.ask.some((id) => {
      if (open.declined.has(id) || open.accepted.get(open.step)?.has(id)) return false;
      return nowMs - (this.#heardMs.get(id) ?? -1e9) < presentMs;
    });
    this.#expect(
      isHeldUp,
      () => `step ${open.step} of round ${open.key.round} waits for nobody who is there`,
    );
  }

  bounded({ members, contents }: { members: number; contents: number }): void {
    this.#expect(members <= 40, () => `${members} members are remembered`);
    this.#expect(contents <= 200, () => `${contents} answers are held`);
  }

  ended(outcome: string, side: ItemSide): void {
    const { sweeps } = this.#plan.rounds;
    if (outcome === 'completed') {
      this.#expect(
        this.#next.sweep === sweeps,
        () => `the run ends after ${this.#next.sweep} of ${sweeps} sweeps`,
      );
    }
    this.#expect(
      this.#pending === undefined || outcome === 'stopped',
      () => 'the run ends before all is written',
    );
    const expected = this.#withoutFaults();
    for (let i = 0; i < expected.items.length; i++) {
      const [found, wanted] = [side.items[i], expected.items[i]];
      this.#expect(
        found === wanted,
        () => `factor ${i} is ${found}, over the same cohorts without faults ${wanted}`,
      );
    }
  }

  /** The same cohorts, one after the other. */
  #withoutFaults(): ItemSide {
    let side = initialSide(this.#plan);
    for (const entry of this.#history) {
      if (entry === 'cut') {
        side = cutSweep(this.#plan, side);
        continue;
      }
      const { key, contributors } = entry;
      const operand = key.sweep < 0 ? undefined : operandOf(this.#plan, side);
      const uploads = contributors.map((id) => {
        const data = institutionData(this.#plan.seed, Number(id.slice(1)));
        if (key.sweep < 0) return censusSums(data.byItem);
        const exchange = this.#plan.exchanges[key.exchange]!;
        return uploadOf(data, side.items, { exchange, isFirst: key.exchange === 0, operand });
      });
      side = applyRound(this.#plan, side, key, uploads);
    }
    return side;
  }

  /**
   * Who missed too many rounds is not asked while there are others; and of those others nobody who is surely there is
   * passed over for one that was asked later.
   */
  #expectChoice(cohort: readonly string[], selection: number, decidedMs: number): void {
    this.#expect(
      selection === this.#selection + 1,
      () => `selection ${selection} comes after ${this.#selection}`,
    );
    const isFull = cohort.length > this.#plan.rounds.cohortMin;
    const isBenched = (id: string): boolean => selection < (this.#bench.get(id)?.until ?? 0);
    for (const id of cohort) {
      this.#expect(
        !isFull || !isBenched(id),
        () => `${id} missed ${this.#bench.get(id)?.misses} rounds and is asked again at once`,
      );
    }
    const surelyMs = decidedMs - this.#plan.rounds.timing.presenceMs / 4;
    const latest = Math.max(
      ...cohort.filter((id) => !isBenched(id)).map((id) => this.#selectedAt.get(id) ?? 0),
    );
    for (const [id, ms] of this.#reallyHeardMs) {
      if (cohort.includes(id) || isBenched(id) || ms < surelyMs || ms >= decidedMs) continue;
      const at = this.#selectedAt.get(id) ?? 0;
      const isFair = cohort.length === this.#plan.rounds.cohortMax && at >= latest;
      this.#expect(isFair, () => `${id}, last asked in ${at}, is passed over for one of ${latest}`);
    }
  }

  #noteMisses(): void {
    const open = this.#open;
    if (open === undefined) return;
    for (const id of open.ask) {
      if (open.accepted.get(open.step)?.has(id)) continue;
      const misses = (this.#bench.get(id)?.misses ?? 0) + 1;
      const left = Math.min(63, 2 ** (misses - 1) - 1);
      this.#bench.set(id, { misses, until: this.#selection + 1 + left });
    }
  }
}
