// The participant's own half-step: its users' factors from the items', on whatever device it has.

import { ShapeError } from '../../common/errors.js';
import { type Csr, csrSlice } from '../../models/csr.js';
import type { ComputeDevice, FactorTable, IalsObjective, SolverOptions } from '../../models/device.js';
import { addPackedGram, packedGramLength, packedGramOf, unpackGram } from '../../models/gram.js';
import { readsPrior } from '../../models/ials/reads-prior.js';

export interface SolveUsersTask {
  /** The participant's interactions by users: columns are all items of the catalogue. */
  readonly byUser: Csr;
  /** The items' factors Y of the round: f32 [items, K]. */
  readonly items: Float32Array;
  readonly factors: number;
  readonly objective: IalsObjective;
  /** How users are solved; the default of a federation is `cholesky`, whatever the items' solver is. */
  readonly solver: SolverOptions;
  /** Users of a block, >= 1. The factors do not depend on it; the last bits of the Gram do. @default 4096 */
  readonly blockUsers?: number;
  readonly signal?: AbortSignal;
}

/** Users of a block: with K = 128 their factors take 2 MiB. */
const BLOCK_USERS = 4096;

/**
 * Solves all users of a participant.
 *
 * @param users changed, f32 [users, K]: the factors of the sweep before, where `cg` and `ials++` start; then the new.
 * @returns the users' Gram, packed, summed in the order of blocks.
 * @throws {ShapeError} a length disagrees; otherwise as `ComputeDevice`.
 *
 * Memory: the items' table on the device and a few blocks.
 */
export async function solveUsers(
  device: ComputeDevice,
  task: SolveUsersTask,
  users: Float32Array,
): Promise<Float64Array> {
  const { byUser, items, factors } = task;
  if (users.length !== byUser.rows * factors || items.length !== byUser.cols * factors) {
    throw new ShapeError(
      'STOA_SHAPE',
      `${users.length} numbers of users and ${items.length} of items do not fit ${byUser.rows} users and ${byUser.cols} items of ${factors} factors`,
      { fields: { found: items.length, expected: byUser.cols * factors } },
    );
  }
  const fixed = await device.createTable(byUser.cols, factors);
  try {
    await device.write(fixed, 0, items);
    return await solveBlocks(device, task, users, fixed);
  } finally {
    fixed.dispose();
  }
}

/** As many blocks at a time as the device likes in flight. */
async function solveBlocks(
  device: ComputeDevice,
  task: SolveUsersTask,
  users: Float32Array,
  fixed: FactorTable,
): Promise<Float64Array> {
  const { byUser, items, factors, objective, solver, signal, blockUsers = BLOCK_USERS } = task;
  const gram = unpackGram(packedGramOf(items, byUser.cols, factors), factors);
  const sum = new Float64Array(packedGramLength(factors));
  const lanes = Math.max(1, device.capabilities.blocksInFlight);
  for (let first = 0; first < byUser.rows; first += lanes * blockUsers) {
    const starts = Array.from({ length: lanes }, (_, n) => first + n * blockUsers).filter(
      (start) => start < byUser.rows,
    );
    // All of them come to an end before the table may go, even when one fails.
    const results = await Promise.allSettled(
      starts.map((start) => {
        const end = Math.min(start + blockUsers, byUser.rows);
        const block = csrSlice(byUser, start, end);
        const prior = readsPrior(solver, factors) ? users.slice(start * factors, end * factors) : undefined;
        return device.solveBlock({ block, fixed, gram, prior, objective, solver, wantLoss: false, signal });
      }),
    );
    for (const [n, result] of results.entries()) {
      if (result.status === 'rejected') throw result.reason;
      users.set(result.value.rows, starts[n]! * factors);
      addPackedGram(sum, result.value.gram);
    }
  }
  return sum;
}
