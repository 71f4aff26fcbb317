import type { Random } from '../../common/random.js';

/**
 * Draws an index in proportion to its weight, in constant time.
 *
 * Source: Vose, "A linear algorithm for generating random numbers with a given distribution", IEEE Transactions on
 * Software Engineering 17(9), 1991.
 */
export class AliasTable {
  private readonly keep: Float64Array;
  private readonly alias: Int32Array;

  /** @param weights finite, >= 0, with a sum above 0. */
  constructor(weights: Float64Array) {
    const n = weights.length;
    const sum = weights.reduce((total, weight) => total + weight, 0);
    this.keep = weights.map((weight) => (weight * n) / sum);
    this.alias = new Int32Array(n);
    const small: number[] = [];
    const large: number[] = [];
    for (let k = 0; k < n; k++) (this.keep[k]! < 1 ? small : large).push(k);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large.at(-1)!;
      this.alias[less] = more;
      this.keep[more] = this.keep[more]! + this.keep[less]! - 1;
      if (this.keep[more]! < 1) small.push(large.pop()!);
    }
    // What is left differs from 1 by rounding only.
    for (const k of [...small, ...large]) this.keep[k] = 1;
  }

  draw(random: Random): number {
    const k = random.int(this.keep.length);
    return random.next() < this.keep[k]! ? k : this.alias[k]!;
  }
}
