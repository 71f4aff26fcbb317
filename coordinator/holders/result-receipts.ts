// Whether the rows of a result are where they belong: in the parameter processes of the run, or here.

import { FencedError, ShapeError } from '../../common/errors.js';
import { sideOf } from '../../common/sides.js';
import type { BlockHeader__Output } from '../../proto/generated/stoa/parameters/v1/BlockHeader.js';
import type { StepHeader__Output } from '../../proto/generated/stoa/parameters/v1/StepHeader.js';
import type { PlacedResults } from './placed-results.js';

/**
 * True where parameter processes have the rows of a block, and said so; false where they come to the coordinator.
 *
 * @param placed absent: the coordinator has the rows of the run.
 * @throws {ShapeError} they were handed in to the wrong place; {FencedError} `STOA_LEASE_GONE`: a receipt of other tables.
 */
export function hasReceipt(placed: PlacedResults | undefined, header: BlockHeader__Output): boolean {
  const { runId, leaseId, block, clock, receipt } = header;
  if ((placed !== undefined) !== (receipt !== null)) throw misplaced('rows', runId, placed);
  if (placed === undefined || receipt === null) return false;
  const side = sideOf(header.side);
  const { digest, signature } = receipt;
  if (placed.isReceipt({ runId, leaseId, side, block, clock, digest }, signature)) return true;
  throw new FencedError('STOA_LEASE_GONE', 'the rows were handed in to tables that are there no more');
}

/** As `hasReceipt`, of the parts of an update: all of them, and the block's users among them. */
export function hasReceipts(placed: PlacedResults | undefined, header: StepHeader__Output): boolean {
  const { runId, leaseId, block, parts } = header;
  if ((placed !== undefined) !== parts.length > 0) throw misplaced('updates', runId, placed);
  if (placed === undefined) return false;
  const clock = header.clock + 1;
  const areSigned = parts.every(({ holder, receipt }) => {
    const { digest = 0, signature = Buffer.alloc(0) } = receipt ?? {};
    return placed.isReceiptOf(holder, { runId, leaseId, side: 'users', block, clock, digest }, signature);
  });
  const hasUsers = parts.some(({ holder }) => holder === placed.homeOf('users', block));
  if (areSigned && hasUsers) return true;
  throw new FencedError('STOA_LEASE_GONE', 'the update was handed in to tables that are there no more');
}

function misplaced(what: string, runId: string, placed: PlacedResults | undefined): ShapeError {
  const place = placed === undefined ? 'the coordinator' : 'the parameter processes that GetRunSpec names';
  return new ShapeError('STOA_SHAPE', `${what} of run ${runId} are to be handed in to ${place}`);
}
