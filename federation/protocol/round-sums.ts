// What the numbers of one round are: the same for all participants and the coordinator, from the plan alone.

import { packedGramLength } from '../../models/gram.js';
import { needsCensus } from '../ials/census.js';
import { type Exchange, exchangesOfSweep, numbersPerItem } from '../ials/exchange.js';
import { type ItemChunk, itemChunks } from '../ials/item-chunks.js';
import type { RoundKey } from '../rounds/events.js';
import type { FederatedPlan } from './federated-plan.js';

/** A run of numbers that is made, sent and taken in together. */
export type Segment =
  /** Interactions of each item, then the number of users. */
  | { readonly kind: 'census'; readonly length: number }
  /** The users' Gram, packed. */
  | { readonly kind: 'gram'; readonly length: number }
  /** The sums of some items. */
  | {
      readonly kind: 'items';
      readonly length: number;
      readonly chunk: ItemChunk;
      readonly exchange: Exchange;
    };

export interface RoundSums {
  /** What is summed, in words: tells sums of different things over the same factors apart. */
  readonly purpose: string;
  /** Undefined in a census. */
  readonly exchange?: Exchange;
  readonly segments: readonly Segment[];
  /** Numbers in all. */
  readonly length: number;
  /** Bytes of each as it travels: 8 for words of the ring and for f64, 4 for f32. */
  readonly numberBytes: NumberBytes;
}

export type NumberBytes = 4 | 8;

/** True where the run begins with a census: penalties depend on counts, or noised matrices are made of them. */
export function hasCensus(plan: FederatedPlan): boolean {
  return plan.privacy !== undefined || needsCensus(plan.objective);
}

/**
 * The exchanges of a sweep. With privacy the items' matrices do not leave (they are made of the Gram and the counts): what
 * is summed is b_i = Σ c x alone, which is a residual over items of zero.
 */
export function exchangesOf(plan: FederatedPlan): readonly Exchange[] {
  return plan.privacy === undefined ? exchangesOfSweep(plan.solver, plan.factors) : [{ kind: 'residual' }];
}

/** @param items of the catalogue. */
export function roundSums(
  plan: FederatedPlan,
  items: number,
  { sweep, exchange: at }: Pick<RoundKey, 'sweep' | 'exchange'>,
): RoundSums {
  if (sweep < 0) {
    const length = items + 1;
    return { purpose: 'census', segments: [{ kind: 'census', length }], length, numberBytes: 8 };
  }
  const exchange = exchangesOf(plan)[at]!;
  const perItem = numbersPerItem(exchange, plan.factors);
  const segments: Segment[] = [];
  if (at === 0) segments.push({ kind: 'gram', length: packedGramLength(plan.factors) });
  for (const chunk of itemChunks({ items, perItem })) {
    segments.push({ kind: 'items', length: (chunk.itemEnd - chunk.itemStart) * perItem, chunk, exchange });
  }
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  const place = exchange.kind === 'block' ? ` ${exchange.start}-${exchange.end}` : '';
  return {
    purpose: `sweep ${sweep + 1}, exchange ${at}: ${exchange.kind}${place}`,
    exchange,
    segments,
    length,
    numberBytes: numberBytesOf(plan),
  };
}

/**
 * Sums that leave as they are do so in f32, in which the factors are that they are made of and that are made of them.
 * Noise has a grid that f32 does not have.
 */
function numberBytesOf({ isMasked, privacy }: FederatedPlan): NumberBytes {
  return isMasked || privacy !== undefined ? 8 : 4;
}
