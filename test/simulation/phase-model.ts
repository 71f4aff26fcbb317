// A model whose block tasks are as pure as those of iALS and much cheaper: every number of a result depends on every
// number that a task reads, by a map that doubles the smallest difference, so that a wrong, missing, stale or repeated
// block shows in the bits.

import type { PlanBlock } from '../../coordinator/plan/plan-blocks.js';
import { phaseOf } from '../../coordinator/schedule/phases.js';
import type { Side } from '../../models/csr.js';
import { addPackedGram, packedGramLength } from '../../models/gram.js';
import { FACTORS, type SimulatedPlan } from './simulated-plan.js';

export interface BlockSolution {
  /** [rows, FACTORS]. */
  readonly rows: Float32Array;
  /** Packed. */
  readonly gram: Float64Array;
}

/**
 * @param fixed the other side, [m, FACTORS].
 * @param gram  its packed Gram.
 * @param prior the block's own rows, [rows, FACTORS].
 */
export function solveBlock(
  { side, rowStart }: PlanBlock,
  fixed: Float32Array,
  gram: Float64Array,
  prior: Float32Array,
): BlockSolution {
  const rows = new Float32Array(prior.length);
  for (let n = 0; n < rows.length; n++) {
    const place = 7 * (rowStart * FACTORS + n) + (side === 'users' ? 0 : 3);
    let sum = 0.37 * prior[n]! + 0.5;
    for (let j = 0; j < fixed.length; j++) sum += weightOf(place + 31 * j) * fixed[j]!;
    for (let j = 0; j < gram.length; j++) sum += 0.01 * weightOf(place + 17 * j) * gram[j]!;
    rows[n] = 2 * sum - Math.round(2 * sum);
  }
  return { rows, gram: gramOf(rows) };
}

/** Items at clock 0; users are zero. */
export function initialItems({ rows, seed }: SimulatedPlan): Float32Array {
  return Float32Array.from({ length: rows.items * FACTORS }, (_, n) => weightOf(13 * n + seed) - 0.6);
}

export function gramOf(rows: Float32Array): Float64Array {
  const gram = new Float64Array(packedGramLength(FACTORS));
  for (let row = 0; row < rows.length; row += FACTORS) {
    for (let r = 0, at = 0; r < FACTORS; r++) {
      for (let c = 0; c <= r; c++, at++) gram[at] = gram[at]! + rows[row + r]! * rows[row + c]!;
    }
  }
  return gram;
}

/** The Gram of a whole table: of its blocks, summed in their order. */
export function gramOfTable(table: Float32Array, blocks: readonly PlanBlock[]): Float64Array {
  const sum = new Float64Array(packedGramLength(FACTORS));
  for (const { rowStart, rowEnd } of blocks) {
    addPackedGram(sum, gramOf(table.subarray(rowStart * FACTORS, rowEnd * FACTORS)));
  }
  return sum;
}

export type PhaseTables = Readonly<
  Record<Side, { readonly table: Float32Array; readonly gram: Float64Array }>
>;

/** The tables before each phase, and after the last, of a run without machines: one block after another in one loop. */
export class PhaseReference {
  readonly #plan: SimulatedPlan;
  readonly #before: PhaseTables[];

  constructor(plan: SimulatedPlan) {
    this.#plan = plan;
    const items = initialItems(plan);
    const users = new Float32Array(plan.rows.users * FACTORS);
    this.#before = [
      {
        users: { table: users, gram: new Float64Array(packedGramLength(FACTORS)) },
        items: { table: items, gram: gramOfTable(items, plan.blocks.items) },
      },
    ];
  }

  before(phase: number): PhaseTables {
    while (this.#before.length <= phase) this.#before.push(this.#after(this.#before.length - 1));
    return this.#before[phase]!;
  }

  #after(index: number): PhaseTables {
    const { side } = phaseOf(index);
    const blocks = this.#plan.blocks[side];
    const tables = this.#before[index]!;
    const fixed = tables[side === 'users' ? 'items' : 'users'];
    const table = new Float32Array(tables[side].table.length);
    for (const block of blocks) {
      const prior = tables[side].table.slice(block.rowStart * FACTORS, block.rowEnd * FACTORS);
      table.set(solveBlock(block, fixed.table, fixed.gram, prior).rows, block.rowStart * FACTORS);
    }
    return { ...tables, [side]: { table, gram: gramOfTable(table, blocks) } };
  }
}

/** In [0.25, 1), of 97 different values. */
function weightOf(n: number): number {
  return 0.25 + ((n * 37) % 97) / 130;
}
