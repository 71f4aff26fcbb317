import type { Random } from '../../common/random.js';
import type { EventQueue } from './event-queue.js';

/** What goes wrong with messages; all of it until `calmMs`, only delay afterwards. */
export interface NetworkFaults {
  /** Probability that a message is lost. */
  readonly loss: number;
  /** Probability that it arrives twice. */
  readonly duplication: number;
  /** Longest usual delay, ms; differing delays reorder messages. */
  readonly delayMs: number;
  /** Probability of a delay of up to `STALL_MS`. */
  readonly stall: number;
  /** Probability that a byte of a chunk is flipped. */
  readonly corruption: number;
  readonly calmMs: number;
}

/** Longest delay of all, ms. */
export const STALL_MS = 8000;

/** Carries messages between named nodes with delay, loss, duplication, reordering, partitions and one-way cuts. */
export class SimulatedNetwork {
  readonly #queue: EventQueue;
  readonly #random: Random;
  readonly #faults: NetworkFaults;
  /** "from>to" → until when nothing passes. */
  readonly #cuts = new Map<string, number>();
  readonly counts = { lost: 0, duplicated: 0, cut: 0 };

  constructor(queue: EventQueue, random: Random, faults: NetworkFaults) {
    this.#queue = queue;
    this.#random = random;
    this.#faults = faults;
  }

  get isCalm(): boolean {
    return this.#queue.nowMs >= this.#faults.calmMs;
  }

  /** Nothing passes in this direction for a while, never beyond the calm. */
  cut(from: string, to: string, forMs: number): void {
    this.#cuts.set(`${from}>${to}`, Math.min(this.#faults.calmMs, this.#queue.nowMs + forMs));
  }

  send(from: string, to: string, deliver: () => void): void {
    const { loss, duplication, delayMs, stall } = this.#faults;
    const random = this.#random;
    if (this.isCalm) {
      this.#queue.after(random.next() * delayMs, deliver);
      return;
    }
    if (this.#cuts.size > 0 && this.#queue.nowMs < (this.#cuts.get(`${from}>${to}`) ?? 0)) {
      this.counts.cut++;
      return;
    }
    if (random.next() < loss) {
      this.counts.lost++;
      return;
    }
    const copies = random.next() < duplication ? 2 : 1;
    this.counts.duplicated += copies - 1;
    for (let copy = 0; copy < copies; copy++) {
      this.#queue.after(random.next() * (random.next() < stall ? STALL_MS : delayMs), deliver);
    }
  }

  /** The bytes as they arrive: now and then one of them is flipped, in a copy. */
  carry(bytes: Buffer): Buffer {
    if (this.isCalm || bytes.length === 0 || this.#random.next() >= this.#faults.corruption) return bytes;
    const damaged = Buffer.from(bytes);
    const at = this.#random.int(damaged.length);
    damaged[at] = damaged[at]! ^ (1 << this.#random.int(8));
    return damaged;
  }
}
