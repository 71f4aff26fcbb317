// What ranks items for users. Plain data over SharedArrayBuffers, so that every thread can use it without a copy.

import type { Csr } from '../../models/csr.js';
import type { IalsObjective } from '../../models/device.js';

export type Scorer = FactorScorer | PopularScorer | NeighbourScorer | WeightScorer;

/** Inner products of user and item factors. */
export interface FactorScorer {
  kind: 'factors';
  /** [users, factors]. */
  userFactors: Float32Array;
  /** [items, factors]. */
  itemFactors: Float32Array;
  factors: number;
  /** Present where users who were not trained get their factors from their history. */
  foldIn?: FoldIn;
}

export interface FoldIn {
  objective: IalsObjective;
  /** Gram of the item factors, f64, [factors, factors]. */
  gram: Float64Array;
  /** The rows of the training; users without any are folded in. */
  train: Csr;
}

export interface PopularScorer {
  kind: 'popular';
  /** Item rows, most popular first. */
  order: Int32Array;
}

/** The nearest neighbours of every item; see models/baselines/item-knn.ts. */
export interface NeighbourScorer {
  kind: 'neighbours';
  neighbours: Int32Array;
  cosines: Float32Array;
  width: number;
}

/** A dense item-to-item matrix; see models/baselines/score-by-weights.ts. */
export interface WeightScorer {
  kind: 'weights';
  weights: Float32Array;
}
