import path from 'node:path';
import type { Catalogue } from '../../federation/catalogue/catalogue.js';
import type { FederatedPlan } from '../../federation/protocol/federated-plan.js';
import { inputHash } from '../../federation/protocol/input-hash.js';
import { roundSums } from '../../federation/protocol/round-sums.js';
import type { RoundKey } from '../../federation/rounds/events.js';
import type { Ring } from '../../federation/secure-aggregation/ring.js';
import type { CohortMember } from '../../federation/secure-aggregation/round-terms.js';
import { MaskedIntake, PlainIntake, type RoundIntake } from './round-intake.js';

export interface IntakeOptions {
  key: RoundKey;
  cohort: readonly CohortMember[];
  plan: FederatedPlan;
  session: Uint8Array;
  ring: Ring;
  catalogue: Catalogue;
  /** Absent in a census. */
  itemsHash?: Uint8Array;
  /** Absent where nothing is multiplied. */
  operandHash?: Uint8Array;
  spoolDir: string;
}

/** Makes ready for what comes in during a round, masked or not as the plan says. */
export function openIntake(o: IntakeOptions): RoundIntake {
  const { key, plan, session, ring } = o;
  const sums = roundSums(plan, o.catalogue.names.length, key);
  const cohort = o.cohort.map(({ name }) => name);
  if (!plan.isMasked) {
    return new PlainIntake({ key, sums, cohort, spoolDir: path.join(o.spoolDir, `round-${key.round}`) });
  }
  return new MaskedIntake({
    key,
    sums,
    cohort,
    terms: {
      session,
      round: BigInt(key.round),
      purpose: sums.purpose,
      members: o.cohort.map(({ name, identityKey }) => ({ name, identityKey })),
      ring,
      length: sums.length,
    },
    factorsHash: inputHash({
      catalogue: Buffer.from(o.catalogue.hash, 'hex'),
      items: o.itemsHash,
      operand: o.operandHash,
    }),
  });
}
