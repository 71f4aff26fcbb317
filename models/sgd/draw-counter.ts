// Random words as a pure function of (seed, purpose, epoch, block, draw): the same generator as common/random.ts, with
// counters that its streams never reach.

import { philox4x32 } from '../../common/random.js';

/** Upper counter words of our draws. `Random` keeps the upper half of a stream number there, below 2^21. */
export const DRAW_PURPOSE = { order: 0x5347_0000, negatives: 0x5348_0000, validation: 0x5349_0000 } as const;

const TWO_32 = 0x1_0000_0000;

/** Draws four words at a time. */
export class DrawCounter {
  /** The words of the last `draw`. */
  readonly words = new Uint32Array(4);
  readonly #counter = new Uint32Array(4);
  readonly #key0: number;
  readonly #key1: number;

  /** @param key `seed` 0 to 2^53 − 1; `epoch` and `block` 0 to 2^32 − 1. */
  constructor(key: { seed: number; epoch: number; block: number }) {
    this.#key0 = key.seed % TWO_32;
    this.#key1 = Math.floor(key.seed / TWO_32);
    this.#counter[1] = key.block;
    this.#counter[2] = key.epoch;
  }

  /** @param purpose one of `DRAW_PURPOSE`, plus up to 2^16 − 1 for further words of the same draw. */
  draw(purpose: number, draw: number): void {
    this.#counter[0] = draw;
    this.#counter[3] = purpose;
    philox4x32(this.#counter, this.#key0, this.#key1, this.words);
  }
}
