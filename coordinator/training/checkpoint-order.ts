import type { PhaseEnd } from '../journal/entries.js';
import type { CheckpointName } from './checkpoint-manifest.js';

/** A checkpoint that may be gone on from. */
export interface Choice {
  readonly name: string;
  readonly sha256?: string;
  readonly isUnexpected?: boolean;
}

/**
 * Checkpoints of a folder in the order in which they are to be tried.
 *
 * @param found        newest first.
 * @param acknowledged what the journal says of the phases, oldest first; absent: there is no journal.
 */
export function checkpointsToTry(
  found: readonly CheckpointName[],
  acknowledged: readonly PhaseEnd[] | undefined,
): Choice[] {
  if (acknowledged === undefined) return found.map(({ name }) => ({ name }));
  const there = new Set(found.map(({ name }) => name));
  // Those that were removed to make room for newer ones are not missed.
  const known = acknowledged.filter(({ checkpoint }) => there.has(checkpoint)).reverse();
  const rest = found.filter(({ name }) => !acknowledged.some(({ checkpoint }) => checkpoint === name));
  return [
    ...known.map(({ checkpoint, sha256 }) => ({ name: checkpoint, sha256 })),
    ...rest.map(({ name }) => ({ name, isUnexpected: true })),
  ];
}
