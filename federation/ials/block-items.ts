import { assert } from '../../common/errors.js';
import { packedGramLength } from '../../models/gram.js';
import type { Exchange } from './exchange.js';
import { type ItemSolve, type SolveArrays, storeFactors } from './item-solve.js';
import type { ItemSystems } from './item-systems.js';

/**
 * `ials++`: one block of dimensions an exchange, (A_ππ + s·G_ππ + λ_i I) δ = b_π − (A_i + s·G + λ_i I)_π· y_i, then
 * y_π += δ. What is left after fewer blocks is the result of those blocks: the loss over the cohort never rises.
 */
export class BlockItems implements ItemSolve {
  readonly #systems: ItemSystems;
  readonly #isProjected: boolean;
  /** Y as participants have it. */
  readonly #now: Float32Array;
  /** Y with the block in progress in it: equal to `#now` between exchanges. */
  readonly #next: Float32Array;

  constructor(
    systems: ItemSystems,
    factors: Float32Array,
    o: { isProjected: boolean },
    resumed?: SolveArrays,
  ) {
    this.#systems = systems;
    this.#isProjected = o.isProjected;
    this.#now = (resumed?.['factors'] as Float32Array | undefined) ?? factors.slice();
    this.#next = this.#now.slice();
  }

  get factors(): Float32Array {
    return this.#now;
  }

  get operand(): Float32Array {
    return this.#now;
  }

  get arrays(): SolveArrays {
    return { factors: this.#now };
  }

  receive(exchange: Exchange, item: number, sums: Float64Array): void {
    assert(exchange.kind === 'block', 'blocks are exchanged');
    const { start, end } = exchange;
    const k = this.#systems.factors;
    const at = item * k;
    const matrix = sums.subarray(0, packedGramLength(end - start));
    const side = sums.subarray(matrix.length);
    if (this.#systems.isEmpty(item)) {
      this.#next.fill(0, at + start, at + end);
      return;
    }
    for (let r = start; r < end; r++) {
      side[r - start] = side[r - start]! - this.#systems.sharedProduct(item, r, this.#now, at);
    }
    this.#systems.solveBlock(item, { start, end, isProjected: this.#isProjected }, matrix, side);
    for (let r = start; r < end; r++) side[r - start] = side[r - start]! + this.#now[at + r]!;
    storeFactors(this.#next, at + start, side, item);
  }

  advance(): void {
    this.#now.set(this.#next);
  }

  cut(): void {}
}
