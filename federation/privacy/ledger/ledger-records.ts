// What stands in a privacy ledger, and how it lies in its file: one line for each record, which people can read.
//
//   <SHA-256 over the chain before, the sequence number and the text> <sequence number> <the record as JSON>

import { z } from 'zod';
import { sha256 } from '../../../common/checksums.js';
import { CorruptError } from '../../../common/errors.js';

const name = z.string().min(1).max(256);
const positive = z.number().positive().finite();
const delta = z.number().gt(0).lt(1);

const openSchema = z.strictObject({
  kind: z.literal('open'),
  version: z.literal(1),
  /** Tells this ledger from others. */
  ledgerId: name,
  adjacency: z.enum(['add-remove', 'replace-one']),
  time: z.iso.datetime(),
});

/** What a group of learners allows, from here on. A later one of the same group replaces it; what was spent stays spent. */
const budgetSchema = z.strictObject({
  kind: z.literal('budget'),
  /** Learners that are protected together; a learner is in one group. */
  group: name,
  /** Over all runs, for ever. */
  epsilon: positive,
  delta,
  /** Over one run, at the same δ. */
  runEpsilon: positive,
  time: z.iso.datetime(),
});

const spendSchema = z.strictObject({
  kind: z.literal('spend'),
  group: name,
  run: name,
  /** For people: which round of the run. */
  round: name,
  releases: z
    .array(z.strictObject({ name, noiseMultiplier: positive, count: z.int().min(1).max(1e6).optional() }))
    .min(1)
    .max(10_000),
  time: z.iso.datetime(),
});

const recordSchema = z.discriminatedUnion('kind', [openSchema, budgetSchema, spendSchema]);

export type OpenRecord = z.infer<typeof openSchema>;
export type BudgetRecord = z.infer<typeof budgetSchema>;
export type SpendRecord = z.infer<typeof spendSchema>;
export type LedgerRecord = z.infer<typeof recordSchema>;

/** Where a ledger stands: how many records it has, and the checksum over them all. */
export interface LedgerHead {
  /** 0 before the first record. */
  readonly sequence: number;
  readonly chain: string;
}

export const EMPTY_HEAD: LedgerHead = { sequence: 0, chain: sha256('stoa privacy ledger 1') };

/** The line that continues a ledger, with its end, and where the ledger stands with it. */
export function encodeLine(head: LedgerHead, record: LedgerRecord): { line: string; head: LedgerHead } {
  const text = JSON.stringify(recordSchema.parse(record));
  const next = headAfter(head, text);
  return { line: `${next.chain} ${next.sequence} ${text}\n`, head: next };
}

export interface ReadLines {
  readonly records: readonly LedgerRecord[];
  /** Where the ledger stood after each record. */
  readonly heads: readonly LedgerHead[];
  /** Bytes up to the end of the last whole line. What follows was being written when the process or the machine ended. */
  readonly wholeBytes: number;
}

/**
 * Reads a ledger's bytes.
 *
 * @param file for the error.
 * @throws {CorruptError} `STOA_LEDGER_DAMAGED`: a whole line is not what was written, or not in its place.
 */
export function readLines(bytes: Buffer, file: string): ReadLines {
  const records: LedgerRecord[] = [];
  const heads: LedgerHead[] = [];
  let head = EMPTY_HEAD;
  let at = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, at)) {
    const raw = bytes.subarray(at, end);
    const match = /^([0-9a-f]{64}) ([1-9][0-9]{0,14}) (.*)$/s.exec(raw.toString('utf8'));
    const next = match === null ? undefined : headAfter(head, match[3]!);
    const isWhole = next !== undefined && next.chain === match![1] && String(next.sequence) === match![2];
    const record = isWhole ? parseRecord(match![3]!) : undefined;
    if (record === undefined || !Buffer.from(raw.toString('utf8')).equals(raw)) {
      throw damaged(file, `line ${records.length + 1} is not what was written`);
    }
    head = next!;
    records.push(record);
    heads.push(head);
    at = end + 1;
  }
  return { records, heads, wholeBytes: at };
}

export function damaged(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_LEDGER_DAMAGED',
    `the privacy ledger ${file} is damaged: ${what}; no round is taken part in until what was spent is known again`,
    { fields: { file } },
  );
}

function headAfter({ sequence, chain }: LedgerHead, text: string): LedgerHead {
  return { sequence: sequence + 1, chain: sha256(`${chain} ${sequence + 1} ${text}`) };
}

function parseRecord(text: string): LedgerRecord | undefined {
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
