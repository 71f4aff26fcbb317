import { DRAW_PURPOSE, DrawCounter } from './draw-counter.js';

/** Rounds of the Feistel network; three make a random permutation in theory, four one that cannot be told apart. */
const ROUNDS = 4;

/** On fewer values the network's permutations are too few to look random; a small block just walks longer. */
const HALF_BITS_MIN = 4;

/**
 * A random order of a block's entries in one epoch, position by position: no list of all of them is made or kept.
 *
 * A balanced Feistel network permutes the least 4^h >= n; a position whose image is not below n walks on along its
 * cycle, on average fewer than four times. Source: Black, Rogaway, "Ciphers with arbitrary finite domains", CT-RSA
 * 2002 (generalised Feistel and cycle walking); Luby, Rackoff, SIAM J. Comput. 17(2), 1988.
 */
export class EntryOrder {
  readonly #count: number;
  readonly #halfBits: number;
  readonly #mask: number;
  readonly #keys = new Uint32Array(ROUNDS);

  /** @param count entries of the block, 0 to 2^30. */
  constructor(count: number, key: { seed: number; epoch: number; block: number }) {
    this.#count = count;
    let halfBits = HALF_BITS_MIN;
    while (4 ** halfBits < count) halfBits++;
    this.#halfBits = halfBits;
    this.#mask = 2 ** halfBits - 1;
    const counter = new DrawCounter(key);
    counter.draw(DRAW_PURPOSE.order, 0);
    this.#keys.set(counter.words);
  }

  /** The entry at a position; 0 <= position < count. Every entry stands at exactly one position. */
  at(position: number): number {
    let value = position;
    do value = this.#permute(value);
    while (value >= this.#count);
    return value;
  }

  #permute(value: number): number {
    const mask = this.#mask;
    let left = value >>> this.#halfBits;
    let right = value & mask;
    for (let round = 0; round < ROUNDS; round++) {
      const next = left ^ (mix(right ^ this.#keys[round]!) & mask);
      left = right;
      right = next;
    }
    return (left << this.#halfBits) | right;
  }
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the answer. */
function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
