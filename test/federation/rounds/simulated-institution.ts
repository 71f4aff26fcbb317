// A participant of a simulated federation: it says that it is there, answers what it is asked, computes for a while,
// sends again until it hears that an answer arrived; it may crash, freeze, leave, be slow, refuse, and answer unasked.

import type { Random } from '../../../common/random.js';
import { censusSums } from '../../../federation/ials/census.js';
import type { EventQueue } from '../../simulation/event-queue.js';
import type { SimulatedNetwork } from '../../simulation/simulated-network.js';
import type { Trace } from '../../simulation/trace.js';
import type { RoundOracle } from './round-oracle.js';
import type { Answer, Ask, SimulatedHost } from './simulated-host.js';
import { type InstitutionData, institutionData, type SimulatedPlan, uploadOf } from './simulated-plan.js';

export interface InstitutionWorld {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly host: SimulatedHost;
  readonly oracle: RoundOracle;
  readonly trace: Trace;
  readonly plan: SimulatedPlan;
}

export interface InstitutionOptions {
  readonly index: number;
  /** How long it computes for an upload, ms. */
  readonly computeMs: number;
  /** Share of the rounds that its policy refuses. */
  readonly refusals: number;
  /** It sends uploads nobody asked for. */
  readonly isPushy: boolean;
}

const HEARTBEAT_MS = 1000;
const RESEND_MS = 1500;

export class SimulatedInstitution {
  readonly id: string;
  readonly data: InstitutionData;
  readonly #world: InstitutionWorld;
  readonly #o: InstitutionOptions;
  isGone = false;
  #isUp = true;
  #refusals: number;
  /** A new one with each process: what an old one had under way is dropped. */
  #life = 0;
  #frozenUntilMs = 0;
  /** Steps of the round it is in that this process has under way or done; with masks it cannot enter in the middle. */
  #round = 0;
  #steps = new Set<string>();

  constructor(world: InstitutionWorld, options: InstitutionOptions) {
    this.#world = world;
    this.#o = options;
    this.#refusals = options.refusals;
    this.id = `i${String(options.index).padStart(2, '0')}`;
    this.data = institutionData(world.plan.seed, options.index);
    this.#beat(0);
  }

  /** Nothing goes wrong any more, and it is as fast as it has to be. */
  calm(): void {
    this.#refusals = 0;
  }

  crash(downMs: number): void {
    if (!this.#isUp) return;
    this.#say('crashes');
    this.#isUp = false;
    this.#life++;
    this.#world.queue.after(downMs, () => {
      if (this.isGone) return;
      this.#isUp = true;
      this.#round = 0;
      this.#steps = new Set();
      this.#beat(this.#life);
    });
  }

  freeze(forMs: number): void {
    this.#say('freezes for', Math.round(forMs));
    this.#frozenUntilMs = this.#world.queue.nowMs + forMs;
  }

  leave(): void {
    this.#say('leaves');
    this.isGone = true;
    this.#isUp = false;
    this.#life++;
    this.#world.network.send(this.id, 'c', () => this.#world.host.leave(this.id));
  }

  #beat(life: number): void {
    this.#awake(life, () => {
      const { network, host, queue, random } = this.#world;
      const push = (ask: Ask) =>
        network.send('c', this.id, () => this.#awake(this.#life, () => this.#asked(ask)));
      network.send(this.id, 'c', () => host.hear(this.id, push));
      if (this.#o.isPushy && !network.isCalm && random.int(6) === 0) this.#push();
      queue.after(HEARTBEAT_MS * (0.8 + 0.4 * random.next()), () => this.#beat(life));
    });
  }

  #asked(ask: Ask): void {
    const { key, step } = ask;
    const { random, plan } = this.#world;
    if (key.round < this.#round) return;
    if (key.round > this.#round) {
      this.#round = key.round;
      this.#steps = new Set();
      const isMidway = plan.rounds.isMasked && step !== 'keys';
      if (isMidway || random.next() < this.#refusals) this.#steps.add('refused');
    }
    if (this.#steps.has('refused')) {
      this.#send(() => this.#world.host.decline(this.id, key.round));
      return;
    }
    if (this.#steps.has(step)) return;
    this.#steps.add(step);
    const content = step === 'upload' ? this.#upload(ask) : undefined;
    const workMs = step === 'upload' ? this.#o.computeMs * (0.5 + random.next()) : 5;
    this.#later(workMs, () => this.#deliver({ round: key.round, step, content }));
  }

  #upload({ key, items, operand }: Ask): Float64Array {
    if (key.sweep < 0) return censusSums(this.data.byItem);
    const exchange = this.#world.plan.exchanges[key.exchange]!;
    return uploadOf(this.data, items, { exchange, isFirst: key.exchange === 0, operand });
  }

  /** Sends an answer until it hears what became of it. */
  #deliver(answer: Answer): void {
    let isSettled = false;
    const { network, host } = this.#world;
    const attempt = () => {
      if (isSettled) return;
      network.send(this.id, 'c', () =>
        host.answer(this.id, answer, (disposition) =>
          network.send('c', this.id, () => {
            if (!isSettled) this.#say('hears', disposition, answer.step, answer.round);
            isSettled = true;
          }),
        ),
      );
      this.#later(RESEND_MS, attempt);
    };
    attempt();
  }

  /** An upload for a round that it was not asked in, for one that never was, or once more for one of long ago. */
  #push(): void {
    const { random, host } = this.#world;
    const rounds = [host.uninvited(this.id), this.#round + 1000, this.#round - 1];
    const round = rounds[random.int(rounds.length)];
    if (round === undefined) return;
    const content = new Float64Array(1).fill(Number.NaN);
    this.#send(() => host.answer(this.id, { round, step: 'upload', content }, () => {}));
  }

  #send(deliver: () => void): void {
    this.#world.network.send(this.id, 'c', deliver);
  }

  #later(delayMs: number, run: () => void): void {
    const life = this.#life;
    this.#world.queue.after(delayMs, () => this.#awake(life, run));
  }

  #awake(life: number, run: () => void): void {
    const { queue } = this.#world;
    if (life !== this.#life || !this.#isUp) return;
    if (queue.nowMs >= this.#frozenUntilMs) run();
    else queue.at(this.#frozenUntilMs, () => this.#awake(life, run));
  }

  #say(what: string, ...details: readonly unknown[]): void {
    this.#world.trace.add(this.#world.queue.nowMs, this.id, what, ...details);
  }
}
