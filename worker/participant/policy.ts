// What an institution allows, whatever a coordinator asks for: read before anything leaves.

import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { z } from 'zod';
import { messageOf, NotFoundError, PrivacyError, UsageError } from '../../common/errors.js';
import { suggestion } from '../../common/nearest.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { COHORT_MIN } from '../../federation/secure-aggregation/round-terms.js';

const schema = z.strictObject({
  /** Fewest participants of a sum that it is in. */
  cohort_min: z.int().min(1).max(255).default(COHORT_MIN),
  /** False: sums may leave without masks, so that the coordinator sees them. */
  require_masking: z.boolean().default(true),
  /** True: takes part with privacy only. */
  require_privacy: z.boolean().default(false),
  /** Most ε of one run. */
  epsilon_run_max: z.number().positive().default(10),
  /** Most ε of all runs, for ever. */
  epsilon_max: z.number().positive().default(10),
  /** Greatest δ of a run. */
  delta_max: z.number().positive().max(1).default(1e-5),
  /** Most rounds of a run. */
  rounds_max: z.int().min(1).default(10_000),
  /** Most bytes that leave in a run. */
  upload_bytes_max: z.int().min(1).default(100e9),
  /** Public keys of other participants, hexadecimal, by their names; with them, nobody else may be in a cohort. */
  members: z.record(z.string(), z.string().regex(/^[0-9a-f]{64}$/)).optional(),
  /** Items that may be trained on, by their names in the catalogue; absent: all that it has. */
  items: z.array(z.string()).optional(),
});

export type ParticipantPolicy = z.infer<typeof schema>;

export const DEFAULT_POLICY: ParticipantPolicy = schema.parse({});

/** @throws {UsageError} names the key; {NotFoundError} `STOA_NOT_FOUND_FILE`. */
export async function readPolicy(file: string): Promise<ParticipantPolicy> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new NotFoundError('STOA_NOT_FOUND_FILE', `the policy ${file} cannot be read: ${messageOf(error)}`, {
      fields: { field: '--policy', file },
      cause: error,
    });
  });
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    throw new UsageError('STOA_USAGE', `the policy ${file} is no YAML: ${messageOf(error)}`, {
      fields: { field: '--policy', file },
    });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const known = Object.keys(schema.shape);
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0]! : undefined;
  const what =
    unknown === undefined
      ? `${issue.path.join('.')}: ${issue.message}`
      : `unknown key "${unknown}"${suggestion(unknown, known)}`;
  throw new UsageError('STOA_USAGE', `the policy ${file} is refused: ${what}`, {
    fields: { field: unknown ?? String(issue.path[0] ?? ''), file },
  });
}

/**
 * Holds a run's plan against the policy, before joining.
 *
 * @throws {PrivacyError} `STOA_ROUND_REFUSED`, `STOA_COHORT_TOO_SMALL`, `STOA_BUDGET`: the key that forbids it.
 */
export function requirePlan(plan: FederatedPlan, policy: ParticipantPolicy): void {
  const { privacy } = plan;
  if (policy.require_masking && !plan.isMasked) {
    throw refused('require_masking', 'the run would show this participant’s sums to the coordinator');
  }
  if (plan.cohortMin < policy.cohort_min) {
    throw new PrivacyError(
      'STOA_COHORT_TOO_SMALL',
      `the policy's cohort_min is ${policy.cohort_min} and the run makes sums of ${plan.cohortMin}; nothing was sent`,
      { fields: { field: 'cohort_min' } },
    );
  }
  if (policy.require_privacy && privacy === undefined) {
    throw refused('require_privacy', 'the run adds no noise');
  }
  if (privacy === undefined) return;
  const limits = [
    ['epsilon_run_max', privacy.epsilon, policy.epsilon_run_max],
    ['delta_max', privacy.delta, policy.delta_max],
  ] as const;
  for (const [field, asked, most] of limits) {
    if (asked <= most) continue;
    throw new PrivacyError(
      'STOA_BUDGET',
      `the policy's ${field} is ${most} and the run asks for ${asked}; nothing was sent`,
      {
        fields: { field },
      },
    );
  }
}

export interface RoundTerms {
  /** Rounds of the run with this one, and bytes that would have left with it. */
  rounds: number;
  bytes: number;
  members: readonly { name: string; identityKey: Uint8Array }[];
  /** Of the plan. */
  cohortMin: number;
}

/** Holds one round against the policy. Errors as `requirePlan`. */
export function requireRound(round: RoundTerms, policy: ParticipantPolicy): void {
  if (round.rounds > policy.rounds_max) {
    throw refused('rounds_max', `${policy.rounds_max} rounds were taken part in`);
  }
  if (round.bytes > policy.upload_bytes_max) {
    throw refused('upload_bytes_max', `${round.bytes} bytes would have left`);
  }
  const least = Math.max(policy.cohort_min, round.cohortMin);
  if (round.members.length < least) {
    throw new PrivacyError(
      'STOA_COHORT_TOO_SMALL',
      `a sum is of ${least} participants at least and the round asks ${round.members.length}; nothing was sent`,
      { fields: { field: 'cohort_min' } },
    );
  }
  if (policy.members === undefined) return;
  for (const { name, identityKey } of round.members) {
    if (policy.members[name] === Buffer.from(identityKey).toString('hex')) continue;
    throw refused('members', `${name} is not among them, or has another key`);
  }
}

function refused(field: string, why: string): PrivacyError {
  return new PrivacyError(
    'STOA_ROUND_REFUSED',
    `the policy's ${field} forbids it: ${why}; nothing was sent`,
    {
      fields: { field },
    },
  );
}
