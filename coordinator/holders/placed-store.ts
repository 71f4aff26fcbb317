import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import { PhaseLedger, type TableSums } from '../parameters/phase-ledger.js';
import type { BlockSums } from '../parameters/phase-sums.js';
import type { PhaseTables } from '../parameters/phase-tables.js';
import { gatherRows, type RowSource } from '../parameters/row-source.js';
import type { PlacedTables } from './placed-tables.js';

/** Rows in parameter processes, as far as a store needs them. */
type Placed = Pick<PlacedTables, 'results' | 'factors' | 'rows' | 'accept' | 'commit' | 'source'>;

/** The tables of a run with their Grams, the rows of which are in parameter processes. */
export class PlacedStore implements PhaseTables {
  readonly placed: Placed;
  readonly #ledger: PhaseLedger;
  readonly #clocks: Record<Side, number>;
  readonly #whole: Partial<Record<Side, { clock: number; rows: Promise<Float32Array> }>> = {};

  constructor(placed: Placed, clocks: Readonly<Record<Side, number>>) {
    this.placed = placed;
    this.#ledger = new PhaseLedger(placed.factors);
    this.#clocks = { ...clocks };
  }

  get factors(): number {
    return this.placed.factors;
  }

  rows(side: Side): number {
    return this.placed.rows(side);
  }

  clock(side: Side): number {
    return this.#clocks[side];
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

  apply(block: number, sums: BlockSums, leaseId: number): void {
    const { side } = this.#ledger;
    this.#ledger.add(block, sums);
    this.placed.accept({ side, block, clock: this.#clocks[side] + 1, leaseId });
  }

  async commitPhase(): Promise<BlockLoss | undefined> {
    const { side, clock } = this.next;
    await this.placed.commit(side, clock);
    return this.committed();
  }

  /** The side whose phase is in progress, and the clock that the phase will end at. */
  get next(): { side: Side; clock: number } {
    const { side } = this.#ledger;
    return { side, clock: this.#clocks[side] + 1 };
  }

  /** All processes have ended the phase. */
  committed(): BlockLoss | undefined {
    const { side, clock } = this.next;
    this.#clocks[side] = clock;
    return this.#ledger.commit();
  }

  source(side: Side): RowSource {
    return this.placed.source(side, this.#clocks[side]);
  }

  /** Asked again at one clock, it answers the same array. */
  whole(side: Side): Promise<Float32Array> {
    const clock = this.#clocks[side];
    let kept = this.#whole[side];
    if (kept?.clock !== clock) {
      kept = { clock, rows: gatherRows(this.source(side)) };
      this.#whole[side] = kept;
    }
    return kept.rows;
  }
}
