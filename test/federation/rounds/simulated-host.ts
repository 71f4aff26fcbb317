// The coordinator of a simulated federation: the production machine in a process that may die between any two effects,
// with a disk that keeps what was written.

import type { Random } from '../../../common/random.js';
import type {
  AnswerDisposition,
  RoundEffect,
  RoundEntry,
  RoundKey,
} from '../../../federation/rounds/events.js';
import type { RoundStep } from '../../../federation/rounds/round-plan.js';
import { Rounds } from '../../../federation/rounds/rounds.js';
import type { EventQueue } from '../../simulation/event-queue.js';
import type { Trace } from '../../simulation/trace.js';
import { applyRound, cutSweep, type ItemSide, initialSide, operandOf } from './item-side.js';
import type { RoundOracle } from './round-oracle.js';
import type { SimulatedPlan } from './simulated-plan.js';

const TICK_MS = 250;

/** What a participant is sent when it is asked: enough to answer, whatever it has forgotten. */
export interface Ask {
  readonly key: RoundKey;
  readonly step: RoundStep;
  /** The items' factors as the sweep began. */
  readonly items: Float32Array;
  readonly operand?: Float32Array;
}

export interface Answer {
  readonly round: number;
  readonly step: RoundStep;
  readonly content?: Float64Array;
}

interface Disk {
  entries: RoundEntry[];
  /** Uploads of the round in progress, by participant. */
  uploads: Map<string, Float64Array>;
  uploadsOf: number;
  side: ItemSide;
  /** The last round whose sum, or whose cut, is in `side`. */
  applied: number;
}

interface Life {
  readonly rounds: Rounds;
  readonly effects: RoundEffect[];
  readonly contents: Map<number, { answer: Answer; reply: (disposition: AnswerDisposition) => void }>;
  isBusy: boolean;
  nextId: number;
}

export interface HostWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly trace: Trace;
  readonly oracle: RoundOracle;
  readonly plan: SimulatedPlan;
  readonly isCalm: () => boolean;
}

export interface HostOptions {
  /** Longest time of a write, ms; one in twenty is ten times slower. */
  readonly diskMs: number;
  /** Share of the writes in which the process dies, half of them with the write done. */
  readonly deaths: number;
  /** Where its clock starts, how fast it goes, and how far it is read as going back at most, ms. */
  readonly clock: { readonly offsetMs: number; readonly rate: number; readonly backMs: number };
}

export class SimulatedHost {
  readonly #world: HostWorld;
  readonly #o: HostOptions;
  readonly #disk: Disk;
  #life: Life | undefined;
  #frozenUntilMs = 0;
  #operand: { side: ItemSide; of: Float32Array | undefined } | undefined;
  /** Connections: who is to be asked when a step opens. */
  readonly #links = new Map<string, (ask: Ask) => void>();
  ended: { outcome: string } | undefined;
  readonly counts = { accepted: 0, duplicate: 0, late: 0, foreign: 0, aborted: 0, shortened: 0, restarts: 0 };

  constructor(world: HostWorld, options: HostOptions) {
    this.#world = world;
    this.#o = options;
    const side = initialSide(world.plan);
    this.#disk = { entries: [], uploads: new Map(), uploadsOf: 0, side, applied: 0 };
    this.#start();
    this.#tickOn();
  }

  /** A participant connects, again or for the first time, or says that it is there. */
  hear(participantId: string, push: (ask: Ask) => void): void {
    this.#whenAwake((life) => {
      this.#links.set(participantId, push);
      this.#world.oracle.heard(participantId);
      life.rounds.receive({ type: 'heard', participantId }, this.#clock());
      const wanted = life.rounds.wanted(participantId);
      // What a step asks for is there once its opening was carried out.
      if (wanted !== undefined && life.effects.length === 0) push(this.#askOf(wanted.key, wanted.step));
      this.#pump(life);
    });
  }

  leave(participantId: string): void {
    this.#whenAwake((life) => {
      this.#links.delete(participantId);
      this.#world.oracle.left(participantId);
      life.rounds.receive({ type: 'left', participantId }, this.#clock());
      this.#pump(life);
    });
  }

  decline(participantId: string, round: number): void {
    this.#whenAwake((life) => {
      this.#world.oracle.declined(participantId, round);
      life.rounds.receive({ type: 'declined', participantId, round }, this.#clock());
      this.#pump(life);
    });
  }

  answer(participantId: string, answer: Answer, reply: (disposition: AnswerDisposition) => void): void {
    this.#whenAwake((life) => {
      const deliveryId = life.nextId++;
      life.contents.set(deliveryId, { answer, reply });
      this.#world.oracle.heard(participantId);
      const { round, step } = answer;
      life.rounds.receive({ type: 'answered', participantId, round, step, deliveryId }, this.#clock());
      this.#pump(life);
    });
  }

  /** The round in progress, for a participant that was not asked in it and answers all the same. */
  uninvited(participantId: string): number | undefined {
    const round = this.#life?.rounds.round;
    return round === undefined || round.cohort.includes(participantId) ? undefined : round.key.round;
  }

  stop(): void {
    this.#whenAwake((life) => {
      life.rounds.receive({ type: 'stop' }, this.#clock());
      this.#pump(life);
    });
  }

  crash(downMs: number): void {
    if (this.#life === undefined || this.ended !== undefined) return;
    this.#say('crashes');
    this.#life = undefined;
    this.#links.clear();
    this.counts.restarts++;
    this.#world.queue.after(downMs, () => this.#start());
  }

  freeze(forMs: number): void {
    this.#say('freezes for', Math.round(forMs));
    const { nowMs } = this.#world.queue;
    const beforeMs = Math.max(nowMs, this.#frozenUntilMs);
    this.#frozenUntilMs = Math.max(beforeMs, nowMs + forMs);
    if (this.#life !== undefined) this.#world.oracle.frozen(this.#frozenUntilMs - beforeMs);
  }

  #start(): void {
    const { queue } = this.#world;
    if (queue.nowMs < this.#frozenUntilMs) {
      queue.at(this.#frozenUntilMs, () => this.#start());
      return;
    }
    const nowMs = this.#clock();
    // What was written before the last opening is not needed.
    const opened = this.#disk.entries.findLastIndex(({ type }) => type === 'opened');
    if (opened > 0) this.#disk.entries.splice(0, opened);
    const rounds = new Rounds(this.#world.plan.rounds, this.#disk.entries, nowMs);
    this.#life = { rounds, effects: [], contents: new Map(), isBusy: false, nextId: 1 };
    this.#say('starts');
    this.#world.oracle.started();
    this.#pump(this.#life);
  }

  #tickOn(): void {
    const { queue } = this.#world;
    queue.after(TICK_MS, () => {
      if (this.ended !== undefined) return;
      if (this.#life !== undefined && queue.nowMs >= this.#frozenUntilMs) {
        this.#life.rounds.tick(this.#clock());
        this.#pump(this.#life);
        this.#world.oracle.ticked(this.#life.rounds);
      }
      this.#tickOn();
    });
  }

  #pump(life: Life): void {
    for (const effect of life.rounds.drain()) {
      this.#world.oracle.decided(effect);
      life.effects.push(effect);
    }
    this.#world.oracle.bounded({ members: life.rounds.memberCount, contents: life.contents.size });
    this.#next(life);
  }

  #next(life: Life): void {
    while (life === this.#life && !life.isBusy) {
      const effect = life.effects.shift();
      if (effect === undefined) return;
      this.#carryOut(life, effect);
    }
  }

  #carryOut(life: Life, effect: RoundEffect): void {
    switch (effect.type) {
      case 'record':
        this.#write(life, () => this.#put(life, effect.entry));
        return;
      case 'stepOpened':
        this.#say(
          'opens',
          effect.key.round,
          effect.key.sweep,
          effect.key.exchange,
          effect.step,
          effect.ask.length,
        );
        this.#world.oracle.stepOpened(effect);
        for (const id of effect.ask) this.#links.get(id)?.(this.#askOf(effect.key, effect.step));
        return;
      case 'settled': {
        const { answer, reply } = life.contents.get(effect.deliveryId)!;
        life.contents.delete(effect.deliveryId);
        this.counts[effect.disposition]++;
        this.#world.oracle.settled(effect, answer);
        reply(effect.disposition);
        return;
      }
      case 'roundComplete':
        this.#say('completes', effect.key.round, effect.contributors.join(' '));
        this.#world.oracle.completed(effect);
        this.#commit(life, effect.key.round, () => {
          const uploads = effect.contributors.map((id) => this.#disk.uploads.get(id));
          if (uploads.some((upload) => upload === undefined))
            throw new Error('an upload that counts is gone');
          const { plan } = this.#world;
          return applyRound(plan, this.#disk.side, effect.key, uploads as Float64Array[]);
        });
        return;
      case 'sweepCut':
        this.counts.shortened++;
        this.#world.oracle.cut(effect.key);
        this.#commit(life, effect.key.round, () => cutSweep(this.#world.plan, this.#disk.side));
        return;
      case 'roundAborted':
        this.counts.aborted++;
        this.#say('aborts', effect.key.round, effect.reason);
        this.#world.oracle.aborted(effect.key);
        return;
      case 'waiting':
        return;
      case 'ended':
        this.ended = { outcome: effect.outcome };
        this.#world.oracle.ended(effect.outcome, this.#disk.side);
        return;
    }
  }

  /** The content of an answer lies on the disk no later than the entry that says that it counts. */
  #put(life: Life, entry: RoundEntry): void {
    const { entries, uploads } = this.#disk;
    if (entry.type === 'opened') {
      uploads.clear();
      this.#disk.uploadsOf = entry.key.round;
    }
    if (entry.type === 'answered' && entry.step === 'upload') {
      const content = this.#contentOf(life, entry.participantId, entry.round);
      if (entry.round === this.#disk.uploadsOf) uploads.set(entry.participantId, content);
    }
    entries.push(entry);
    this.#world.oracle.recorded(entry);
  }

  #contentOf(life: Life, participantId: string, round: number): Float64Array {
    const settled = life.effects.find(
      (effect) =>
        effect.type === 'settled' &&
        effect.participantId === participantId &&
        effect.disposition === 'accepted',
    ) as Extract<RoundEffect, { type: 'settled' }>;
    const { answer } = life.contents.get(settled.deliveryId)!;
    if (answer.round !== round)
      this.#world.oracle.wrong(`an upload of round ${answer.round} counts in ${round}`);
    return answer.content!;
  }

  /** Writes what a round comes to, once: a life that died before it could say so finds it there. */
  #commit(life: Life, round: number, make: () => ItemSide): void {
    const side = this.#disk.applied === round ? this.#disk.side : make();
    this.#write(life, () => {
      if (this.#disk.applied !== round) this.#world.oracle.applied(round);
      this.#disk.side = side;
      this.#disk.applied = round;
      life.rounds.receive({ type: 'committed', round }, this.#clock());
      this.#pump(life);
    });
  }

  #write(life: Life, put: () => void): void {
    const { random, queue, isCalm } = this.#world;
    life.isBusy = true;
    const slow = !isCalm() && random.int(20) === 0 ? 10 : 1;
    queue.after(random.next() * this.#o.diskMs * slow, () => this.#written(life, put));
  }

  #written(life: Life, put: () => void): void {
    const { random, queue, isCalm } = this.#world;
    if (life !== this.#life) return;
    if (queue.nowMs < this.#frozenUntilMs) {
      queue.at(this.#frozenUntilMs, () => this.#written(life, put));
      return;
    }
    life.isBusy = false;
    const fate = isCalm() ? 1 : random.next() / this.#o.deaths;
    if (fate >= 0.5) put();
    if (fate < 1) this.crash(3000 * random.next());
    else this.#next(life);
  }

  #askOf(key: RoundKey, step: RoundStep): Ask {
    const { side } = this.#disk;
    if (this.#operand?.side !== side) {
      this.#operand = { side, of: key.sweep < 0 ? undefined : operandOf(this.#world.plan, side) };
    }
    return { key, step, items: side.items, operand: this.#operand.of };
  }

  #whenAwake(act: (life: Life) => void): void {
    const { queue } = this.#world;
    if (queue.nowMs < this.#frozenUntilMs) queue.at(this.#frozenUntilMs, () => this.#whenAwake(act));
    else if (this.#life !== undefined && this.ended === undefined) act(this.#life);
  }

  #clock(): number {
    const { queue, random, isCalm } = this.#world;
    const { offsetMs, rate, backMs } = this.#o.clock;
    return offsetMs + queue.nowMs * rate - (isCalm() ? 0 : backMs * random.next());
  }

  #say(what: string, ...details: readonly unknown[]): void {
    this.#world.trace.add(this.#world.queue.nowMs, 'coordinator', what, ...details);
  }
}
