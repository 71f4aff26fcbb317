// Shares on their way from member to member through the server: ChaCha20-Poly1305 (RFC 8439, section 2.8).

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { joinBytes, label, u32be } from './byte-fields.js';
import { type RoundTerms, roundFields } from './round-terms.js';
import { SECRET_BYTES } from './secrets.js';

const TAG_BYTES = 16;
const OPTIONS = { authTagLength: TAG_BYTES } as const;

/** Bytes of a sealed pair of shares. */
export const SEALED_BYTES = 2 * SECRET_BYTES + TAG_BYTES;

/** A share of each of a member's two secrets. */
export interface SharePair {
  /** Of the secret of its masks with others: uncovers a member that dropped out. */
  maskKey: Uint8Array;
  /** Of the seed of its own mask: uncovers a survivor. */
  seed: Uint8Array;
}

export interface Route {
  from: number;
  to: number;
}

/** @param key of this round and these two members; a nonce is used once with it, since each sends one message. */
export function sealShares(key: Uint8Array, shares: SharePair, terms: RoundTerms, route: Route): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', key, nonceOf(route), OPTIONS);
  cipher.setAAD(contextOf(terms, route), { plaintextLength: 2 * SECRET_BYTES });
  const body = [cipher.update(shares.maskKey), cipher.update(shares.seed), cipher.final()];
  return joinBytes([...body, cipher.getAuthTag()]);
}

/** Undefined: the bytes are not what the sender sealed for this round and this receiver. */
export function openShares(
  key: Uint8Array,
  bytes: Uint8Array,
  terms: RoundTerms,
  route: Route,
): SharePair | undefined {
  if (bytes.length !== SEALED_BYTES) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', key, nonceOf(route), OPTIONS);
  decipher.setAAD(contextOf(terms, route), { plaintextLength: 2 * SECRET_BYTES });
  decipher.setAuthTag(bytes.subarray(2 * SECRET_BYTES));
  const plain = decipher.update(bytes.subarray(0, 2 * SECRET_BYTES));
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    return undefined;
  }
  const maskKey = new Uint8Array(plain.subarray(0, SECRET_BYTES));
  const seed = new Uint8Array(plain.subarray(SECRET_BYTES));
  plain.fill(0);
  return { maskKey, seed };
}

function nonceOf({ from, to }: Route): Uint8Array {
  return joinBytes([u32be(from), u32be(to), u32be(0)]);
}

function contextOf(terms: RoundTerms, { from, to }: Route): Uint8Array {
  return joinBytes([label('shares/v1'), roundFields(terms), u32be(from), u32be(to)]);
}
