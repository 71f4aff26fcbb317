import type { Csr } from '../csr.js';
import { DRAW_PURPOSE, type DrawCounter } from './draw-counter.js';
import type { NegativeSampling } from './sgd-settings.js';

/** Draws before a learner counts as one who took everything: at 90 % of the catalogue one in 30 samples is lost. */
const TRIES_MAX = 32;
const TRIES_PER_DRAW = 2;

/** Draws items that a user did not take. */
export class NegativeSampler {
  readonly #items: number;
  readonly #cumulative: Float64Array | undefined;

  /** @param itemCounts users of each item, [items]. Items nobody took are never drawn by `popularity`. */
  constructor(itemCounts: Int32Array, options: { negatives: NegativeSampling; popularityExponent: number }) {
    this.#items = itemCounts.length;
    if (options.negatives === 'uniform') return;
    let total = 0;
    this.#cumulative = Float64Array.from(itemCounts, (count) => {
      total += count === 0 ? 0 : count ** options.popularityExponent;
      return total;
    });
  }

  /** [items]: weights added up to and with each item; absent where all are drawn alike. */
  get cumulative(): Float64Array | undefined {
    return this.#cumulative;
  }

  /**
   * An item that is not in the user's row of `history`, or −1 when none was found in 32 tries.
   *
   * A function of (seed, epoch, block, draw): see `DrawCounter`.
   */
  draw(counter: DrawCounter, draw: number, history: Csr, row: number): number {
    const { words } = counter;
    for (let attempt = 0; attempt < TRIES_MAX; attempt++) {
      const half = attempt % TRIES_PER_DRAW;
      if (half === 0) counter.draw(DRAW_PURPOSE.negatives + attempt / TRIES_PER_DRAW, draw);
      const unit = unitOf(words[2 * half]!, words[2 * half + 1]!);
      const item = this.#cumulative === undefined ? Math.floor(unit * this.#items) : this.#search(unit);
      if (!rowHas(history, row, item)) return item;
    }
    return -1;
  }

  /** The first item whose sum is above the drawn one. */
  #search(unit: number): number {
    const sums = this.#cumulative!;
    const wanted = unit * sums[sums.length - 1]!;
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! > wanted) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** A number in [0, 1) with 53 random bits. */
function unitOf(high: number, low: number): number {
  return ((high >>> 5) * 0x400_0000 + (low >>> 6)) / 0x20_0000_0000_0000;
}

/** Columns ascend within a row. */
function rowHas({ ptr, idx }: Csr, row: number, item: number): boolean {
  let low = ptr[row]!;
  let high = ptr[row + 1]!;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (idx[middle]! < item) low = middle + 1;
    else high = middle;
  }
  return low < ptr[row + 1]! && idx[low] === item;
}
