import { assert } from '../../common/errors.js';
import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import { type BlockSums, PhaseSums } from './phase-sums.js';

/** What is known of a complete table besides its rows. */
export interface TableSums {
  /** Packed Gram of the table. */
  gram: Float64Array;
  /** Σ λ_row ‖row‖²; undefined where losses are not asked for. */
  penalty?: number;
}

/** The sums of both tables, and those of the phase in progress. */
export class PhaseLedger {
  readonly #factors: number;
  readonly #sums: Record<Side, TableSums>;
  #phase: { side: Side; sums: PhaseSums } | undefined;

  constructor(factors: number) {
    this.#factors = factors;
    const none = () => ({ gram: new Float64Array(packedGramLength(factors)) });
    this.#sums = { users: none(), items: none() };
  }

  /** The side whose phase is in progress. */
  get side(): Side {
    assert(this.#phase !== undefined, 'a phase is in progress');
    return this.#phase.side;
  }

  /** Sums of a side at its present clock. */
  sums(side: Side): TableSums {
    return this.#sums[side];
  }

  /** Sums of initial factors, or of tables from a checkpoint. */
  setSums(side: Side, sums: TableSums): void {
    this.#sums[side] = sums;
  }

  begin(side: Side, blocks: number): void {
    this.#phase = { side, sums: new PhaseSums(blocks, this.#factors) };
  }

  /** Takes an accepted block; each block of a phase exactly once. */
  add(block: number, sums: BlockSums): void {
    assert(this.#phase !== undefined, 'a phase is in progress');
    this.#phase.sums.add(block, sums);
  }

  /** Ends the phase. Returns the losses summed over its blocks. */
  commit(): BlockLoss | undefined {
    assert(this.#phase?.sums.isComplete, 'all blocks of the phase are in');
    const { side, sums } = this.#phase;
    this.#sums[side] = { gram: sums.gram, penalty: sums.loss?.penalty };
    this.#phase = undefined;
    return sums.loss;
  }
}
