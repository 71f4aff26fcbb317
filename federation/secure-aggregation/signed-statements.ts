// What members sign with the identity of their certificates: their keys of a round, and its survivors. Ed25519 (RFC 8032).

import { createPublicKey, verify } from 'node:crypto';
import { joinBytes, label, u32be } from './byte-fields.js';
import type { KeyAdvertisement } from './messages.js';
import { type RoundTerms, roundFields } from './round-terms.js';

/** What stands before the 32 bytes of a public key in DER: RFC 8410, section 4. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const SIGNATURE_BYTES = 64;

/** Signs with the secret key of the member's certificate. */
export type Sign = (statement: Uint8Array) => Uint8Array;

/** "These are my keys of this round." */
export function keyStatement(
  terms: RoundTerms,
  { member, sealKey, maskKey }: Pick<KeyAdvertisement, 'member' | 'sealKey' | 'maskKey'>,
): Uint8Array {
  return joinBytes([label('stoa/keys/v1'), roundFields(terms), u32be(member), sealKey, maskKey]);
}

/** "I uncover these survivors, and no others, in this round of this cohort." */
export function survivorStatement(
  terms: RoundTerms,
  { cohort, survivors }: { cohort: Uint8Array; survivors: readonly number[] },
): Uint8Array {
  const list = [u32be(survivors.length), ...survivors.map(u32be)];
  return joinBytes([label('stoa/survivors/v1'), roundFields(terms), cohort, ...list]);
}

/** Whether the member's identity signed the statement. */
export function isSignedBy(
  terms: RoundTerms,
  member: number,
  { statement, signature }: { statement: Uint8Array; signature: Uint8Array },
): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  const key = Buffer.concat([SPKI_PREFIX, terms.members[member]!.identityKey]);
  return verify(null, statement, createPublicKey({ key, format: 'der', type: 'spki' }), signature);
}
