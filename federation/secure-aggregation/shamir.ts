// Shamir's secret sharing over GF(2^8) with the polynomial of AES, byte by byte, in constant time for the secret.
// Why not a package: docs/decisions/020-shamir-shares.md.

import { assert, PrivacyError } from '../../common/errors.js';
import { type RandomBytes, wipe } from './secrets.js';

/**
 * Splits a secret into shares of its own length: any `threshold` of them give it back, fewer say nothing.
 *
 * @param secret of a multiple of 4 bytes.
 * @param places where shares stand, 1 to 255, each once: a share means nothing without its place.
 * @returns a share for each place, in their order.
 *
 * Source: Shamir, "How to share a secret", CACM 22 (11), 1979.
 */
export function splitSecret(
  secret: Uint8Array,
  { places, threshold }: { places: readonly number[]; threshold: number },
  random: RandomBytes,
): Uint8Array[] {
  assert(secret.length % 4 === 0, 'a secret is whole words');
  assert(threshold >= 2 && threshold <= places.length, 'at least two shares are needed, and they are there');
  assert(arePlaces(places), 'places are from 1 to 255, each once');
  const coefficients = [wordsOf(secret)];
  while (coefficients.length < threshold) {
    const bytes = random(secret.length);
    coefficients.push(wordsOf(bytes));
    wipe(bytes);
  }
  const shares = places.map((place) => {
    const share = new Uint32Array(secret.length / 4);
    let power = 1;
    for (const coefficient of coefficients) {
      addProduct(share, coefficient, power);
      power = multiply(power, place);
    }
    return new Uint8Array(share.buffer);
  });
  for (const coefficient of coefficients) coefficient.fill(0);
  return shares;
}

/** What shares at certain places count for in a secret: of use for all secrets with shares there. */
export interface Weights {
  readonly places: readonly number[];
  readonly weights: Uint8Array;
}

/**
 * The weights of shares at these places: Lagrange's, at 0.
 *
 * @throws {PrivacyError} `STOA_COHORT_TOO_SMALL`: fewer places than the threshold, which would give a wrong secret.
 */
export function shareWeights(places: readonly number[], threshold: number): Weights {
  assert(arePlaces(places), 'places are from 1 to 255, each once');
  if (places.length < threshold) {
    throw new PrivacyError(
      'STOA_COHORT_TOO_SMALL',
      `${places.length} shares are there and ${threshold} are needed`,
    );
  }
  const weights = places.map((place) =>
    places
      .filter((other) => other !== place)
      .reduce((product, other) => multiply(product, multiply(other, inverse(other ^ place))), 1),
  );
  return { places, weights: Uint8Array.from(weights) };
}

/** The secret of shares that stand at the places of the weights, in their order. */
export function combineShares(shares: readonly Uint8Array[], { weights }: Weights): Uint8Array {
  assert(shares.length === weights.length, 'a share for each place');
  const secret = new Uint32Array(shares[0]!.length / 4);
  shares.forEach((share, n) => {
    assert(share.length === 4 * secret.length, 'shares have one length');
    const words = wordsOf(share);
    addProduct(secret, words, weights[n]!);
    words.fill(0);
  });
  return new Uint8Array(secret.buffer);
}

/** sum += words · factor, in constant time for both arrays. */
function addProduct(sum: Uint32Array, words: Uint32Array, factor: number): void {
  for (let n = 0; n < words.length; n++) sum[n] = sum[n]! ^ multiply(words[n]!, factor);
}

/**
 * Multiplies the four bytes of a word by a factor in GF(2^8). Branches on the factor alone, which everybody knows, and
 * looks nothing up.
 */
function multiply(word: number, factor: number): number {
  let product = 0;
  let shifted = word;
  for (let bits = factor; bits !== 0; bits >>>= 1) {
    if ((bits & 1) !== 0) product ^= shifted;
    const high = shifted & 0x80808080;
    // Times x: what leaves a byte comes back as x^4 + x^3 + x + 1.
    shifted = ((shifted ^ high) << 1) ^ ((high >>> 7) * 0x1b);
  }
  return product;
}

/** a^254: the inverse of a ≠ 0, since a^255 = 1. */
function inverse(a: number): number {
  let result = 1;
  let power = a;
  for (let bit = 1; bit < 8; bit++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

function arePlaces(places: readonly number[]): boolean {
  const isInRange = places.every((place) => Number.isInteger(place) && place >= 1 && place <= 255);
  return isInRange && new Set(places).size === places.length;
}

/** A copy. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(new Uint8Array(bytes).buffer);
}
