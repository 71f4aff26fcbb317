// What all participants of a run agree to, as it travels: read strictly, so that a coordinator can ask for nothing that
// this version does not know.

import { z } from 'zod';
import { UsageError } from '../../common/errors.js';
import type { IalsObjective, SolverOptions } from '../../models/device.js';
import { MEMBERS_MAX } from '../secure-aggregation/ring.js';

const bounded = (max: number) => z.number().positive().max(max);

const objective = z.strictObject({
  objective: z.enum(['ials', 'hu2008']),
  weights: z.enum(['binary', 'value']),
  alpha0: z.number().min(0),
  alpha: z.number().positive(),
  regularization: z.number().min(0),
  nu: z.number().min(0).max(1),
});

const schema = z.strictObject({
  version: z.literal(1),
  /** K. */
  factors: z.int().min(1).max(1024),
  sweeps: z.int().min(1).max(100_000),
  objective,
  solver: z.strictObject({
    name: z.enum(['cholesky', 'cg', 'ials++']),
    cgSteps: z.int().min(1).max(1000),
    block: z.int().min(1).max(1024),
  }),
  isMasked: z.boolean(),
  /** Fewest participants of a sum. */
  cohortMin: z.int().min(1).max(MEMBERS_MAX),
  /** Most participants that are asked in a round. */
  cohortMax: z.int().min(1).max(MEMBERS_MAX),
  /** Absent: sums leave as they are. */
  privacy: z
    .strictObject({
      /** Of the whole run. */
      epsilon: bounded(1000),
      delta: z.number().positive().max(0.1),
      adjacency: z.enum(['add-remove', 'replace-one']),
      /** k: rows that one learner weighs in with, fully. */
      rowsMax: z.int().min(1).max(1_000_000),
      /** G: norm of a learner's factors. */
      rowNormMax: bounded(1e6),
      /** h: least number of participants whose noise is in every sum. */
      honestMin: z.int().min(1).max(MEMBERS_MAX),
    })
    .optional(),
});

export interface FederatedPlan extends z.infer<typeof schema> {
  readonly objective: IalsObjective;
  readonly solver: SolverOptions;
}

export type PrivacyTerms = NonNullable<FederatedPlan['privacy']>;

/** @throws {UsageError} `STOA_USAGE`: not a plan that this version knows; names the field. */
export function parseFederatedPlan(text: string): FederatedPlan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return checkPlan(parsed.data);
  const issue = parsed.error.issues[0]!;
  throw refused(issue.path.join('.') || 'the plan', issue.message);
}

/** Settings that are fine alone and not together. @throws {UsageError} names the field. */
export function checkPlan(plan: FederatedPlan): FederatedPlan {
  const { privacy, objective, solver, cohortMin, cohortMax, isMasked } = plan;
  if (cohortMax < cohortMin) throw refused('cohortMax', `is below cohortMin, ${cohortMin}`);
  if (isMasked && cohortMax < 2) throw refused('cohortMax', 'masks need 2 participants at least');
  if (privacy === undefined) return plan;
  if (objective.objective !== 'ials' || objective.weights !== 'binary') {
    throw refused('objective', 'privacy is for ials.objective = ials with ials.weights = binary');
  }
  if (solver.name !== 'cholesky') {
    throw refused('solver', 'privacy is for ials.solver = cholesky: each step of others would be paid for');
  }
  if (!isMasked && privacy.honestMin > 1) {
    throw refused(
      'privacy.honestMin',
      'without masks each participant’s own sum is seen, with its own noise alone; say 1',
    );
  }
  if (privacy.honestMin > cohortMin) throw refused('privacy.honestMin', `is above cohortMin, ${cohortMin}`);
  return plan;
}

function refused(field: string, why: string): UsageError {
  return new UsageError('STOA_USAGE', `the plan of the federation is refused: ${field}: ${why}`, {
    fields: { field },
  });
}
