// What the journal says. One entry is one change that has happened; all of them, in order, are the coordinator's memory.

import { z } from 'zod';
import { recordSchema } from '../training/run-folder.js';

/** The tables at the end of a phase: a checkpoint by its name in the run's folder, and the checksum of its manifest. */
const phaseEndSchema = z.strictObject({
  /** Phases that are complete: the next one to do. */
  next_phase: z.int().min(1),
  checkpoint: z.string(),
  sha256: z.string(),
});
export type PhaseEnd = z.infer<typeof phaseEndSchema>;

const journaledRunSchema = z.strictObject({
  record: recordSchema,
  /** Settings of the run, all of them. */
  config: z.record(z.string(), z.unknown()),
  /** Oldest first, at most `PHASE_ENDS_KEPT`. */
  phases: z.array(phaseEndSchema),
});
export type JournaledRun = z.infer<typeof journaledRunSchema>;

const promotionSchema = z.strictObject({
  /** The model that is served. */
  current: z.string(),
  /** Those before it, latest last. */
  previous: z.array(z.string()),
});
export type Promotion = z.infer<typeof promotionSchema>;

const stateSchema = z.strictObject({
  runs: z.array(journaledRunSchema),
  promotion: promotionSchema.optional(),
});

export const entrySchema = z.discriminatedUnion('kind', [
  /** The first entry of a term: who leads from now on, what came before, and all that was known then. */
  z.strictObject({
    kind: z.literal('term'),
    term: z.int().min(1),
    /** ISO 8601; for people. */
    time: z.string(),
    host: z.string(),
    pid: z.int(),
    /** The term before as far as it counts: what its leader wrote after this is no part of the journal. */
    after: z.strictObject({ term: z.int(), sequence: z.int(), chain: z.string() }).optional(),
    state: stateSchema,
  }),
  /** A run was put in line. */
  z.strictObject({
    kind: z.literal('submitted'),
    record: recordSchema,
    config: z.record(z.string(), z.unknown()),
  }),
  /** A run began, ended, or went in line again. */
  z.strictObject({ kind: z.literal('run'), record: recordSchema }),
  /** A phase of a run is complete and its tables are on disk. */
  z.strictObject({ kind: z.literal('phase'), run_id: z.string(), end: phaseEndSchema }),
  /** Another model is served. */
  z.strictObject({ kind: z.literal('promotion'), promotion: promotionSchema }),
]);
export type JournalEntry = z.infer<typeof entrySchema>;
export type TermEntry = Extract<JournalEntry, { kind: 'term' }>;
