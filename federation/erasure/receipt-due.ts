import type { AuditEntry } from '../audit/audit-records.js';
import type { ErasureBasis } from './erasure-receipt.js';

export interface RunOfParticipant {
  runId: string;
  /** The first round that took its sum since it last joined; undefined: none did. */
  firstRound: number | undefined;
  /** ISO 8601. */
  modelTime: string;
}

/**
 * What a run that has ended says of an erasure. Every run begins from its seed, so its model follows from nothing of the
 * learner, unless this participant was in rounds of the run before the erasure, ended, and came back without the
 * learner.
 *
 * @param entries of the participant's audit log: it took part with the learner in whatever it sent before.
 * @returns undefined: nothing yet.
 */
export function receiptDue(
  eraseTime: string | undefined,
  { runId, firstRound, modelTime }: RunOfParticipant,
  entries: readonly AuditEntry[],
): { basis: ErasureBasis; round: number } | undefined {
  if (eraseTime === undefined || firstRound === undefined || modelTime < eraseTime) return undefined;
  const wasIn = entries.some(
    ({ run, round, time }) => run === runId && round !== undefined && time <= eraseTime,
  );
  return { basis: wasIn ? 'statistics' : 'model', round: firstRound };
}
