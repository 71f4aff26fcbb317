// What stands in the log of what left an institution: one hash-chained line for each message.

import { z } from 'zod';
import { CorruptError } from '../../common/errors.js';
import { hashChainedLines } from '../hash-chained-lines.js';

const entrySchema = z.strictObject({
  time: z.iso.datetime(),
  run: z.string(),
  /** Absent: a message of no round. */
  round: z.int().min(0).optional(),
  /** What left, in words: "masked sum", "share of secrets". */
  message: z.string().min(1),
  /** What it is about: "sweep 2, exchange 0: full". */
  about: z.string().optional(),
  /** Payload. */
  bytes: z.int().min(0),
  /** SHA-256 of the payload, hexadecimal; absent where it is not known before it leaves, and follows in another entry. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** ε of the run so far, this message included; with privacy. */
  epsilon: z.number().min(0).optional(),
  /** Questions for the next task, signs of life and requests for tables since the entry before: no data is in them. */
  polls: z.int().min(0),
});

export type AuditEntry = z.infer<typeof entrySchema>;

export function auditDamaged(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_AUDIT_DAMAGED',
    `the audit log ${file} is damaged: ${what}; keep it as it is, and find out who changed it`,
    { fields: { file } },
  );
}

/** The lines of a log. */
export const AUDIT_LINES = hashChainedLines('stoa audit log 1', entrySchema, auditDamaged);
