// An epoch of a planned run, as `simulateFleet` plays it.

import { otherSide, type Side } from '../../models/csr.js';
import type { RunPlan } from './plan-run.js';
import type { FleetModel, ThreadSpeed } from './simulate-fleet.js';

export interface FleetOptions extends Pick<FleetModel, 'threads' | 'sharesBlocks' | 'place'> {
  /** Of one thread, on blocks of each side. */
  speeds: Readonly<Record<Side, ThreadSpeed>>;
  /** Largest shares of the sides that one parameter process has; absent: the coordinator has all rows. */
  largest?: Readonly<Record<Side, number>>;
}

/** @param plan of a model that trains in phases. */
export function fleetModel(plan: RunPlan, { speeds, largest, ...fleet }: FleetOptions): FleetModel {
  const rowBytes = 4 * plan.factors;
  const phase = (side: Side) => ({
    blocks: plan.blocks[side],
    fixedBytes: plan[otherSide(side)] * rowBytes,
    speed: speeds[side],
    ...(largest && { placed: { fixed: largest[otherSide(side)], own: largest[side] } }),
  });
  return { ...fleet, rowBytes, phases: [phase('users'), phase('items')] };
}
