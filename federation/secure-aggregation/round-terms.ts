// What all members of a cohort must agree on before they add anything up.

import { assert } from '../../common/errors.js';
import { hashOf, joinBytes, label, textField, u32be, u64be } from './byte-fields.js';
import type { KeyAdvertisement } from './messages.js';
import { MEMBERS_MAX, type Ring } from './ring.js';

/** Bytes of a session's id, which is the salt of its keys. */
export const SESSION_BYTES = 16;

/**
 * Fewest participants over whom a participant lets itself be summed, unless its policy says otherwise: with fewer, those
 * who know their own part learn much about the rest.
 */
export const COHORT_MIN = 5;

/** Words that one message of masked input carries, unless the caller wants others: 256 KiB at 64 bits. */
export const CHUNK_WORDS = 32_768;

export interface CohortMember {
  name: string;
  /**
   * Ed25519 public key, 32 bytes, of the certificate that the member shows in mutual TLS. It must come from certificates
   * that the federation's authority signed, never from the coordinator's word.
   */
  identityKey: Uint8Array;
}

/** One sum over a cohort. Keys are for one round only: each sum, so each step of conjugate gradients, is a round. */
export interface RoundTerms {
  /** 16 random bytes, one session for each run. */
  session: Uint8Array;
  /** 0 to 2^64 − 1; grows within a session. */
  round: bigint;
  /** What is summed, so that sums of different things over the same factors are told apart: "statistics", "counts". */
  purpose: string;
  /** A member is known by its position here. 2 to 255. */
  members: readonly CohortMember[];
  ring: Ring;
  /** Words of the sum. */
  length: number;
}

/**
 * t = ⌊2n/3⌋ + 1: the fewest members who finish a round. With more than two thirds, two sets of t members have more than
 * a third in common, so a server cannot have two survivor sets signed while fewer than a third help it.
 *
 * Source: Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017.
 */
export function thresholdOf(memberCount: number): number {
  return Math.floor((2 * memberCount) / 3) + 1;
}

/** Checks what the caller promises. */
export function assertTerms({ session, round, members, ring, length }: RoundTerms): void {
  assert(session.length === SESSION_BYTES, `a session has ${SESSION_BYTES} bytes`);
  assert(round >= 0n && round < 1n << 64n, 'a round is a word of 64 bits');
  assert(members.length >= 2 && members.length <= MEMBERS_MAX, `a cohort has 2 to ${MEMBERS_MAX} members`);
  assert(members.length <= ring.participants, 'the ring was planned for the cohort');
  assert(Number.isSafeInteger(length) && length >= 1, 'a sum has words');
}

/** Which round a statement is about. */
export function roundFields({ session, round }: Pick<RoundTerms, 'session' | 'round'>): Uint8Array {
  return joinBytes([session, u64be(round)]);
}

/**
 * Hash of the terms and of those who shared their keys, with all their keys. It goes into each mask: members who were
 * shown different lists or terms get noise.
 *
 * @param keys of those members, in order of their places.
 */
export function cohortHash(terms: RoundTerms, keys: readonly KeyAdvertisement[]): Uint8Array {
  const { members, purpose, ring, length } = terms;
  const sizes = [members.length, thresholdOf(members.length), ring.bits, ring.fractionBits];
  return hashOf([
    label('cohort/v1'),
    roundFields(terms),
    textField(purpose),
    ...sizes.map(u32be),
    u64be(BigInt(ring.magnitudeMax)),
    u64be(BigInt(length)),
    u32be(keys.length),
    ...keys.flatMap(({ member, sealKey, maskKey }) => {
      const { name, identityKey } = members[member]!;
      return [u32be(member), textField(name), identityKey, sealKey, maskKey];
    }),
  ]);
}
