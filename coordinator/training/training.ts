import type { Side } from '../../models/csr.js';
import type { DeviceFacts } from '../../models/device-facts.js';
import type { HolderLost } from '../holders/holder-lost.js';
import type { RunPlan } from '../plan/plan-run.js';
import type { MetricsLog } from './metrics-log.js';

/** The training of one run, whatever its model. */
export interface Training {
  readonly plan: RunPlan;
  readonly metrics: MetricsLog;
  /** Complete phases, those of earlier lives of the run included. */
  readonly phasesDone: number;
  readonly phaseCount: number;
  /** Milliseconds that the phase in progress has taken so far. */
  readonly phaseMs: number;
  /** Sessions that delivered blocks. */
  readonly sessions: ReadonlySet<string>;
  /** Each different device of workers that delivered, in earlier lives of the run too. */
  readonly devices: DeviceFacts[];
  /** Most workers that were there at once. */
  readonly workersMost: number;
  /** A table of the model that a run which has ended has: f32 [rows, plan.factors]. */
  table(side: Side): Promise<Float32Array>;
  /** Rows are gone, or will be: `run` rejects with the loss. Resolves when nothing is needed of the tables any more. */
  retreat(loss: HolderLost): Promise<void>;
  /**
   * Does the phases. Resolves when all are complete or the run was stopped, with a checkpoint on disk. @throws {HolderLost}
   * the run is to go back to its last checkpoint.
   */
  run(): Promise<'completed' | 'stopped'>;
}
