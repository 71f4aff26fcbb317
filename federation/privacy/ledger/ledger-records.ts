// What stands in a privacy ledger: one hash-chained line for each record.

import { z } from 'zod';
import { CorruptError } from '../../../common/errors.js';
import { hashChainedLines } from '../../hash-chained-lines.js';

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

export function damaged(file: string, what: string): CorruptError {
  return new CorruptError(
    'STOA_LEDGER_DAMAGED',
    `the privacy ledger ${file} is damaged: ${what}; no round is taken part in until what was spent is known again`,
    { fields: { file } },
  );
}

/** The lines of a ledger. */
export const LEDGER_LINES = hashChainedLines('stoa privacy ledger 1', recordSchema, damaged);
