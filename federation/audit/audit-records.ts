// What stands in the log of what left an institution: one line for each message, which people can read.
//
//   <SHA-256 over the chain before, the sequence number and the text> <sequence number> <the entry as JSON>

import { z } from 'zod';
import { sha256 } from '../../common/checksums.js';
import { CorruptError } from '../../common/errors.js';

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

/** How many entries there are, and the checksum over them all. */
export interface AuditHead {
  readonly sequence: number;
  readonly chain: string;
}

export const EMPTY_AUDIT: AuditHead = { sequence: 0, chain: sha256('stoa audit log 1') };

/** The line that continues a log, with its end, and where the log stands with it. */
export function encodeEntry(head: AuditHead, entry: AuditEntry): { line: string; head: AuditHead } {
  const text = JSON.stringify(entrySchema.parse(entry));
  const next = headAfter(head, text);
  return { line: `${next.chain} ${next.sequence} ${text}\n`, head: next };
}

export interface ReadAudit {
  readonly entries: readonly AuditEntry[];
  /** Where the log stood after each entry. */
  readonly heads: readonly AuditHead[];
  /** Up to the end of the last whole line. */
  readonly wholeBytes: number;
}

/** @throws {CorruptError} `STOA_AUDIT_DAMAGED`: a whole line is not what was written, or not in its place. */
export function readEntries(bytes: Buffer, file: string): ReadAudit {
  const entries: AuditEntry[] = [];
  const heads: AuditHead[] = [];
  let head = EMPTY_AUDIT;
  let at = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, at)) {
    const raw = bytes.subarray(at, end);
    const match = /^([0-9a-f]{64}) ([1-9][0-9]{0,14}) (.*)$/s.exec(raw.toString('utf8'));
    const next = match === null ? undefined : headAfter(head, match[3]!);
    const isWhole = next !== undefined && next.chain === match![1] && String(next.sequence) === match![2];
    const entry = isWhole ? parseEntry(match![3]!) : undefined;
    if (entry === undefined) throw auditDamaged(file, `line ${entries.length + 1} is not what was written`);
    head = next!;
    entries.push(entry);
    heads.push(head);
    at = end + 1;
  }
  return { entries, heads, wholeBytes: at };
}

export function auditDamaged(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_AUDIT_DAMAGED',
    `the audit log ${file} is damaged: ${what}; keep it as it is, and find out who changed it`,
    { fields: { file } },
  );
}

function headAfter({ sequence, chain }: AuditHead, text: string): AuditHead {
  return { sequence: sequence + 1, chain: sha256(`${chain} ${sequence + 1} ${text}`) };
}

function parseEntry(text: string): AuditEntry | undefined {
  try {
    return entrySchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
