// Keys of the masks: HKDF-SHA256 (RFC 5869), bound to all that two sides must agree on for their masks to cancel.

import { hkdfSync } from 'node:crypto';
import { joinBytes, label, u32be, u64be } from './byte-fields.js';
import { SECRET_BYTES } from './secrets.js';

/** Where a key holds. */
export interface KeyScope {
  /** 16 random bytes of the session: the salt. */
  session: Uint8Array;
  /** 0 to 2^64 − 1. */
  round: bigint;
  /**
   * Behind the other fields: the hash of the item factors that the participant was given, then that of the cohort. Two
   * sides with another binding have other keys, and their masks stay in the sum.
   */
  binding: Uint8Array;
}

/** Two members with their public keys, in order of their places. */
export interface KeyPair {
  low: number;
  high: number;
  lowKey: Uint8Array;
  highKey: Uint8Array;
}

/** Two members and their public keys as a pair, whoever of them asks. */
export function orderedPair(
  one: { member: number; key: Uint8Array },
  other: { member: number; key: Uint8Array },
): KeyPair {
  const [low, high] = one.member < other.member ? [one, other] : [other, one];
  return { low: low.member, high: high.member, lowKey: low.key, highKey: high.key };
}

/** Key of the mask that two members share. `secret` is what X25519 gave them. */
export function pairKey(secret: Uint8Array, pair: KeyPair, scope: KeyScope): Uint8Array {
  return derive(secret, scope, ['mask/v1', ...pairFields(pair)]);
}

/** Key under which two members send each other shares, so that the server cannot read them. */
export function sealKey(secret: Uint8Array, pair: KeyPair, scope: KeyScope): Uint8Array {
  return derive(secret, scope, ['seal/v1', ...pairFields(pair)]);
}

/** Key of a member's own mask, from its seed. */
export function selfKey(seed: Uint8Array, member: number, scope: KeyScope): Uint8Array {
  return derive(seed, scope, ['self/v1', u32be(member)]);
}

function pairFields({ low, high, lowKey, highKey }: KeyPair): Uint8Array[] {
  return [u32be(low), u32be(high), lowKey, highKey];
}

function derive(
  secret: Uint8Array,
  { session, round, binding }: KeyScope,
  [name, ...fields]: [string, ...Uint8Array[]],
): Uint8Array {
  const info = joinBytes([label(name), u64be(round), ...fields, binding]);
  return new Uint8Array(hkdfSync('sha256', secret, session, info, SECRET_BYTES));
}
