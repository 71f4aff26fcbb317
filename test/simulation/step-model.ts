// A model for push and pull in which every update signs its name. Block b at clock c writes one number v(b, c) of
// [1, 1.5) into cell [b, c] of the shared table, into cell [c] of its own row, and a share into a row that all blocks
// change. v depends on everything that the task read. So a read tells which updates it saw: a cell is 0 before, v after,
// and nothing else ever.

import type { RowDeltas } from '../../coordinator/parameters/shared-rows.js';
import { clocksOf, type SimulatedPlan } from './simulated-plan.js';

export interface StepSolution {
  readonly value: number;
  /** The block's user row, [clocks]. */
  readonly users: Float32Array;
  readonly deltas: RowDeltas;
}

/**
 * @param users the block's user row, [clocks].
 * @param items the shared table, [blocks + 1, clocks].
 */
export function solveStep(
  block: number,
  clock: number,
  users: Float32Array,
  items: Float32Array,
): StepSolution {
  const clocks = users.length;
  let sum = 0.1 + 0.01 * block + 0.001 * clock;
  for (let n = 0; n < items.length; n++) sum += (0.3 + ((n * 37) % 97) / 140) * items[n]!;
  for (let n = 0; n < clocks; n++) sum += 0.71 * users[n]!;
  const value = Math.fround(1 + (sum - Math.floor(sum)) / 2.0001);
  const row = Float32Array.from(users);
  row[clock] = value;
  const deltas = new Float32Array(2 * clocks);
  deltas[clock] = value;
  deltas[clocks + clock] = (value - 1) * 10 ** (block % 3);
  const shared = items.length / clocks - 1;
  return {
    value,
    users: row,
    deltas: { rows: Int32Array.of(block, shared), deltas, counts: Uint32Array.of(1, 1) },
  };
}

/** The shared table after each clock, and the users at the end, of one loop: what `bsp` and `local` must give. */
export function stepReference(plan: SimulatedPlan): { users: Float32Array; items: Float32Array } {
  const blocks = plan.blocks.users.length;
  const clocks = clocksOf(plan);
  const users = new Float32Array(blocks * clocks);
  const items = new Float32Array((blocks + 1) * clocks);
  for (let clock = 0; clock < clocks; clock++) {
    const before = items.slice();
    let shared = 0;
    for (let block = 0; block < blocks; block++) {
      const own = users.slice(block * clocks, (block + 1) * clocks);
      const solution = solveStep(block, clock, own, before);
      users.set(solution.users, block * clocks);
      items[block * clocks + clock] = solution.value;
      shared += solution.deltas.deltas[clocks + clock]!;
    }
    items[blocks * clocks + clock] = shared;
  }
  return { users, items };
}
