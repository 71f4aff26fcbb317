// The server's numbers in a simulated federation: what its disk holds of them, and what a sum does to it. Also the
// oracle's, which goes through the rounds that counted without machines, clocks and restarts.

import { type Census, censusOf } from '../../../federation/ials/census.js';
import { ItemSweep, type SweepOptions, type SweepState } from '../../../federation/ials/item-sweep.js';
import type { RoundKey } from '../../../federation/rounds/events.js';
import { packedGramLength } from '../../../models/gram.js';
import { FACTORS, ITEMS, initialItems, OBJECTIVE, type SimulatedPlan } from './simulated-plan.js';

export interface ItemSide {
  /** The items' factors as the sweep in progress began. */
  readonly items: Float32Array;
  readonly census?: Census;
  /** Of the sweep in progress, after its first round. */
  readonly state?: SweepState;
}

export function initialSide(plan: SimulatedPlan): ItemSide {
  return { items: initialItems(plan.seed) };
}

/** What participants multiply in an exchange. */
export function operandOf(plan: SimulatedPlan, side: ItemSide): Float32Array | undefined {
  return sweepOf(plan, side).operand;
}

/** The side after a round, from its contributors' uploads in the order in which they are summed. */
export function applyRound(
  plan: SimulatedPlan,
  side: ItemSide,
  key: RoundKey,
  uploads: readonly Float64Array[],
): ItemSide {
  const sum = new Float64Array(uploads[0]!.length);
  for (const upload of uploads) for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + upload[i]!;
  if (key.sweep < 0) return { items: side.items, census: censusOf(sum) };
  const sweep = sweepOf(plan, side);
  const gramLength = key.exchange === 0 ? packedGramLength(FACTORS) : 0;
  if (key.exchange === 0) sweep.receiveGram(sum.slice(0, gramLength));
  sweep.receive({ itemStart: 0, itemEnd: ITEMS }, sum.slice(gramLength));
  sweep.advance();
  if (sweep.exchange === undefined) return { items: sweep.factors, census: side.census };
  return { ...side, state: structuredClone(sweep.state) };
}

/** The side after its sweep was cut. */
export function cutSweep(plan: SimulatedPlan, side: ItemSide): ItemSide {
  const sweep = sweepOf(plan, side);
  sweep.cut();
  return { items: sweep.factors, census: side.census };
}

function sweepOf(plan: SimulatedPlan, side: ItemSide): ItemSweep {
  const options: SweepOptions = {
    objective: OBJECTIVE,
    solver: plan.solver,
    items: ITEMS,
    factors: FACTORS,
    census: side.census,
  };
  // A copy: what is on disk is not changed in place.
  return new ItemSweep(
    options,
    side.items,
    side.state === undefined ? undefined : structuredClone(side.state),
  );
}
