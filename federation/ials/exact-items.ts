import { packedGramLength } from '../../models/gram.js';
import type { Exchange } from './exchange.js';
import { type ItemSolve, type SolveArrays, storeFactors } from './item-solve.js';
import type { ItemSystems } from './item-systems.js';

/** `cholesky`: A_i and b_i come whole, and the item is solved at once. */
export class ExactItems implements ItemSolve {
  readonly factors: Float32Array;
  readonly operand = undefined;
  readonly #systems: ItemSystems;
  readonly #isProjected: boolean;

  constructor(
    systems: ItemSystems,
    factors: Float32Array,
    o: { isProjected: boolean },
    resumed?: SolveArrays,
  ) {
    this.#systems = systems;
    this.#isProjected = o.isProjected;
    this.factors = (resumed?.['factors'] as Float32Array | undefined) ?? factors.slice();
  }

  get arrays(): SolveArrays {
    return { factors: this.factors };
  }

  receive(_exchange: Exchange, item: number, sums: Float64Array): void {
    const k = this.#systems.factors;
    const matrix = sums.subarray(0, packedGramLength(k));
    const side = sums.subarray(packedGramLength(k));
    // Nobody has it, or nothing of it: as a row without entries is exactly zero.
    if (this.#systems.isEmpty(item) || side.every((value) => value === 0)) side.fill(0);
    else this.#systems.solveBlock(item, { start: 0, end: k, isProjected: this.#isProjected }, matrix, side);
    storeFactors(this.factors, item * k, side, item);
  }

  advance(): void {}

  cut(): void {}
}
