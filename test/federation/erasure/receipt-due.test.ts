import { describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../federation/audit/audit-records.js';
import { receiptDue } from '../../../federation/erasure/receipt-due.js';

const ERASED = '2026-03-01T10:00:00.000Z';
const run = { runId: 'run-2', firstRound: 4, modelTime: '2026-03-01T12:00:00.000Z' };
const sent = (time: string, runId: string, round?: number): AuditEntry => ({
  time: `2026-03-01T${time}:00.000Z`,
  run: runId,
  ...(round === undefined ? {} : { round }),
  message: 'masked sum over learners has left',
  bytes: 8,
  polls: 0,
});

describe('a receipt of erasure', () => {
  it('is about the model when the participant was in no round of the run before the erasure', () => {
    const entries = [sent('09:00', 'run-1', 4), sent('09:30', 'run-2'), sent('11:00', 'run-2', 4)];
    expect(receiptDue(ERASED, run, entries)).toEqual({ basis: 'model', round: 4 });
  });

  it('is about statistics when it was in the run with the learner, and came back without', () => {
    const entries = [sent('09:59', 'run-2', 2), sent('11:00', 'run-2', 4)];
    expect(receiptDue(ERASED, run, entries)).toEqual({ basis: 'statistics', round: 4 });
  });

  it('is not due before a sum was taken, before the erasure ended, or for an older model', () => {
    expect(receiptDue(ERASED, { ...run, firstRound: undefined }, [])).toBeUndefined();
    expect(receiptDue(undefined, run, [])).toBeUndefined();
    expect(receiptDue('2026-03-01T12:00:00.001Z', run, [])).toBeUndefined();
  });
});
