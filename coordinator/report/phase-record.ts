import type { Side } from '../../models/csr.js';
import type { DeviceFacts } from '../../models/device-facts.js';

/** One completed phase; times in milliseconds since the start of the run. */
export interface PhaseRecord {
  /** From 1. */
  epoch: number;
  side: Side;
  startMs: number;
  endMs: number;
  /** Rows solved. */
  rows: number;
  /** The objective after the phase, where it was computed. */
  loss?: number;
  blocks: BlockRecord[];
  /** Of a run that pushes and pulls: mean loss of held-out interactions after the epoch. */
  validation?: number;
  /** Entry s: reads of the epoch that were s clocks behind. */
  staleness?: number[];
  /**
   * What blocks read and delivered, in order: [block, clock, every update stamped below this was in the rows]; −1 in
   * the last place: the block's update of that clock was applied.
   */
  reads?: [block: number, clock: number, seen: number][];
  /** Each different device that solved blocks; absent in records of versions that did not keep it. */
  devices?: DeviceFacts[];
}

/** One block as the worker whose result counted computed it. */
export interface BlockRecord {
  worker: string;
  block: number;
  startMs: number;
  endMs: number;
}
