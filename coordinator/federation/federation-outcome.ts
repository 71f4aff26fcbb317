import type { Catalogue } from '../../federation/catalogue/catalogue.js';

/** How a run went. */
export interface FederationOutcome {
  isComplete: boolean;
  /** Sweeps that ended early. */
  cuts: number;
  rounds: number;
  aborted: number;
  sweepSeconds: number[];
  /** f32 [items, K]. */
  items: Float32Array;
  catalogue: Catalogue;
}
