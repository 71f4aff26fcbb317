// What parameter processes of a run will have, need and move. Pure.

import type { Side } from '../../models/csr.js';
import { packedGramLength } from '../../models/gram.js';
import { COORDINATOR_TABLES } from './estimates.js';
import { placeRows } from './place-rows.js';
import type { RunPlan } from './plan-run.js';

/** A parameter process without rows: Node, gRPC. Measured, rounded up. */
const PROCESS_BASE_BYTES = 170e6;
/** Its rows, at two clocks. */
const PROCESS_ROWS = 2;
/**
 * Rows that pass through it in messages, until the collector takes them: so many times its own, which was measured with
 * 6 and 47 MB of them (178 and 490 MB in all), and no more than this, which was not.
 */
const PASSING_ROWS = 5;
const PASSING_BYTES_MAX = 400e6;
/** Tables in a coordinator whose rows are elsewhere, in the place of `COORDINATOR_TABLES`: it gathers both at the end. */
const GATHERED_TABLES = 1.5;

const SIDES = ['users', 'items'] as const;

export interface ParameterShare {
  readonly name: string;
  /** Rows of each side. */
  readonly users: number;
  readonly items: number;
  /** Of all rows, 0 to 1. */
  readonly share: number;
  /** Peak memory, bytes; with `--spill` less `PROCESS_ROWS` times its rows. */
  readonly memoryBytes: number;
  /** Through its link, both directions, an epoch: what workers read and hand in, and what checkpoints read. */
  readonly bytesPerEpoch: number;
}

export interface ParameterPlan {
  readonly processes: readonly ParameterShare[];
  /** The largest share of each side's rows that one process has: it sets the pace. */
  readonly largest: Readonly<Record<Side, number>>;
  /** Peak memory of the coordinator, which has both tables once at the end, to evaluate and to save them. */
  readonly coordinatorBytes: number;
  /** Through the coordinator's link an epoch: the Grams of blocks, and both tables, for checkpoints. */
  readonly coordinatorBytesPerEpoch: number;
  /** Through the link of one worker an epoch. */
  readonly workerBytesPerEpoch: number;
}

/**
 * Rows are placed as a run would place them on processes of these names.
 *
 * @param names   of the processes, at least one.
 * @param workers that the run has.
 */
export function planParameters(plan: RunPlan, names: readonly string[], workers: number): ParameterPlan {
  const { factors, blocks, estimates } = plan;
  const sorted = [...names].sort();
  const candidates = sorted.map((key) => ({ key, weight: 1 }));
  const rowsOf = (side: Side): number[] => {
    const starts = blocks[side].map(({ rowStart }) => rowStart);
    const rows = sorted.map(() => 0);
    for (const { rowStart, rowEnd, holder } of placeRows(side, plan[side], starts, candidates)) {
      rows[holder] = rows[holder]! + rowEnd - rowStart;
    }
    return rows;
  };
  const rows = { users: rowsOf('users'), items: rowsOf('items') };
  const rowBytes = 4 * factors;
  const tableBytes = (plan.users + plan.items) * rowBytes;
  const processes = sorted.map((name, n): ParameterShare => {
    const own = rows.users[n]! + rows.items[n]!;
    const ownBytes = own * rowBytes;
    const passingBytes = Math.min(PASSING_ROWS * ownBytes, PASSING_BYTES_MAX);
    const share = own / (plan.users + plan.items);
    return {
      name,
      users: rows.users[n]!,
      items: rows.items[n]!,
      share,
      memoryBytes: Math.ceil(PROCESS_BASE_BYTES + PROCESS_ROWS * ownBytes + passingBytes),
      bytesPerEpoch: Math.round(share * (estimates.wireBytesPerEpoch + tableBytes)),
    };
  });
  const gramBytes = (blocks.users.length + blocks.items.length) * 8 * packedGramLength(factors);
  return {
    processes,
    largest: Object.fromEntries(SIDES.map((side) => [side, Math.max(...rows[side]) / plan[side]])) as Record<
      Side,
      number
    >,
    coordinatorBytes: Math.ceil(
      estimates.coordinatorBytes - (COORDINATOR_TABLES - GATHERED_TABLES) * tableBytes,
    ),
    coordinatorBytesPerEpoch: gramBytes + tableBytes,
    workerBytesPerEpoch: Math.round(estimates.wireBytesPerEpoch / workers),
  };
}
