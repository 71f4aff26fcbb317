import type { Phase } from './events.js';

/**
 * Phase `index` of a run. Epoch e solves users at clock e + 1 from items at clock e, then items at clock e + 1
 * from those users.
 */
export function phaseOf(index: number): Phase {
  const epoch = Math.floor(index / 2);
  return index % 2 === 0
    ? { index, epoch, side: 'users', fixedClock: epoch, priorClock: epoch }
    : { index, epoch, side: 'items', fixedClock: epoch + 1, priorClock: epoch };
}

/**
 * Phase `index` of a run that pushes and pulls: an epoch of all users' blocks. Its blocks read at clocks of their own,
 * and a lease says at which.
 */
export function stepPhaseOf(index: number): Phase {
  return { index, epoch: index, side: 'users', fixedClock: index, priorClock: index };
}
