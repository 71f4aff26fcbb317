// X25519 (RFC 7748) over node:crypto.

import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { assert, PrivacyError } from '../../common/errors.js';
import { joinBytes } from './byte-fields.js';
import { SECRET_BYTES, wipe } from './secrets.js';

/** What stands before the 32 bytes of a key in DER: RFC 8410, section 7 (PKCS #8) and section 4 (SPKI). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

/**
 * A secret key with its public key. `secret` can be wiped by its owner; `handle` is OpenSSL's own copy, which is cleared
 * when the last reference to it is gone.
 */
export interface AgreementKey {
  readonly secret: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly handle: KeyObject;
}

/** The key of 32 secret bytes, which it keeps and does not copy. */
export function agreementKey(secret: Uint8Array): AgreementKey {
  assert(secret.length === SECRET_BYTES, 'an X25519 key has 32 bytes');
  const der = joinBytes([PKCS8_PREFIX, secret]);
  const handle = createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type: 'pkcs8' });
  wipe(der);
  const spki = createPublicKey(handle).export({ format: 'der', type: 'spki' });
  return { secret, publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)), handle };
}

/**
 * The secret that two keys share, 32 bytes.
 *
 * @throws {PrivacyError} `STOA_ROUND_REFUSED`: the public key has not 32 bytes, or is a point of low order, with which
 *   anyone could know the result (RFC 7748, section 6.1).
 */
export function agree(own: AgreementKey, publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== SECRET_BYTES) refuse(`a public key has ${SECRET_BYTES} bytes`);
  const key = Buffer.concat([SPKI_PREFIX, publicKey]);
  const theirs = createPublicKey({ key, format: 'der', type: 'spki' });
  try {
    return new Uint8Array(diffieHellman({ privateKey: own.handle, publicKey: theirs }));
  } catch {
    // OpenSSL fails when the result is all zero, which it finds in constant time.
    return refuse('a public key is a point of low order');
  }
}

function refuse(message: string): never {
  throw new PrivacyError('STOA_ROUND_REFUSED', `${message}; the round is refused`);
}
