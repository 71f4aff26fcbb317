import type { Side } from '../../models/csr.js';
import type { BlockLoss } from '../../models/device.js';
import type { TableSums } from './phase-ledger.js';
import type { BlockSums } from './phase-sums.js';
import type { RowSource } from './row-source.js';

/** The tables of a run that trains in phases, wherever their rows are: here, or in parameter processes. */
export interface PhaseTables {
  /** K. */
  readonly factors: number;
  rows(side: Side): number;
  /** Phases that a side's table has completed. */
  clock(side: Side): number;
  /** Sums of a side at its present clock. */
  sums(side: Side): TableSums;
  beginPhase(side: Side, blocks: number): void;
  /** Takes an accepted block, whose rows were handed in under the lease; each block of a phase exactly once. */
  apply(block: number, sums: BlockSums, leaseId: number): void;
  /**
   * Ends the phase: its clock becomes the present one, with all rows in their places. Returns the losses summed over its
   * blocks.
   *
   * @throws {HolderLost} rows are gone.
   */
  commitPhase(): BlockLoss | undefined | Promise<BlockLoss | undefined>;
  /** The rows of a side at its present clock; to be read before the phase after the next one of this side writes. */
  source(side: Side): RowSource;
  /** All rows of a side at its present clock, in this process: f32 [rows, K]. @throws {HolderLost} rows are gone. */
  whole(side: Side): Promise<Float32Array>;
}
