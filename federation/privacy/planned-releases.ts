// Every sum over learners that leaves during a run, named before the run begins. What is not on this list is not sent;
// what is on it is paid for.

import type { SolverName } from '../../models/device.js';
import { packedGramLength } from '../../models/gram.js';
import type { ReleaseKind } from './learner-bounds.js';
import type { NoisedRelease } from './privacy-loss.js';

export interface RunShape {
  readonly solver: SolverName;
  readonly sweeps: number;
  readonly items: number;
  /** K. */
  readonly factors: number;
  /** q of `cg`. */
  readonly cgSteps: number;
  /** Dimensions of a block of `ials++`. */
  readonly block: number;
  /**
   * True where A_i is not summed but made from what leaves anyway, as n̂_i/|U| of the users' Gram: right where the learners
   * of an item are like all learners, and without a release, which buys less noise for the rest. For `cholesky` with
   * `needsCounts`. @default false
   */
  readonly statisticsFromGram?: boolean;
  /** True when items' counts are needed: ν ≠ 0, or weights that adapt to them. */
  readonly needsCounts: boolean;
  /** Sums of held-out metrics in each sweep, 0 for none: they come from learners' data too. */
  readonly metrics: number;
}

/** Standard deviation over sensitivity, for each kind of sum. */
export type NoiseMultipliers = Readonly<Record<ReleaseKind, number>>;

export interface PlannedRelease extends NoisedRelease {
  /** Unique within the run: `sweep 3, cgProduct 2`. */
  readonly name: string;
  readonly kind: ReleaseKind;
  /** 0 before the first sweep; sweeps count from 1. */
  readonly sweep: number;
  /** Of the sweep's exchanges between server and participants the one it goes with, from 0. */
  readonly exchange: number;
  /** Entries of the sum. Blocks of `ials++` come one after the other and are one release (learner-bounds.ts). */
  readonly coordinates: number;
}

/** The releases of a run, in the order in which they leave. */
export function plannedReleases(shape: RunShape, noise: NoiseMultipliers): PlannedRelease[] {
  const releases: PlannedRelease[] = [];
  const add = (kind: ReleaseKind, sweep: number, coordinates: number, exchange = 0) => {
    const again = releases.filter((one) => one.kind === kind && one.sweep === sweep).length;
    const name = `${sweep === 0 ? 'setup' : `sweep ${sweep}`}, ${kind}${again === 0 ? '' : ` ${again + 1}`}`;
    releases.push({ name, kind, sweep, exchange, coordinates, noiseMultiplier: noise[kind] });
  };
  const { items, factors } = shape;
  if (shape.needsCounts) {
    add('itemCounts', 0, items);
    add('learnerCount', 0, 1);
  }
  for (let sweep = 1; sweep <= shape.sweeps; sweep++) {
    add('gram', sweep, packedGramLength(factors));
    if (shape.solver === 'cg') {
      add('residual', sweep, items * factors);
      for (let exchange = 1; exchange <= shape.cgSteps; exchange++) {
        add('cgProduct', sweep, items * factors, exchange);
      }
    } else if (shape.solver === 'cholesky' || shape.block >= factors) {
      if (shape.statisticsFromGram !== true) add('statistics', sweep, items * packedGramLength(factors));
      add('targets', sweep, items * factors);
    } else {
      add('statistics', sweep, items * blockEntries(factors, shape.block));
      add('residual', sweep, items * factors);
    }
    for (let metric = 0; metric < shape.metrics; metric++) add('metric', sweep, 1);
  }
  return releases;
}

/** Entries of the triangles of all blocks, the last of which may be smaller. */
function blockEntries(factors: number, block: number): number {
  const last = factors % block;
  return Math.floor(factors / block) * packedGramLength(block) + packedGramLength(last);
}
