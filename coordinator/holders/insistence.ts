import { CorruptError, FencedError, SystemError } from '../../common/errors.js';
import { HolderLost } from './holder-lost.js';

/** A process that does not answer for so long is lost, even if its heartbeats come: it may be cut off from here. */
const INSIST_MS = 10_000;

/**
 * Whether a call to a parameter process that failed is to be made again, or the process is lost. Every call is safe to
 * repeat.
 *
 * @param insistedMs since the first try.
 * @param what the call that opens tables may overtake the answer that gives the process its place.
 */
export function isWorthAnother(error: unknown, insistedMs: number, what?: 'open'): boolean {
  const isEarly = what === 'open' && error instanceof FencedError && error.code === 'STOA_SESSION_OVER';
  const isPassing =
    isEarly ||
    error instanceof CorruptError ||
    (error instanceof SystemError && !(error instanceof HolderLost));
  return isPassing && insistedMs <= INSIST_MS;
}
