import { hashOf, label, u32be } from './byte-fields.js';
import { type AgreementKey, agree } from './key-agreement.js';
import { orderedPair, sealKey as sealKeyOf } from './mask-keys.js';
import type { KeyAdvertisement, SealedShares } from './messages.js';
import { type RoundTerms, roundFields, thresholdOf } from './round-terms.js';
import { openShares, type SharePair, sealShares } from './sealed-shares.js';
import { type RandomBytes, wipe } from './secrets.js';
import { splitSecret } from './shamir.js';

export interface PeerShareOptions {
  terms: RoundTerms;
  member: number;
  /** Of all who advertised, this member too, in order of their places. */
  keys: readonly KeyAdvertisement[];
  /** Wiped: nothing else is sealed with it. */
  sealKey: AgreementKey;
  /** The secrets whole; they stay as they are. */
  secrets: SharePair;
  random: RandomBytes;
}

/** A member's secrets in shares, sealed for its peers, and what opens theirs. */
export interface ShareBox {
  readonly seedHash: Uint8Array;
  readonly sealed: SealedShares['sealed'];
  /** What the member keeps of its own secrets. */
  readonly own: SharePair;
  /** Undefined: the bytes were not sealed by that member, for this one, in this round. */
  open(from: number, bytes: Uint8Array): SharePair | undefined;
  /** Wipes the keys. */
  forget(): void;
}

/** @throws {PrivacyError} `STOA_ROUND_REFUSED`: a peer's key is a point of low order. */
export function peerShares({ terms, member, keys, sealKey, secrets, random }: PeerShareOptions): ShareBox {
  const sharing = {
    places: keys.map((key) => placeOf(key.member)),
    threshold: thresholdOf(terms.members.length),
  };
  const maskKeyShares = splitSecret(secrets.maskKey, sharing, random);
  const seedShares = splitSecret(secrets.seed, sharing, random);
  const sealKeys = new Map<number, Uint8Array>();
  const sealed: SealedShares['sealed'] = [];
  let own: SharePair | undefined;
  keys.forEach((peer, n) => {
    const shares = { maskKey: maskKeyShares[n]!, seed: seedShares[n]! };
    if (peer.member === member) {
      own = shares;
      return;
    }
    const key = keyBetween(sealKey, { member, peer }, terms);
    sealKeys.set(peer.member, key);
    sealed.push({
      to: peer.member,
      bytes: sealShares(key, shares, terms, { from: member, to: peer.member }),
    });
    wipe(shares.maskKey, shares.seed);
  });
  wipe(sealKey.secret);
  return {
    seedHash: seedHashOf(terms, member, secrets.seed),
    sealed,
    own: own!,
    open: (from, bytes) => openShares(sealKeys.get(from)!, bytes, terms, { from, to: member }),
    forget: () => wipe(...sealKeys.values()),
  };
}

/** Where a member's shares stand: never 0, where the secret itself would. */
export function placeOf(member: number): number {
  return member + 1;
}

/** Says which seed a member shared, without saying the seed: 32 random bytes cannot be tried out. */
export function seedHashOf(terms: RoundTerms, member: number, seed: Uint8Array): Uint8Array {
  return hashOf([label('seed/v1'), roundFields(terms), u32be(member), seed]);
}

function keyBetween(
  own: AgreementKey,
  { member, peer }: { member: number; peer: KeyAdvertisement },
  { session, round }: RoundTerms,
): Uint8Array {
  const secret = agree(own, peer.sealKey);
  const pair = orderedPair({ member, key: own.publicKey }, { member: peer.member, key: peer.sealKey });
  // Shares are sealed before anyone knows who shared: the round, the pair and its keys are all there is to bind.
  const key = sealKeyOf(secret, pair, { session, round, binding: new Uint8Array(0) });
  wipe(secret);
  return key;
}
