import { assert } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { FactorTables } from './factor-tables.js';
import { type BlockSums, PhaseSums } from './phase-sums.js';

/** What is known of a complete table besides its rows. */
export interface TableSums {
  /** Packed Gram of the table. */
  gram: Float64Array;
  /** Σ λ_row ‖row‖²; undefined where losses are not asked for. */
  penalty?: number;
}

/** The tables of a run with their Grams: what the phases read and write. */
export class ParameterStore {
  readonly tables: FactorTables;
  readonly #sums: Record<Side, TableSums>;
  #phase: { side: Side; sums: PhaseSums } | undefined;

  constructor(shape: { users: number; items: number; factors: number }) {
    this.tables = new FactorTables(shape);
    const none = () => ({ gram: new Float64Array(packedGramLength(shape.factors)) });
    this.#sums = { users: none(), items: none() };
  }

  /** Sums of a side at its present clock. */
  sums(side: Side): TableSums {
    return this.#sums[side];
  }

  /** Sums of initial factors, or of tables from a checkpoint. */
  setSums(side: Side, sums: TableSums): void {
    this.#sums[side] = sums;
  }

  beginPhase(side: Side, blocks: number): void {
    this.#phase = { side, sums: new PhaseSums(blocks, this.tables.factors) };
  }

  /** Takes an accepted block, whose rows stand in `tables.next`; each block of a phase exactly once. */
  apply(block: number, sums: BlockSums): void {
    assert(this.#phase !== undefined, 'a phase is in progress');
    this.#phase.sums.add(block, sums);
  }

  /** Ends the phase: its clock becomes the present one. Returns the losses summed over its blocks. */
  commitPhase(): BlockLoss | undefined {
    assert(this.#phase?.sums.isComplete, 'all blocks of the phase are in');
    const { side, sums } = this.#phase;
    this.tables.commit(side);
    this.#sums[side] = { gram: sums.gram, penalty: sums.loss?.penalty };
    this.#phase = undefined;
    return sums.loss;
  }
}
