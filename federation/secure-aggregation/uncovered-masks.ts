import { RoundError } from '../../common/errors.js';
import { agreementKey } from './key-agreement.js';
import type { Mask } from './mask-stream.js';
import { type MaskScope, pairMask, selfMask } from './member-masks.js';
import type { KeyAdvertisement, UnmaskShares } from './messages.js';
import { placeOf, seedHashOf } from './peer-shares.js';
import { type RoundTerms, thresholdOf } from './round-terms.js';
import { equalBytes, wipe } from './secrets.js';
import { combineShares, shareWeights } from './shamir.js';

export interface Uncovering {
  terms: RoundTerms;
  scope: MaskScope;
  survivors: readonly number[];
  dropouts: readonly number[];
  keys: ReadonlyMap<number, KeyAdvertisement>;
  seedHashes: ReadonlyMap<number, Uint8Array>;
  /** Of at least t members, each with a share for every survivor and dropout, in the order of those lists. */
  answers: readonly UnmaskShares[];
}

/**
 * The masks that are left in a sum over the survivors, with the sign that takes them away: each survivor's own, and what
 * each shared with members that dropped out.
 *
 * Cost: a key agreement for each pair of a survivor and a dropout; taking the masks away costs as much as the survivors
 * needed to put them in.
 *
 * @throws {PrivacyError} `STOA_COHORT_TOO_SMALL`: fewer than t answers.
 * @throws {RoundError} `STOA_ROUND_FAILED`: shares do not give the secret that was shared; nothing was uncovered.
 */
export function uncoveredMasks(what: Uncovering): Mask[] {
  const { terms, answers, survivors, dropouts } = what;
  const threshold = thresholdOf(terms.members.length);
  const used = answers.slice(0, threshold);
  const weights = shareWeights(
    used.map(({ member }) => placeOf(member)),
    threshold,
  );
  const masks: Mask[] = [];
  survivors.forEach((member, n) => {
    const shares = used.map(({ seedShares }) => seedShares[n]!.share);
    masks.push(survivorMask(what, member, combineShares(shares, weights)));
  });
  dropouts.forEach((member, n) => {
    const shares = used.map(({ maskKeyShares }) => maskKeyShares[n]!.share);
    masks.push(...dropoutMasks(what, member, combineShares(shares, weights)));
  });
  return masks;
}

function survivorMask({ terms, scope, seedHashes }: Uncovering, member: number, seed: Uint8Array): Mask {
  requireShared(terms, member, equalBytes(seedHashOf(terms, member, seed), seedHashes.get(member)!));
  const { key } = selfMask(seed, member, scope);
  wipe(seed);
  return { key, sign: -1 };
}

/** What the survivors hold of masks with a member that dropped out: the member's own side of them takes it away. */
function dropoutMasks(
  { terms, scope, keys, survivors }: Uncovering,
  member: number,
  secret: Uint8Array,
): Mask[] {
  const own = agreementKey(secret);
  requireShared(terms, member, equalBytes(own.publicKey, keys.get(member)!.maskKey));
  const masks = survivors.map((peer) => pairMask(own, { member, peer: keys.get(peer)! }, scope));
  wipe(secret);
  return masks;
}

function requireShared(terms: RoundTerms, member: number, isShared: boolean): void {
  if (isShared) return;
  throw new RoundError(
    'STOA_ROUND_FAILED',
    `the shares of ${terms.members[member]!.name} do not give what it shared; it or a member that answered sent others`,
  );
}
