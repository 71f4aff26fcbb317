import { assert } from '../../common/errors.js';
import type { BlockLoss } from '../../models/device.js';
import { addPackedGram, packedGramLength } from '../../models/gram.js';

/** What a block adds to the sums of its phase. */
export interface BlockSums {
  /** Packed Gram of the block's rows. */
  gram: Float64Array;
  loss?: BlockLoss;
}

/**
 * The sums of a phase over its blocks, added in the order of the blocks, never of arrival, so that every schedule
 * gives the same bits. A block that comes early waits for those before it.
 */
export class PhaseSums {
  readonly gram: Float64Array;
  readonly #early = new Map<number, BlockSums>();
  readonly #blocks: number;
  #next = 0;
  #observed = 0;
  #penalty = 0;
  #hasLoss = true;

  constructor(blocks: number, factors: number) {
    this.#blocks = blocks;
    this.gram = new Float64Array(packedGramLength(factors));
  }

  add(block: number, sums: BlockSums): void {
    assert(block >= this.#next && !this.#early.has(block), `block ${block} counts once`);
    this.#early.set(block, sums);
    for (let ready = this.#early.get(this.#next); ready !== undefined; ready = this.#early.get(this.#next)) {
      this.#early.delete(this.#next);
      addPackedGram(this.gram, ready.gram);
      if (ready.loss === undefined) this.#hasLoss = false;
      this.#observed += ready.loss?.observed ?? 0;
      this.#penalty += ready.loss?.penalty ?? 0;
      this.#next++;
    }
  }

  get isComplete(): boolean {
    return this.#next === this.#blocks;
  }

  /** Sums of the losses; undefined unless every block had one. */
  get loss(): BlockLoss | undefined {
    return this.#hasLoss ? { observed: this.#observed, penalty: this.#penalty } : undefined;
  }
}
