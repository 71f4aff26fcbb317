import { SystemError } from '../../common/errors.js';

/** Rows of the run in progress are gone, or out of reach: it goes back to its last checkpoint. */
export class HolderLost extends SystemError {
  /** @param isLeaving the process leaves in good order: its rows can still be read. */
  constructor(
    message: string,
    readonly isLeaving = false,
    cause?: unknown,
  ) {
    super('STOA_UNREACHABLE', message, { cause });
  }
}
