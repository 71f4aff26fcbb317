// Drives the rounds of one run: calls and time go into the machine, its effects are carried out one after another.

import type { Clock } from '../../common/clock.js';
import { assert, messageOf, RoundError, StateError } from '../../common/errors.js';
import { agreedCatalogue, type Catalogue } from '../../federation/catalogue/catalogue.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { exchangesOf, hasCensus } from '../../federation/protocol/round-sums.js';
import type { AnswerDisposition, RoundEffect, RoundKey } from '../../federation/rounds/events.js';
import {
  DEFAULT_ROUND_TIMING,
  type RoundStep,
  type RoundTiming,
  stepsOf,
} from '../../federation/rounds/round-plan.js';
import { Rounds } from '../../federation/rounds/rounds.js';
import type { MemberMessage } from '../../federation/secure-aggregation/messages.js';
import type { Enrolled, Enrolment } from './enrolment.js';
import type { FederationOutcome } from './federation-outcome.js';
import type { Delivery, RoundIntake } from './round-intake.js';
import { SumMaker } from './sum-maker.js';
import { Waiters } from './waiters.js';

type EffectOf<T extends RoundEffect['type']> = Extract<RoundEffect, { type: T }>;

const TICK_MS = 200;
/** How long an idle participant's question is held before it is answered with nothing. */
const POLL_MS = 1000;

/** The part of a pino logger that is used here. */
export interface HostLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface FederationHostOptions {
  plan: FederatedPlan;
  /** 16 bytes. */
  session: Uint8Array;
  /** The run begins when so many have joined, and with the items that they have. */
  participants: number;
  /** Of the items' initial factors. */
  seed: number;
  stdDev: number;
  enrolment: Enrolment;
  /** For deliveries. */
  spoolDir: string;
  clock: Clock;
  log: HostLog;
  timing?: Partial<RoundTiming>;
  /** Told of each sweep that ended, and how long it took. */
  onSweep?: (done: number, seconds: number) => void;
}

/** What a participant is to answer. */
export interface OpenTask {
  intake: RoundIntake;
  step: RoundStep;
  leftMs: number;
  itemsHash: Uint8Array;
  operandHash: Uint8Array;
}

export class FederationHost {
  readonly #o: FederationHostOptions;
  readonly #timer: NodeJS.Timeout;
  /** Undefined until all participants that are waited for have joined, as `#rounds` is. */
  #sums: SumMaker | undefined;
  #rounds: Rounds | undefined;
  #isPumping = false;
  #nextDelivery = 1;
  readonly #unsettled = new Map<number, (disposition: AnswerDisposition) => void>();
  readonly #waiters = new Waiters();
  #ended: { isComplete: boolean; cuts: number; reason: string } | undefined;
  #roundsDone = 0;
  #aborted = 0;
  readonly #sweepSeconds: number[] = [];
  #sweepStartMs = 0;
  #resolve!: (outcome: FederationOutcome) => void;
  #reject!: (error: unknown) => void;
  /** Settles when the run is over. */
  readonly outcome: Promise<FederationOutcome>;

  constructor(options: FederationHostOptions) {
    this.#o = options;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.outcome.catch(() => {});
    this.#timer = setInterval(() => {
      this.#rounds?.tick(this.#nowMs);
      this.#pump();
    }, TICK_MS);
  }

  get plan(): FederatedPlan {
    return this.#o.plan;
  }

  get session(): Uint8Array {
    return this.#o.session;
  }

  get end(): { isComplete: boolean; cuts: number; reason: string } | undefined {
    return this.#ended;
  }

  /** @throws {StateError} `STOA_RUN_STATE`: participants are still joining. */
  get catalogue(): Catalogue {
    if (this.#sums !== undefined) return this.#sums.catalogue;
    throw new StateError('STOA_RUN_STATE', 'the items are agreed on when all participants have joined; wait');
  }

  get itemsHash(): Uint8Array {
    return this.#sums?.itemsHash ?? NOTHING;
  }

  /** A participant has joined: when it is the last that is waited for, the run begins. */
  joined(): void {
    const { enrolment, participants, plan, log } = this.#o;
    const { all } = enrolment;
    if (this.#rounds !== undefined || all.length < participants) return;
    const catalogue = agreedCatalogue(all.map(({ items }) => items));
    for (const who of all) who.items = [];
    this.#sums = new SumMaker({ ...this.#o, catalogue });
    this.#rounds = new Rounds(
      {
        ...plan,
        exchanges: exchangesOf(plan).length,
        hasCensus: hasCensus(plan),
        // Whoever is to come has come; all are heard before a round begins with those that a sum needs.
        timing: { ...DEFAULT_ROUND_TIMING, gatherMs: 1, ...this.#o.timing },
      },
      [],
      this.#nowMs,
    );
    this.#sweepStartMs = this.#nowMs;
    log.info({ participants: all.length, items: catalogue.names.length }, 'the federation begins');
    for (const { name: participantId } of all) {
      this.#rounds.receive({ type: 'heard', participantId }, this.#sweepStartMs);
    }
  }

  heard(participantId: string): void {
    this.#rounds?.receive({ type: 'heard', participantId }, this.#nowMs);
    this.#pump();
  }

  declined(participantId: string, round: number, reason: string): void {
    this.#o.log.warn({ participant: participantId, round, reason }, 'a participant declines a round');
    this.#rounds?.receive({ type: 'declined', participantId, round }, this.#nowMs);
    this.#pump();
  }

  /** Ends the run where it stands. */
  stop(reason: string): void {
    if (this.#rounds === undefined) this.#finish({ isComplete: false, cuts: 0, reason });
    this.#rounds?.receive({ type: 'stop' }, this.#nowMs);
    this.#pump();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#waiters.wake();
  }

  /** What a participant is to do; waits for it up to a second. */
  async task(participantId: string): Promise<OpenTask | undefined> {
    this.heard(participantId);
    const found = this.#taskOf(participantId);
    if (found !== undefined || this.#ended !== undefined) return found;
    await this.#waiters.wait(POLL_MS);
    return this.#taskOf(participantId);
  }

  /** Participants that a round needs, and how many have joined. */
  get presence(): { present: number; wanted: number } {
    return { present: this.#o.enrolment.all.length, wanted: this.#o.participants };
  }

  /** @returns what would become of an answer. */
  judge(participantId: string, round: number, step: RoundStep): AnswerDisposition {
    if (this.#rounds === undefined) return 'foreign';
    const disposition = this.#rounds.judge(participantId, { round, step });
    if (disposition !== 'accepted') return disposition;
    const sums = this.#sums!;
    return sums.intake?.key.round === round && sums.step === step ? 'accepted' : 'late';
  }

  /** The round in progress, for an answer that `judge` accepts. */
  intake(): RoundIntake {
    const intake = this.#sums?.intake;
    assert(intake !== undefined, 'a round is in progress');
    return intake;
  }

  /** Names and keys of a cohort, in the order of their places. */
  cohortKeys(cohort: readonly string[]): { name: string; identityKey: Uint8Array }[] {
    return cohort.map((name) => memberOf(this.#o.enrolment.get(name)!));
  }

  /** Place of a participant in the round's cohort. */
  memberOf(participantId: string): number {
    return this.intake().cohort.indexOf(participantId);
  }

  /** Takes an answer to a step other than the upload. Errors as `SumServer.receive`. */
  answer(participantId: string, step: RoundStep, message: MemberMessage): Promise<AnswerDisposition> {
    const { key } = this.intake();
    this.intake().answer(message);
    return this.#settle(participantId, key.round, step);
  }

  /** Takes a delivery in, when there is room for it. `work` feeds it; its errors abandon the delivery. */
  deliver(
    participantId: string,
    round: number,
    work: (delivery: Delivery) => Promise<void>,
  ): Promise<AnswerDisposition> {
    if (this.#sums === undefined) return Promise.resolve('foreign');
    return this.#sums.slots.hold(async () => {
      const before = this.judge(participantId, round, 'upload');
      if (before !== 'accepted') return before;
      const delivery = await this.intake().deliver(participantId);
      try {
        await work(delivery);
        delivery.end();
      } catch (error) {
        await delivery.abandon();
        throw error;
      }
      // While it came in, the round may have ended.
      const after = this.judge(participantId, round, 'upload');
      if (after !== 'accepted') {
        await delivery.abandon();
        return after;
      }
      delivery.keep();
      return this.#settle(participantId, round, 'upload');
    });
  }

  /** Errors as `SumMaker.table`. */
  table(which: 'items' | 'operand', hash: Uint8Array): Float32Array {
    if (this.#sums !== undefined) return this.#sums.table(which, hash);
    throw new RoundError('STOA_ROUND_MESSAGE', 'no round has begun; ask for the next task');
  }

  get #nowMs(): number {
    return this.#o.clock.nowMs();
  }

  #taskOf(participantId: string): OpenTask | undefined {
    const wanted = this.#rounds?.wanted(participantId);
    const sums = this.#sums;
    const intake = sums?.intake;
    if (wanted === undefined || intake?.key.round !== wanted.key.round || sums!.step !== wanted.step) {
      return undefined;
    }
    const isCensus = intake.key.sweep < 0;
    return {
      intake,
      step: wanted.step,
      leftMs: Math.max(0, wanted.deadlineMs - this.#nowMs),
      itemsHash: isCensus ? NOTHING : this.itemsHash,
      operandHash: sums!.operandHash,
    };
  }

  #settle(participantId: string, round: number, step: RoundStep): Promise<AnswerDisposition> {
    const deliveryId = this.#nextDelivery++;
    const settled = new Promise<AnswerDisposition>((resolve) => this.#unsettled.set(deliveryId, resolve));
    this.#rounds!.receive({ type: 'answered', participantId, round, step, deliveryId }, this.#nowMs);
    this.#pump();
    return settled;
  }

  /** Carries effects out, one after another; a second call finds the first at work. */
  #pump(): void {
    if (this.#isPumping || this.#rounds === undefined || this.#ended !== undefined) return;
    this.#isPumping = true;
    this.#carryOutAll()
      .catch((error: unknown) => this.#break(error))
      .finally(() => {
        this.#isPumping = false;
      });
  }

  async #carryOutAll(): Promise<void> {
    for (let effects = this.#rounds!.drain(); effects.length > 0; effects = this.#rounds!.drain()) {
      for (const effect of effects) await this.#carryOut(effect);
    }
  }

  async #carryOut(effect: RoundEffect): Promise<void> {
    switch (effect.type) {
      case 'record':
        // Nothing is kept of a run beyond the process.
        return;
      case 'stepOpened':
        return this.#openStep(effect);
      case 'settled':
        this.#unsettled.get(effect.deliveryId)?.(effect.disposition);
        this.#unsettled.delete(effect.deliveryId);
        return;
      case 'roundComplete':
        return this.#complete(effect);
      case 'roundAborted':
        this.#aborted++;
        this.#o.log.warn({ round: effect.key.round, reason: effect.reason }, 'a round failed');
        return this.#sums!.drop();
      case 'sweepCut':
        this.#sums!.cut();
        this.#endSweep(effect.key);
        this.#rounds!.receive({ type: 'committed', round: effect.key.round }, this.#nowMs);
        return;
      case 'waiting':
        this.#o.log.info({ present: effect.present, wanted: effect.wanted }, 'waiting for participants');
        return;
      case 'ended':
        return this.#finish({
          isComplete: effect.outcome === 'completed',
          cuts: effect.cuts,
          reason: effect.outcome === 'completed' ? '' : 'the run was stopped',
        });
    }
  }

  #openStep({ key, step, ask }: EffectOf<'stepOpened'>): void {
    try {
      if (step === stepsOf(this.#rounds!.plan)[0]) this.#sums!.begin(key, this.cohortKeys(ask));
      this.#sums!.enter(step);
    } catch (error) {
      if (!(error instanceof RoundError)) throw error;
      // The sum cannot be uncovered: nobody is asked for more.
      this.#o.log.warn({ round: key.round, err: error }, 'a round cannot go on');
      for (const participantId of ask) {
        this.#rounds!.receive({ type: 'declined', participantId, round: key.round }, this.#nowMs);
      }
      return;
    }
    this.#o.log.debug({ ...key, step, asked: ask.length }, 'a step is open');
    this.#waiters.wake();
  }

  async #complete({ key, contributors }: EffectOf<'roundComplete'>): Promise<void> {
    const isSweepOver = await this.#sums!.complete(key, contributors);
    this.#roundsDone++;
    if (isSweepOver) this.#endSweep(key);
    this.#rounds!.receive({ type: 'committed', round: key.round }, this.#nowMs);
  }

  #endSweep({ sweep }: RoundKey): void {
    const seconds = (this.#nowMs - this.#sweepStartMs) / 1000;
    this.#sweepStartMs = this.#nowMs;
    this.#sweepSeconds.push(seconds);
    this.#o.onSweep?.(sweep + 1, seconds);
  }

  #finish(end: { isComplete: boolean; cuts: number; reason: string }): void {
    if (this.#ended !== undefined) return;
    this.#ended = end;
    clearInterval(this.#timer);
    this.#waiters.wake();
    if (this.#sums === undefined) {
      this.#reject(new StateError('STOA_RUN_STATE', `the federation ended before it began: ${end.reason}`));
      return;
    }
    this.#resolve({
      isComplete: end.isComplete,
      cuts: end.cuts,
      rounds: this.#roundsDone,
      aborted: this.#aborted,
      sweepSeconds: this.#sweepSeconds,
      items: this.#sums.items,
      catalogue: this.catalogue,
    });
  }

  #break(error: unknown): void {
    if (this.#ended === undefined) {
      this.#ended = { isComplete: false, cuts: 0, reason: messageOf(error) };
      clearInterval(this.#timer);
    }
    for (const settle of this.#unsettled.values()) settle('late');
    this.#unsettled.clear();
    this.#sums?.drop().catch(() => {});
    this.#waiters.wake();
    this.#reject(error);
  }
}

const NOTHING = new Uint8Array(0);

function memberOf({ name, identityKey }: Enrolled): { name: string; identityKey: Uint8Array } {
  return { name, identityKey };
}
