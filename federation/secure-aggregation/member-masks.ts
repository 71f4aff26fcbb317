import { joinBytes } from './byte-fields.js';
import { type AgreementKey, agree } from './key-agreement.js';
import { type KeyScope, orderedPair, pairKey, selfKey } from './mask-keys.js';
import type { Mask } from './mask-stream.js';
import type { KeyAdvertisement } from './messages.js';
import { cohortHash, type RoundTerms } from './round-terms.js';
import { wipe } from './secrets.js';

/** Where the masks of a round hold. */
export interface MaskScope extends KeyScope {
  /** Hash of the terms and of those who shared. */
  cohort: Uint8Array;
}

/**
 * @param factorsHash of what this side was given to compute on: the item factors, and in a step of conjugate gradients
 *   the direction too.
 * @param keys        of those who shared, in order of their places.
 */
export function maskScope(
  terms: RoundTerms,
  factorsHash: Uint8Array,
  keys: readonly KeyAdvertisement[],
): MaskScope {
  const cohort = cohortHash(terms, keys);
  return {
    session: terms.session,
    round: terms.round,
    cohort,
    binding: joinBytes([factorsHash, cohort]),
  };
}

/** The mask that a member alone knows. */
export function selfMask(seed: Uint8Array, member: number, scope: MaskScope): Mask {
  return { key: selfKey(seed, member, scope), sign: 1 };
}

/**
 * The mask that a member shares with a peer, as it stands in the member's words: the lower place adds it, the higher
 * takes it away.
 *
 * @throws {PrivacyError} `STOA_ROUND_REFUSED`: the peer's key is a point of low order.
 */
export function pairMask(
  own: AgreementKey,
  { member, peer }: { member: number; peer: KeyAdvertisement },
  scope: MaskScope,
): Mask {
  const secret = agree(own, peer.maskKey);
  const pair = orderedPair({ member, key: own.publicKey }, { member: peer.member, key: peer.maskKey });
  const key = pairKey(secret, pair, scope);
  wipe(secret);
  return { key, sign: member < peer.member ? 1 : -1 };
}
