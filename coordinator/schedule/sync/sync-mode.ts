import { UsageError } from '../../../common/errors.js';

/**
 * When a block may begin its next clock, and when what it pushed shows.
 *
 * - `bsp`: all blocks finish a clock before any begins the next; the same as `ssp` with staleness 0, bit for bit.
 * - `ssp`: a block is at most `staleness` clocks ahead of the slowest.
 * - `asp`: nobody waits; a push shows at once.
 * - `local`: as `bsp`, with `localSteps` steps on a block's own copy between two clocks; `local:1` is `bsp`.
 */
export type SyncMode =
  | { readonly kind: 'bsp' }
  | { readonly kind: 'ssp'; readonly staleness: number }
  | { readonly kind: 'asp' }
  | { readonly kind: 'local'; readonly localSteps: number };

/** Clocks that are not complete each hold a sum as large as the table. */
export const STALENESS_MAX = 64;
export const LOCAL_STEPS_MAX = 1_000_000;

/**
 * Reads `bsp`, `ssp:2`, `asp`, `local:4`.
 *
 * @throws {UsageError} something else, or a number out of range.
 */
export function parseSyncMode(text: string): SyncMode {
  const match = /^(?:(bsp|asp)|(ssp|local):(\d+))$/.exec(text);
  if (match?.[1] !== undefined) return { kind: match[1] as 'bsp' | 'asp' };
  const count = Number(match?.[3]);
  if (match?.[2] === 'ssp' && count <= STALENESS_MAX) return { kind: 'ssp', staleness: count };
  if (match?.[2] === 'local' && count >= 1 && count <= LOCAL_STEPS_MAX) {
    return { kind: 'local', localSteps: count };
  }
  throw new UsageError(
    'STOA_USAGE',
    `train.sync = "${text}": must be bsp, ssp:S with S from 0 to ${STALENESS_MAX}, asp, or local:K with K from 1 to ${LOCAL_STEPS_MAX}`,
    { fields: { field: 'train.sync' } },
  );
}

/** How many clocks a block may be ahead of the slowest one: Infinity for `asp`. */
export function leadMax(mode: SyncMode): number {
  switch (mode.kind) {
    case 'ssp':
      return mode.staleness;
    case 'asp':
      return Number.POSITIVE_INFINITY;
    default:
      return 0;
  }
}

/** Steps that a block does in one clock, at most. */
export function stepsPerClock(mode: SyncMode): number {
  return mode.kind === 'local' ? mode.localSteps : 1;
}
