import type { Random } from '../../common/random.js';
import type { EventQueue } from './event-queue.js';

export interface Faults {
  /** Probability that a message is lost. */
  loss: number;
  /** Probability that it arrives twice. */
  duplication: number;
  /** Longest usual delay, ms; differing delays reorder messages. */
  delayMs: number;
  /** Probability of a delay of up to 8 s. */
  stall: number;
}

/** Carries messages with delay, loss, duplication and reordering until `calmMs`; only with delay afterwards. */
export class SimulatedNetwork {
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #calmMs: number;

  constructor(queue: EventQueue, random: Random, faults: Faults, calmMs: number) {
    this.#queue = queue;
    this.#random = random;
    this.#faults = faults;
    this.#calmMs = calmMs;
  }

  send(deliver: () => void): void {
    const { loss, duplication, delayMs, stall } = this.#faults;
    const isCalm = this.#queue.nowMs >= this.#calmMs;
    if (!isCalm && this.#random.next() < loss) return;
    const copies = !isCalm && this.#random.next() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const isStalled = !isCalm && this.#random.next() < stall;
      this.#queue.after(this.#random.next() * (isStalled ? 8000 : delayMs), deliver);
    }
  }
}
