import type { Side__Output as SideName } from '../proto/generated/stoa/parameters/v1/Side.js';
import { UsageError } from './errors.js';

/** The side that a message names. @throws {UsageError} it names none. */
export function sideOf(name: SideName): 'users' | 'items' {
  if (name === 'SIDE_USERS') return 'users';
  if (name === 'SIDE_ITEMS') return 'items';
  throw new UsageError('STOA_USAGE', 'side must be SIDE_USERS or SIDE_ITEMS', { fields: { field: 'side' } });
}

/** The name of a side in messages. */
export function sideName(side: 'users' | 'items'): 'SIDE_USERS' | 'SIDE_ITEMS' {
  return side === 'users' ? 'SIDE_USERS' : 'SIDE_ITEMS';
}
