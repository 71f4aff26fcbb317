import type { Side } from '../../models/csr.js';
import type { PlanBlock } from '../plan/plan-blocks.js';
import type { RowSource } from './row-source.js';
import type { StepDelivery } from './step-delivery.js';
import type { StepAnswer } from './step-service.js';

/** The tables of a run that pushes and pulls, wherever their rows are: here, or in parameter processes. */
export interface StepTables {
  readonly columns: number;
  /** Every update stamped below it is in. */
  readonly clock: number;
  /** What a read is answered with: the rows, where they are here. */
  answer(read: { block: PlanBlock; items: Int32Array }, staleness: number): StepAnswer;
  /** Takes an accepted update of a block, each once, clocks of a block in order. */
  apply(block: PlanBlock, delivery: StepDelivery): void;
  /** Ends the next clock: all of its updates are in. */
  commit(): void;
  /** Resolves when what was applied can be read everywhere. Absent: at once. @throws {HolderLost}. */
  settled?(): Promise<void>;
  /** Keeps the tables as they are: initially, and when an epoch is complete. @throws {HolderLost}. */
  keep(): void | Promise<void>;
  /** Keeps what `keep` kept until it is called again: the tables of the best epoch so far. @throws {HolderLost}. */
  keepBest(): void | Promise<void>;
  /** A side as it was when `keepBest` was called last; undefined before. */
  bestSource(side: Side): RowSource | undefined;
  /** Its rows: f32 [rows, columns]. @throws {HolderLost}. */
  bestRows(side: Side): Float32Array | Promise<Float32Array> | undefined;
  /** A side as it was kept last. */
  source(side: Side): RowSource;
  /** Kept rows of a side: f32 [rowEnd − rowStart, columns]; all of them by default. @throws {HolderLost}. */
  kept(side: Side, range?: { rowStart: number; rowEnd: number }): Float32Array | Promise<Float32Array>;
}
