import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import { FactorTables } from './factor-tables.js';
import { PhaseLedger, type TableSums } from './phase-ledger.js';
import type { BlockSums } from './phase-sums.js';
import type { PhaseTables } from './phase-tables.js';
import { arraySource, type RowSource } from './row-source.js';

/** The tables of a run with their Grams, in this process: what the phases read and write. */
export class ParameterStore implements PhaseTables {
  readonly tables: FactorTables;
  readonly #ledger: PhaseLedger;

  constructor(shape: { users: number; items: number; factors: number }) {
    this.tables = new FactorTables(shape);
    this.#ledger = new PhaseLedger(shape.factors);
  }

  get factors(): number {
    return this.tables.factors;
  }

  rows(side: Side): number {
    return this.tables.rows(side);
  }

  clock(side: Side): number {
    return this.tables.clock(side);
  }

  sums(side: Side): TableSums {
    return this.#ledger.sums(side);
  }

  setSums(side: Side, sums: TableSums): void {
    this.#ledger.setSums(side, sums);
  }

  beginPhase(side: Side, blocks: number): void {
    this.#ledger.begin(side, blocks);
  }

  /** Takes an accepted block, whose rows stand in `tables.next`; each block of a phase exactly once. */
  apply(block: number, sums: BlockSums): void {
    this.#ledger.add(block, sums);
  }

  commitPhase(): BlockLoss | undefined {
    const { side } = this.#ledger;
    const loss = this.#ledger.commit();
    this.tables.commit(side);
    return loss;
  }

  source(side: Side): RowSource {
    return arraySource(this.tables.current(side), this.factors);
  }

  async whole(side: Side): Promise<Float32Array> {
    return this.tables.current(side);
  }
}
