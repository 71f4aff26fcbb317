/**
 * Uniform random words and whole numbers from a source of bytes that is passed in. For noise the source must be
 * cryptographic (`chachaWords`): whoever can predict noise can take it away.
 */
export class RandomWords {
  readonly #fill: (words: Uint32Array<ArrayBuffer>) => void;
  /** Words of the source, used from the front: [used, length) are left. */
  readonly #buffer: Uint32Array<ArrayBuffer>;
  #used: number;

  /**
   * @param fill   overwrites all words with fresh random ones.
   * @param length words fetched at a time.
   */
  constructor(fill: (words: Uint32Array<ArrayBuffer>) => void, length = 4096) {
    this.#fill = fill;
    this.#buffer = new Uint32Array(length);
    this.#used = length;
  }

  /** 32 uniform bits, 0 to 2^32 − 1. */
  next(): number {
    if (this.#used === this.#buffer.length) {
      this.#fill(this.#buffer);
      this.#used = 0;
    }
    return this.#buffer[this.#used++]!;
  }

  /** Uniform whole number in [0, n), exactly: words that do not fit are drawn again. 1 <= n <= 2^53. */
  below(n: number): number {
    if (n <= 0x1_0000_0000) {
      if (n === 1) return 0;
      const shift = Math.clz32(n - 1);
      for (;;) {
        const drawn = this.next() >>> shift;
        if (drawn < n) return drawn;
      }
    }
    const shift = Math.clz32(Math.floor((n - 1) / 0x1_0000_0000));
    for (;;) {
      const drawn = (this.next() >>> shift) * 0x1_0000_0000 + this.next();
      if (drawn < n) return drawn;
    }
  }
}
