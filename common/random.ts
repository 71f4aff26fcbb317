// Randomness as a pure function of (seed, stream, row, position): the counter-based generator Philox4x32-10.
// Two machines that draw for the same row get the same numbers, however rows were shared out between them.

/** First multiplier of Philox4x32 (Salmon et al. 2011, table 2 of the Random123 sources). */
const MULTIPLIER_0 = 0xd2511f53;
/** Second multiplier of Philox4x32. */
const MULTIPLIER_1 = 0xcd9e8d57;
/** Weyl increments of the two key words: the golden ratio and √3 − 1, in 32 bits. */
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/**
 * One block of Philox4x32-10: four 32-bit words from a counter and a key.
 *
 * @param counter four words; read only.
 * @param out     written, four words. May be `counter` itself.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
export function philox4x32(counter: Uint32Array, key0: number, key1: number, out: Uint32Array): void {
  let c0 = counter[0]! | 0;
  let c1 = counter[1]! | 0;
  let c2 = counter[2]! | 0;
  let c3 = counter[3]! | 0;
  let k0 = key0 | 0;
  let k1 = key1 | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Upper 32 bits of the unsigned 64-bit product of two words, by halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + (Math.imul(aLow, bLow) >>> 16);
  const cross = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + (middle >>> 16) + (cross >>> 16)) | 0;
}

/** A sequence of numbers that depends on (seed, stream, row) alone. */
export interface Random {
  /** Uniform in [0, 1), with 53 random bits. */
  next(): number;
  /** Uniform whole number in [0, n), without bias; 1 <= n <= 2^32. */
  int(n: number): number;
  /** Normal with mean 0 and standard deviation 1. */
  normal(): number;
  /** Goes to the start of a row's own sequence; 0 <= row < 2^32. A fresh `Random` stands at row 0. */
  seekRow(row: number): void;
}

/**
 * Makes a generator.
 *
 * @param seed   whole number, 0 to 2^53 − 1.
 * @param stream whole number, 0 to 2^53 − 1: streams of one seed are independent of each other.
 */
export function createRandom(seed: number, stream = 0): Random {
  return new PhiloxRandom(seed, stream);
}

const TWO_32 = 0x1_0000_0000;

class PhiloxRandom implements Random {
  /** Position within the row, row, stream (low, high). */
  readonly #counter = new Uint32Array(4);
  readonly #words = new Uint32Array(4);
  readonly #key0: number;
  readonly #key1: number;
  /** Words of the current block already handed out; 4 means none is left. */
  #used = 4;
  /** The second normal of the last pair, or NaN. */
  #spareNormal = Number.NaN;

  constructor(seed: number, stream: number) {
    this.#key0 = seed % TWO_32;
    this.#key1 = Math.floor(seed / TWO_32);
    this.#counter[2] = stream % TWO_32;
    this.#counter[3] = Math.floor(stream / TWO_32);
  }

  seekRow(row: number): void {
    this.#counter[0] = 0;
    this.#counter[1] = row;
    this.#used = 4;
    this.#spareNormal = Number.NaN;
  }

  next(): number {
    const high = this.#word() >>> 5;
    const low = this.#word() >>> 6;
    return (high * 0x400_0000 + low) / 0x20_0000_0000_0000;
  }

  int(n: number): number {
    // Words above the greatest multiple of n would favour small results.
    const limit = TWO_32 - (TWO_32 % n);
    for (;;) {
      const word = this.#word();
      if (word < limit) return word % n;
    }
  }

  /** Marsaglia's polar method: only a square root and a logarithm, no trigonometry that differs between engines. */
  normal(): number {
    if (!Number.isNaN(this.#spareNormal)) {
      const spare = this.#spareNormal;
      this.#spareNormal = Number.NaN;
      return spare;
    }
    for (;;) {
      const x = 2 * this.next() - 1;
      const y = 2 * this.next() - 1;
      const s = x * x + y * y;
      if (s > 0 && s < 1) {
        const scale = Math.sqrt((-2 * Math.log(s)) / s);
        this.#spareNormal = y * scale;
        return x * scale;
      }
    }
  }

  #word(): number {
    if (this.#used === 4) {
      philox4x32(this.#counter, this.#key0, this.#key1, this.#words);
      this.#counter[0] = this.#counter[0]! + 1;
      this.#used = 0;
    }
    return this.#words[this.#used++]!;
  }
}
